"""Why the other side can't be reached: one connection by hand, as gRPC's own words for it say little."""

import socket
import ssl
import time
from pathlib import Path

NOTHING_LISTENS = "nothing listens there"
_NEEDS_TLS = "it ends connections without TLS: give the certificate to trust (`tls_ca`)"
_ENDS = "it ends every connection at once: what listens there is a proxy that reaches nobody, or no coordinator"
_TIMEOUT_S = 3.0
# How every HTTP/2 client begins, and an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_ALERT = 0x15
_WANTS = "it wants a certificate of this side: give `tls_cert` and `tls_key`"
_REFUSES = (
    "it does not take the certificate of this side (`tls_cert`): it is over, or signed by somebody whom the other side "
    "does not trust"
)
# gRPC's servers end the connection without a word; others say in an alert what they miss.
_OWN = {
    "CERTIFICATE_REQUIRED": _WANTS,
    "CERTIFICATE_EXPIRED": _REFUSES,
    "UNKNOWN_CA": _REFUSES,
    "BAD_CERTIFICATE": _REFUSES,
}


def why_unreachable(
    address: str,
    *,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> str:
    """What keeps a caller from HOST:PORT, in words; empty: nothing that can be seen.

    Args:
        address: where the other side should listen.
        tls_ca: the certificate to trust; None: no TLS.
        tls_cert: the own certificate.
        tls_key: its key.
        timeout_s: how long each step may take.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            if tls_ca is None:
                return _without_tls(connection, (host, int(port)))
            return _with_tls(connection, host, tls_ca, tls_cert, tls_key)
    except socket.gaierror as error:
        return f"there is no host called {host!r} ({error.strerror})"
    except ConnectionRefusedError:
        return NOTHING_LISTENS
    except TimeoutError:
        return "nothing comes back: the host is off or hangs, or a firewall drops what is sent to it"
    except OSError as error:
        return str(error.strerror or error)


def _without_tls(connection: socket.socket, address: tuple[str, int]) -> str:
    connection.sendall(_PREFACE)
    try:
        begin = connection.recv(9)
    except ConnectionResetError:
        begin = b""
    if begin[:1] == bytes([_ALERT]):
        return _NEEDS_TLS
    if not begin:
        return _NEEDS_TLS if _speaks_tls(address, connection.gettimeout()) else _ENDS
    if len(begin) < 4 or begin[3] != 4:
        return "what listens there is no gRPC server"
    return ""


def _speaks_tls(address: tuple[str, int], timeout_s: float | None) -> bool:
    """Whether a server that ends connections without TLS answers one that begins it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection, context.wrap_socket(connection):
            return True
    except ssl.SSLEOFError:
        return False
    except ssl.SSLError:
        return True
    except OSError:
        return False


def _with_tls(connection: socket.socket, host: str, tls_ca: Path, tls_cert: Path | None, tls_key: Path | None) -> str:
    try:
        context = ssl.create_default_context(cafile=str(tls_ca))
        # As gRPC does, which is content with older authorities.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.set_alpn_protocols(["h2"])
        if tls_cert is not None and tls_key is not None:
            context.load_cert_chain(str(tls_cert), str(tls_key))
    except (ssl.SSLError, OSError) as error:
        return f"`tls_ca`, `tls_cert` or `tls_key` can't be used ({getattr(error, 'reason', None) or error})"
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            # What the other side thinks of this one's certificate it says only now.
            secured.sendall(_PREFACE)
            if secured.recv(9):
                return ""
        return _REFUSES if tls_cert is not None else _WANTS
    except ssl.SSLCertVerificationError as error:
        return _distrusted(error.verify_message)
    except ssl.SSLError as error:
        reason = str(error.reason or error)
        for key, text in _OWN.items():
            if key in reason:
                return text
        if "WRONG_VERSION" in reason or "RECORD" in reason or "HTTP_REQUEST" in reason:
            return "it speaks no TLS: leave `tls_ca` out, or start it with `tls_cert` and `tls_key`"
        return f"TLS fails: {reason.replace('_', ' ').lower()}"
    except ConnectionError:
        return _REFUSES if tls_cert is not None else _WANTS


def _distrusted(message: str) -> str:
    """What is wrong with the other side's certificate."""
    text = f"its certificate is not trusted: {message}"
    if "expired" in message or "not yet valid" in message:
        return f"{text}; this machine's clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
    if "mismatch" in message.lower() or "doesn't match" in message or "not valid for" in message:
        return f"{text}: it is for another name than the one in the address"
    return f"{text}: `tls_ca` must be its certificate, or that of who signed it"
