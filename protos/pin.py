"""The mark of a certificate: what a code for enrolling carries along, so that the device knows whom it asks."""

import hashlib
import hmac
import socket
import ssl
from base64 import b32encode

from ..errors import InvalidInput, Unavailable

_BYTES = 16
_TIMEOUT_S = 10.0


def pin_of(certificate: bytes) -> str:
    """A certificate's mark: 128 bits of its hash.

    Args:
        certificate: in DER.
    """
    return b32encode(hashlib.sha256(certificate).digest()[:_BYTES]).decode().rstrip("=").lower()


def fetch_pinned(address: str, pin: str) -> str:
    """The certificate of whoever listens at HOST:PORT, in PEM, if it has this mark.

    Raises:
        InvalidInput: it has another one: somebody else may listen there.
        Unavailable: nobody does, or nobody who speaks TLS.
    """
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    # Nobody is trusted yet: the mark says whether it is the right one.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=host.strip("[]")) as secured,
        ):
            found = secured.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise Unavailable(f"nobody who speaks TLS answers at {address}: {error.strerror or error}") from error
    if not hmac.compare_digest(pin_of(found), pin):
        raise InvalidInput(
            f"what listens at {address} has another certificate than the one that the code was made for: somebody may "
            "listen in between, or the address is another coordinator's. Nothing was sent to it"
        )
    return ssl.DER_cert_to_PEM_cert(found)
