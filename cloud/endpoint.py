"""Where a gRPC service listens, and what it needs to do so: address, TLS, tokens."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from pydantic import Field, model_validator

from .. import __version__
from ..errors import InfilinkError, InvalidInput, Overloaded
from ..protos.channel import STEADY_WINDOW
from ..settings import ListenAddress, Table, is_loopback
from .security.certificates import ServerCertificate
from .security.text import for_outside, shown

logger = logging.getLogger(__name__)

SERVER_OPTIONS = (
    # Who is gone without a word (a black hole) is noticed within half a minute; the device notices within ten seconds,
    # and its next connection takes this one's place. A slow line may be busy with one input for that long.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Devices ask every five seconds; on their way questions may catch up with each other.
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
    *STEADY_WINDOW,
    # A connection costs a file descriptor: it is not kept for those that never speak, or have nothing to say.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
)
"""Of every gRPC server here."""


class EndpointConfig(Table):
    """The settings that every service has."""

    listen: ListenAddress = Field(default="127.0.0.1:7420", description="HOST:PORT; port 0 takes a free one")
    token: str = Field(default="", description="one token for everybody and everything; empty: none")
    tokens: Path | None = Field(default=None, description="the file of tokens (`infilink token`)")
    tls_cert: Path | None = Field(default=None, description="the certificate to use TLS with")
    tls_key: Path | None = Field(default=None, description="its key")
    tls_client_ca: Path | None = Field(default=None, description="who signs the certificates that callers must show")
    insecure: bool = Field(default=False, description="listen to other machines without TLS or without tokens")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("`tls_cert` and `tls_key` go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("`tls_client_ca` needs `tls_cert` and `tls_key`: without TLS nobody shows a certificate")
        return self


class Entrance:
    """Where a gRPC service will be called: its port is taken, but nobody gets in before `open`.

    Who calls before is refused at once, as if nobody were there: else callers would wait without a word, and all come
    in at one moment.

    Args:
        config: the address, the certificate, and who may call.
        listen: another address than the configuration's; callers need no certificate there.

    Raises:
        InvalidInput: the port is taken, the certificate can't be used, or other machines could call without TLS or
            token and nobody has said that they may (`insecure`).
    """

    def __init__(self, config: EndpointConfig, *, listen: str | None = None) -> None:
        client_ca = config.tls_client_ca if listen is None else None
        listen = listen or config.listen
        check_exposed(listen, config)
        self._credentials = None
        if config.tls_cert is not None and config.tls_key is not None:
            self._credentials = ServerCertificate(config.tls_cert, config.tls_key, client_ca).credentials()
        self._held = _hold(listen)
        self.address = f"{listen.rpartition(':')[0]}:{self._held.getsockname()[1]}"

    def open(self, server: Any) -> None:
        """Has a server listen there; it answers once it is started.

        Raises:
            InvalidInput: it can't.
        """
        try:
            if self._credentials is None:
                server.add_insecure_port(self.address)
            else:
                server.add_secure_port(self.address, self._credentials)
        except RuntimeError as error:
            raise InvalidInput(f"can't listen on {self.address}: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Gives the port up if it was not opened; closing twice is fine."""
        self._held.close()


def check_exposed(listen: str, config: EndpointConfig) -> None:
    """Makes sure that what other machines can call asks for TLS and for who calls, or that whoever runs it wants that.

    Raises:
        InvalidInput: it does not.
    """
    if is_loopback(listen):
        return
    missing = []
    if config.tls_cert is None:
        missing.append("without TLS (`tls_cert`, `tls_key`) all can read and change what travels")
    if not config.token and config.tokens is None and config.tls_client_ca is None:
        missing.append("without tokens (`tokens`; `infilink token new NAME`) all may call it")
    if not missing:
        return
    text = f"{listen} can be called by other machines: {'; '.join(missing)}"
    if not config.insecure:
        raise InvalidInput(f"{text}. Give both (docs/SECURITY.md), listen on 127.0.0.1, or say `--insecure`")
    logger.warning("%s", text)


@asynccontextmanager
async def abort_on_error(context: Any) -> AsyncIterator[None]:
    """Ends a call with the status of one of our errors; any other error is logged and sent without detail."""
    try:
        yield
        return
    except InfilinkError as error:
        code, text, told = error.code, for_outside(str(error)), retry_metadata(error)
    except (asyncio.CancelledError, grpc.aio.AbortError, grpc.aio.InternalError):
        raise  # The last: the caller has gone, so that nothing can be sent; gRPC passes over it.
    except Exception:
        logger.exception("a call failed")
        code, text, told = grpc.StatusCode.INTERNAL, "the other side failed; its log says how", ()
    # Out here, gRPC does not keep the error with all that was at hand when it was raised.
    await context.abort(code, text, told)


def retry_metadata(error: InfilinkError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata that says when to try again: for whoever reads it, and as gRPC's own clients obey it."""
    if not isinstance(error, Overloaded) or not error.retry_after_ms:
        return ()
    after_ms = str(error.retry_after_ms)
    return (("retry-after-ms", after_ms), ("grpc-retry-pushback-ms", after_ms))


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
            f"the {here} is infilink {__version__}, the {there} {shown(theirs) if theirs else 'unknown'}: "
            f"install {'.'.join(ours)} on both",
        )


def _hold(listen: str) -> socket.socket:
    """Takes a port without listening on it; the system's error is clearer than gRPC's, too."""
    host, _, port = listen.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind)
    except OSError as error:
        raise _taken(listen, error) from error
    try:
        # Whoever listens in the end says so, too: then both may have it.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except OSError as error:
        held.close()
        raise _taken(listen, error) from error
    return held


def _taken(listen: str, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"can't listen on {listen}: {error.strerror}; stop what listens there, or give another `listen` "
        "(port 0: a free one)"
    )
