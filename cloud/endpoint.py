"""Where a gRPC service listens and who may call it: address, TLS and token."""

import asyncio
import hmac
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .. import __version__
from ..errors import InfilinkError, InvalidInput
from ..settings import ListenAddress

logger = logging.getLogger(__name__)


class EndpointConfig(BaseModel):
    """The settings that every service has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: ListenAddress = Field(default="127.0.0.1:7420", description="HOST:PORT; port 0 takes a free one")
    token: str = Field(default="", description="the token that callers must give; empty: none")
    tls_cert: Path | None = Field(default=None, description="the certificate to use TLS with")
    tls_key: Path | None = Field(default=None, description="its key")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("`tls_cert` and `tls_key` go together")
        return self


def bind(server: Any, config: EndpointConfig) -> int:
    """Makes a gRPC server listen; returns its port.

    Raises:
        InvalidInput: the port is taken, or the certificate can't be read.
    """
    _check_free(config.listen)
    try:
        if config.tls_cert is None or config.tls_key is None:
            return int(server.add_insecure_port(config.listen))
        pair = (config.tls_key.read_bytes(), config.tls_cert.read_bytes())
        return int(server.add_secure_port(config.listen, grpc.ssl_server_credentials([pair])))
    except OSError as error:
        raise InvalidInput(f"{error.filename}: can't be read: {error.strerror}") from error
    except RuntimeError as error:
        raise InvalidInput(f"can't listen on {config.listen}: {error}") from error


@asynccontextmanager
async def abort_on_error(context: Any) -> AsyncIterator[None]:
    """Ends a call with the status of one of our errors; any other error is logged and sent without detail."""
    try:
        yield
    except InfilinkError as error:
        await context.abort(error.code, str(error))
    except (asyncio.CancelledError, grpc.aio.AbortError):
        raise
    except Exception:
        logger.exception("a call failed")
        await context.abort(grpc.StatusCode.INTERNAL, "the other side failed; its log says how")


async def check_token(context: Any, token: str) -> None:
    """Ends a call whose metadata lack the token."""
    given = dict(context.invocation_metadata() or ()).get("authorization", "")
    if token and not hmac.compare_digest(str(given).encode(), f"Bearer {token}".encode()):
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong (`token`)")


async def check_version(context: Any, theirs: str, *, here: str, there: str) -> None:
    """Ends a call from another release of infilink; patch releases are compatible.

    Args:
        context: the call's context.
        theirs: the caller's version.
        here: the name of this side, for the message.
        there: the name of the caller's side.
    """
    ours = __version__.split(".")[:2]
    if ours != theirs.split(".")[:2]:
        await context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"the {here} is infilink {__version__}, the {there} {theirs or 'unknown'}: "
            f"install {'.'.join(ours)} on both",
        )


def _check_free(listen: str) -> None:
    """Binds the port for a moment, as the system's error is clearer than gRPC's."""
    host, _, port = listen.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InvalidInput(
            f"can't listen on {listen}: {error.strerror}; stop what listens there, or give another `listen` "
            "(port 0: a free one)"
        ) from error
