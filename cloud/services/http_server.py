"""A web application at an address, in the daemon's event loop: with its certificate, until the daemon stops."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import uvicorn
import wsproto  # noqa: F401 - uvicorn takes it by its name, late: where it is missing, that is said at the start.
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from ...errors import InfilinkError, InvalidInput
from ..config import CloudConfig
from ..endpoint import check_exposed
from ..security.certificates import ServerCertificate

logger = logging.getLogger(__name__)

_STOP_S = 10
_PING_TIMEOUT_S = 120
_MOST_CONNECTIONS = 1024
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


def http_status(error: InfilinkError) -> int:
    """The status of HTTP that an error is answered with."""
    return _STATUSES.get(error.code, 500)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        """Signals are for the daemon that this is a part of."""
        yield


@asynccontextmanager
async def serve_http(
    routes: Sequence[BaseRoute], listen: str, config: CloudConfig, *, setting: str
) -> AsyncIterator[str]:
    """Answers at `listen` while the body runs; gives the address.

    Args:
        routes: what is answered there.
        listen: HOST:PORT; port 0: any that is free.
        config: the certificate and who may call.
        setting: what the address is called in cloud.toml, for messages.

    Raises:
        InvalidInput: the address can't be listened on, or other machines could call it without TLS or token.
    """
    check_exposed(listen, config)
    host, _, port = listen.rpartition(":")
    try:
        family, kind, number, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, number)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Who calls before the server has begun waits for it, and is not refused.
        listening.listen()
    except OSError as error:
        raise InvalidInput(f"can't listen on {listen} (`{setting}`): {error.strerror}") from error
    server = _Server(
        uvicorn.Config(
            Starlette(routes=routes),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="wsproto",
            # As over gRPC: an input that is a little too large is refused by itself.
            ws_max_size=2 * config.max_input_bytes + 2**20,
            ws_per_message_deflate=False,
            # While an overloaded coordinator reads nothing, it does not read either that somebody is there.
            ws_ping_timeout=_PING_TIMEOUT_S,
            http="h11",
            loop="none",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=_STOP_S,
            server_header=False,
            ssl_context_factory=_context(config),
        )
    )
    serving = asyncio.create_task(server.serve([listening]))
    try:
        found = f"{host}:{listening.getsockname()[1]}"
        logger.info("HTTP on %s (`%s`)", found, setting)
        yield found
    finally:
        server.should_exit = True
        await serving
        listening.close()


def _context(config: CloudConfig) -> Callable[..., Any] | None:
    """What makes uvicorn's TLS; None: there is none."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    certificate = ServerCertificate(config.tls_cert, config.tls_key, config.tls_client_ca)
    return lambda *_: certificate.context()
