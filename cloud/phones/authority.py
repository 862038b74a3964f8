"""A certificate authority of this machine's own, which phones may trust: it can speak for nothing but this machine.

What a phone trusts (the root) has signed one certificate (the issuer) and its key is gone. The issuer's key is kept, to
renew the server's certificate as addresses change and years pass. Both hold for this machine's names, for addresses
that are nobody's on the internet, and for those that the machine had when they were made. Of the two it is the issuer
whose bounds count everywhere: not every system looks for bounds in what it trusts itself.

Devices trust the issuer's key by another certificate, which has no bounds: gRPC's TLS refuses what it can't read, and
bounds of addresses it can't. They ask it of their coordinator alone, which does not send them the issuer's own either.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...errors import InvalidInput
from ...files import replacing, write_secret
from .host import Host

logger = logging.getLogger(__name__)

NOBODYS = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"),
    )
)
"""Addresses that are nobody's on the internet."""
_AUTHORITY_DAYS = 3650
# iOS refuses more than 825 days, and of what is signed by those that it brings along more than 398.
_SERVER_DAYS = 396
_RENEW_DAYS = 30
# Clocks of phones are a little off.
_BEFORE = timedelta(days=1)


class LocalAuthority:
    """The authority in a folder; it is made there if it is missing.

    Args:
        folder: `phones.pem` is for phones, `devices.pem` for devices; `server.pem` and `server.key` are this machine's.
        host: this machine.
        now: the time.

    Attributes:
        for_phones: what phones are to trust.
        for_devices: what devices and commands are to trust (`tls_ca`).
        server_cert: the server's certificate.
        pages_cert: the same for browsers, with the issuer's behind it.
        server_key: the key of both, the same for good.

    Raises:
        InvalidInput: what is there can't be used.
    """

    def __init__(self, folder: Path, host: Host, now: datetime) -> None:
        self.folder = folder
        self.for_phones = folder / "phones.pem"
        self.for_devices = folder / "devices.pem"
        self.server_cert = folder / "server.pem"
        self.pages_cert = folder / "pages.pem"
        self.server_key = folder / "server.key"
        if not self.for_phones.exists():
            _make(folder, host, now)
        self._root = _certificate(self.for_phones)
        self._issuer = _certificate(folder / "issuer.pem")
        self._issuer_key = self._key(folder / "issuer.key")
        _check_belongs(folder, self._root, self._issuer, self._issuer_key)
        if not self.server_key.exists():
            write_secret(self.server_key, _private(ec.generate_private_key(ec.SECP256R1())))
        self._server_key = self._key(self.server_key)
        self.renew(host, now)

    @property
    def fingerprint(self) -> str:
        """What the root is recognized by: its SHA-256, as phones show it."""
        return self._root.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def der(self) -> bytes:
        """The root, as phones take it."""
        return self._root.public_bytes(Encoding.DER)

    @property
    def name(self) -> str:
        """What the root is called, in the lists of phones."""
        return str(self._root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def renew(self, host: Host, now: datetime) -> bool:
        """Makes a new certificate for the server if the one that is there will not do; says whether it did.

        Raises:
            InvalidInput: the authority's own time is over, or there is no room for the file.
        """
        named = self._allowed(host)
        if self._will_do(named, now):
            return False
        ends = min(now + timedelta(days=_SERVER_DAYS) - _BEFORE, self._issuer.not_valid_after_utc)
        if ends <= now:
            raise InvalidInput(
                f"{self.folder}: this authority is over since {ends:%Y-%m-%d}: remove the folder, and another one is "
                "made, which phones and devices have to trust anew"
            )
        made = (
            _begun(host.names[-1], self._issuer, self._server_key.public_key(), now - _BEFORE, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(named), critical=False)
            .sign(self._issuer_key, hashes.SHA256())
        )
        own, issuer = (each.public_bytes(Encoding.PEM) for each in (made, self._issuer))
        for path, content in ((self.pages_cert, own + issuer), (self.server_cert, own)):
            with replacing(path) as part:
                part.write_bytes(content)
        told = ", ".join(str(each.value) for each in named)
        logger.info("%s: made, for %s, until %s", self.server_cert, told, f"{ends:%Y-%m-%d}")
        return True

    def _will_do(self, named: list[x509.GeneralName], now: datetime) -> bool:
        """Whether the server's certificate is for this, and long enough."""
        if not self.server_cert.exists() or not self.pages_cert.exists():
            return False
        found = _certificate(self.server_cert)
        has = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ends = min(now + timedelta(days=_RENEW_DAYS), self._issuer.not_valid_after_utc)
        return (
            set(has) == set(named)
            and found.not_valid_before_utc <= now
            and found.not_valid_after_utc >= ends
            and found.issuer == self._issuer.subject
            and _public(found.public_key()) == _public(self._server_key.public_key())
        )

    def _allowed(self, host: Host) -> list[x509.GeneralName]:
        """The names and addresses of a machine that this authority may speak for."""
        bounds = self._issuer.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
        nets = [ip_network(each.value) for each in bounds if isinstance(each, x509.IPAddress)]
        names = {each.value for each in bounds if isinstance(each, x509.DNSName)}
        fits = [each for each in host.addresses if any(each in net for net in nets)]
        left = [
            *(each for each in host.names if each not in names),
            *(each for each in host.addresses if each not in fits),
        ]
        if left:
            logger.debug("%s: is from before this machine was at %s", self.folder, ", ".join(map(str, left)))
        return [
            *(x509.DNSName(each) for each in host.names if each in names),
            *(x509.IPAddress(each) for each in fits),
        ]

    def _key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        try:
            loaded = load_pem_private_key(path.read_bytes(), None)
        except (OSError, TypeError, ValueError) as error:
            raise _unusable(path, error) from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise _unusable(path, "it is of another kind")
        if path.stat().st_mode & 0o077:
            raise InvalidInput(f"{path}: others on this machine can read it: `chmod 600 {path}`")
        return loaded


def _make(folder: Path, host: Host, now: datetime) -> None:
    """Makes root and issuer; the root's key is forgotten. `phones.pem` comes last: where it is, all is."""
    begins, ends = now - _BEFORE, now + timedelta(days=_AUTHORITY_DAYS)
    root_key, issuer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    called = host.names[-1].removesuffix(".local")
    bounds = x509.NameConstraints(permitted_subtrees=[*_bounds(host)], excluded_subtrees=None)
    # The date tells one that was made anew from the one before, in a phone's list.
    root = _authority(f"infilink on {called}, {now:%Y-%m-%d}", None, root_key, root_key, bounds, (begins, ends))
    name = f"infilink on {called}, issuer"
    issuer = _authority(name, root, issuer_key, root_key, bounds, (begins, ends))
    for_devices = _authority(name, None, issuer_key, issuer_key, None, (begins, ends))
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(folder / "issuer.key", _private(issuer_key))
    for file, made in (("issuer.pem", issuer), ("devices.pem", for_devices), ("phones.pem", root)):
        with replacing(folder / file) as part:
            part.write_bytes(made.public_bytes(Encoding.PEM))
    logger.info("%s: a certificate authority for this machine was made", folder)


def _authority(
    name: str,
    by: x509.Certificate | None,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    bounds: x509.NameConstraints | None,
    time: tuple[datetime, datetime],
) -> x509.Certificate:
    begun = (
        _begun(name, by, key.public_key(), *time)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if by is None else 0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    if bounds is not None:
        begun = begun.add_extension(bounds, critical=True)
    return begun.sign(signer, hashes.SHA256())


def _begun(
    name: str, by: x509.Certificate | None, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    """A certificate, so far as all of them are alike; `by` None: it signs itself."""
    # 64 characters are all that fit.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    begun = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins.replace(microsecond=0))
        .not_valid_after(ends.replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    if by is None:
        return begun
    marked = by.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    known = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(marked)
    return begun.add_extension(known, critical=False)


def _bounds(host: Host) -> Iterable[x509.GeneralName]:
    """What an authority of this machine may ever speak for."""
    yield from (x509.DNSName(name) for name in host.names)
    yield from (x509.IPAddress(net) for net in NOBODYS)
    for each in host.addresses:
        if not any(each in net for net in NOBODYS):
            yield x509.IPAddress(ip_network(each))


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in (*names, *more)})


def _check_belongs(
    folder: Path, root: x509.Certificate, issuer: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    try:
        issuer.verify_directly_issued_by(root)
    except (ValueError, TypeError) as error:
        raise _unusable(folder / "issuer.pem", "phones.pem has not signed it") from error
    if _public(issuer.public_key()) != _public(key.public_key()):
        raise _unusable(folder / "issuer.key", "it is not the key of issuer.pem")


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, why: object) -> InvalidInput:
    return InvalidInput(
        f"{path}: can't be used: {why}. Bring it back, or remove {path.parent}: another authority is made then, which "
        "phones and devices have to trust anew"
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(key: object) -> bytes:
    assert hasattr(key, "public_bytes"), "a public key"
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def now_utc() -> datetime:
    """The time."""
    return datetime.now(UTC)
