"""The device's own certificate: asked for, and renewed before it ends, so that no device falls silent after a year."""

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import InfilinkError, InvalidInput
from ..files import replacing

if TYPE_CHECKING:
    from .config import DeviceConfig

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 3600.0
_ANSWERS_WITHIN_S = 30.0
# Once so much of its time is left.
_RENEWED_AT = 1 / 3


def make_key() -> bytes:
    """A new private key, in PEM.

    Raises:
        ModuleNotFoundError: the package for it is not there.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*plain)


def make_request(key: bytes) -> bytes:
    """A request for a certificate of a key, both in PEM; whoever signs it says for which name.

    Raises:
        ModuleNotFoundError: the package for it is not there.
        ValueError: that is no key that can be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509.oid import NameOID

    loaded: Any = serialization.load_pem_private_key(key, None)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64] or "device")])
    hashed = None if isinstance(loaded, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(loaded, hashed)
    return request.public_bytes(serialization.Encoding.PEM)


@contextmanager
def renewing(configs: Iterable["DeviceConfig"]) -> Iterator[None]:
    """Within it the certificates of these settings are looked at, now and each hour, and renewed in time."""
    own = {(each.coordinator, each.tls_cert): each for each in configs if each.tls_cert is not None}
    if not own:
        yield
        return
    stopped, told = threading.Event(), set[str]()

    def keep() -> None:
        while True:
            for config in own.values():
                why = renew(config)
                # The same each hour is nothing new.
                if why and why not in told:
                    logger.warning("%s", why)
                told.add(why)
            # Not all devices of a site at one moment.
            if stopped.wait(_LOOK_EVERY_S * (0.5 + random.random())):
                return

    thread = threading.Thread(target=keep, name="certificate", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()


def renew(config: "DeviceConfig", now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Renews a device's certificate, if a third of its time or less is left: the key stays, its file is replaced.

    Whatever goes on is not disturbed: the next connection shows the new one.

    Args:
        config: the device's, with `tls_cert` and `tls_key`.
        now: the time.

    Returns:
        Why it can't be renewed, in words; empty: it was, or need not be.
    """
    assert config.tls_cert is not None, "asked for"
    try:
        from cryptography import x509

        present = x509.load_pem_x509_certificate(config.tls_cert.read_bytes())
        whole = present.not_valid_after_utc - present.not_valid_before_utc
        if present.not_valid_after_utc - now() > whole * _RENEWED_AT:
            return ""
        until = f"{config.tls_cert} ends on {present.not_valid_after_utc:%Y-%m-%d}"
        made = _ask(config)
        following = x509.load_pem_x509_certificate(made)
        # What works is only given up for what will.
        if following.public_key() != present.public_key() or following.subject != present.subject:
            raise InvalidInput(f"what {config.coordinator} gave is not for this device's key and name")
        with replacing(config.tls_cert) as part:
            part.write_bytes(made)
        logger.info("%s was renewed: it holds until %s", config.tls_cert, f"{following.not_valid_after_utc:%Y-%m-%d}")
        return ""
    except ModuleNotFoundError:
        return f"{config.tls_cert} is not renewed by itself: that takes a package, pip install 'infilink[enroll]'"
    except (OSError, ValueError) as error:
        return f"{config.tls_cert} can't be renewed: {error}"
    except InfilinkError as error:
        return f"{until}, and can't be renewed: {error}"


def _ask(config: "DeviceConfig") -> bytes:
    """The next certificate, from the coordinator.

    Raises:
        InfilinkError: it gives none; the message says why.
    """
    import grpc

    from .. import __version__
    from ..protos import fleet_pb2, fleet_pb2_grpc
    from ..protos.channel import open_channel

    assert config.tls_key is not None, "goes with the certificate"
    request = fleet_pb2.RenewRequest(certificate_request=make_request(config.tls_key.read_bytes()), version=__version__)
    metadata = [("authorization", f"Bearer {config.token}")] if config.token else []
    own = open_channel(config.coordinator, tls_ca=config.tls_ca, tls_cert=config.tls_cert, tls_key=config.tls_key)
    with own as channel:
        stub = fleet_pb2_grpc.EnrollmentStub(channel)  # type: ignore[no-untyped-call]
        try:
            reply = stub.Renew(request, metadata=metadata, timeout=_ANSWERS_WITHIN_S)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                raise InfilinkError(f"{config.coordinator} is too old for that: enroll this device anew") from error
            raise InfilinkError(
                f"{config.coordinator}: {' '.join(str(error.details() or '').split())[:300]}"
            ) from error
    return bytes(reply.certificate)
