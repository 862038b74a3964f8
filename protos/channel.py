"""How one side reaches the other: a gRPC channel, with TLS where there is a certificate to trust."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from ..errors import InvalidInput

PATIENCE_S = 4.0
"""How long the other side may take, on a line that is not slow, to answer whether it is there."""

_ASKS_AFTER_S = 5.0
_WINDOW_BYTES = 2**20


def silence(patience_s: float = PATIENCE_S) -> tuple[tuple[str, int], ...]:
    """Options of a channel with long streams: who is gone without a word (a black hole) is noticed.

    The other side is asked once nothing was heard for five seconds.

    Args:
        patience_s: how long it may take to answer. On a slow line the question waits behind what is being sent.
    """
    patience_ms = round(1000 * patience_s)
    return (
        ("grpc.keepalive_time_ms", round(1000 * _ASKS_AFTER_S)),
        # The answer's, and that of the other side's system where what is sent is not even taken (TCP_USER_TIMEOUT).
        ("grpc.http2.ping_timeout_ms", patience_ms),
        ("grpc.keepalive_timeout_ms", patience_ms),
        ("grpc.http2.max_pings_without_data", 0),
        *STEADY_WINDOW,
    )


STEADY_WINDOW = (
    # gRPC asks on its own how fast a line is; on a slow one the answer waits behind what it measures, and counts as
    # late. A window that is the same all the time needs no such questions.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
)
"""Options of either side: how much may be on its way before it is read."""


def open_channel(
    address: str,
    *,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> Any:
    """A channel to HOST:PORT, to be used in a `with`; nothing is connected yet.

    Args:
        address: where the other side listens.
        tls_ca: the certificate to trust; None: no TLS.
        tls_cert: the own certificate, where the other side wants one.
        tls_key: its key.
        options: gRPC's own.

    Raises:
        InvalidInput: a file can't be read, or they do not go together.
    """
    check_tls(tls_ca, tls_cert, tls_key)
    if tls_ca is None:
        return grpc.insecure_channel(address, options)
    trusted = _content("tls_ca", tls_ca)
    if tls_cert is None or tls_key is None:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted), options)
    own = {"private_key": _content("tls_key", tls_key), "certificate_chain": _content("tls_cert", tls_cert)}
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted, **own), options)


def check_tls(tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None) -> None:
    """Makes sure that what a caller trusts and shows goes together.

    Raises:
        InvalidInput: it does not.
    """
    if (tls_cert is None) != (tls_key is None):
        raise InvalidInput("`tls_cert` and `tls_key` go together")
    if tls_cert is not None and tls_ca is None:
        raise InvalidInput("`tls_cert` needs `tls_ca`, the certificate to trust: without TLS nobody sees it")


def _content(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{key}: {path} can't be read: {error.strerror}") from error
