"""A service's own certificate: read, checked, told of when it is about to end, and taken up when it is renewed."""

import logging
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from ...errors import InvalidInput

logger = logging.getLogger(__name__)

_SOON = timedelta(days=14)
_Stamps = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """What a service shows to callers, over gRPC or HTTP, and which certificates it wants to see of them.

    The files are looked at whenever somebody connects: a certificate that was renewed is used from then on. Streams
    that are open go on.

    Args:
        cert: the certificate, in PEM, with those that it is signed by behind it.
        key: its key.
        client_ca: callers must show a certificate that one of these has signed; None: they need none.

    Raises:
        InvalidInput: a file can't be read, or certificate and key do not belong together.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        self.cert = cert
        self.key = key
        self.client_ca = client_ca
        self._refused: _Stamps = ()
        self._stamps = self._stamp()
        self._first = self._read()

    def credentials(self) -> Any:
        """As gRPC takes it."""
        return grpc.dynamic_ssl_server_credentials(
            self._first, self._renewed, require_client_authentication=self.client_ca is not None
        )

    def context(self) -> ssl.SSLContext:
        """As a web server takes it."""
        newest = self._context()

        def choose(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
            nonlocal newest
            if self._renewed() is not None:
                # It may change again in between; then the next who connects finds that.
                with suppress(OSError):
                    newest = self._context()
            connection.context = newest

        first = self._context()
        first.sni_callback = choose
        return first

    def _context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.cert, self.key)
        if self.client_ca is not None:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(self.client_ca)
        return made

    def _renewed(self) -> Any:
        """What to use from now on, if it is not what was used before; called for each new connection."""
        try:
            stamps = self._stamp()
            if stamps in (self._stamps, self._refused):
                return None
            self._refused = stamps
            found = self._read()
        except InvalidInput as error:
            # Whoever renews it writes one file after the other.
            logger.error("%s; the certificate that was read before is used on", error)
            return None
        self._stamps = stamps
        logger.info("%s: renewed", self.cert)
        return found

    def _read(self) -> Any:
        chain, key = _content(self.cert), _content(self.key)
        own = _certificates(self.cert, chain)[0]
        _check_pair(self.cert, own, self.key, key)
        for warning in _told(self.cert, own):
            logger.warning("%s", warning)
        if self.key.stat().st_mode & 0o077:
            logger.warning("%s: others on this machine can read the key: `chmod 600 %s`", self.key, self.key)
        trusted = None
        if self.client_ca is not None:
            trusted = _content(self.client_ca)
            _certificates(self.client_ca, trusted)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=trusted)

    def _stamp(self) -> _Stamps:
        try:
            found = [path.stat() for path in (self.cert, self.key, self.client_ca) if path is not None]
        except OSError as error:
            raise InvalidInput(f"{error.filename}: can't be read: {error.strerror}") from error
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


def certificate_warnings(path: Path) -> list[str]:
    """What whoever runs a service should know of its certificate now: that it is over, or will be soon.

    Raises:
        InvalidInput: it can't be read.
    """
    return _told(path, _certificates(path, _content(path))[0])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: can't be read: {error.strerror}") from error


def _certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise InvalidInput(f"{path}: is no certificate in PEM ({error})") from error


def _check_pair(cert: Path, own: x509.Certificate, path: Path, data: bytes) -> None:
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:
        raise InvalidInput(f"{path}: the key needs a password; give one without") from error
    except ValueError as error:
        raise InvalidInput(f"{path}: is no key in PEM ({error})") from error
    plain = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own.public_key().public_bytes(*plain) != key.public_key().public_bytes(*plain):
        raise InvalidInput(f"{path}: is not the key of {cert}")


def _told(path: Path, own: x509.Certificate) -> list[str]:
    """What whoever runs the service should know of its certificate now."""
    now, begins, ends = datetime.now(UTC), own.not_valid_before_utc, own.not_valid_after_utc
    if ends <= now:
        return [f"{path}: the certificate is over since {ends:%Y-%m-%d %H:%M} UTC: nobody will trust it; renew it"]
    if begins > now:
        return [f"{path}: the certificate is valid only from {begins:%Y-%m-%d %H:%M} UTC on: is this clock right?"]
    if ends - now < _SOON:
        return [f"{path}: the certificate ends at {ends:%Y-%m-%d %H:%M} UTC: renew it; a new file is taken up at once"]
    return []
