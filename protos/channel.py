"""How one side reaches the other: a gRPC channel, with TLS where there is a certificate to trust."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from ..errors import InvalidInput


def open_channel(address: str, *, tls_ca: Path | None = None, options: Sequence[tuple[str, int]] = ()) -> Any:
    """A channel to HOST:PORT, to be used in a `with`; nothing is connected yet.

    Args:
        address: where the other side listens.
        tls_ca: the certificate to trust; None: no TLS.
        options: gRPC's own.

    Raises:
        InvalidInput: the certificate can't be read.
    """
    if tls_ca is None:
        return grpc.insecure_channel(address, options)
    try:
        trusted = tls_ca.read_bytes()
    except OSError as error:
        raise InvalidInput(f"tls_ca: {tls_ca} can't be read: {error.strerror}") from error
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted), options)
