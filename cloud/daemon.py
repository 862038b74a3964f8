"""The coordinator as a process: it starts, serves until a signal, and stops in order."""

import asyncio
import ctypes
import gc
import logging
import os
import signal
import socket
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ..errors import InvalidInput
from ..files import replacing
from ..protos import edge_pb2, edge_pb2_grpc, models_pb2, models_pb2_grpc
from .config import CloudConfig
from .coordinator import Coordinator
from .endpoint import SERVER_OPTIONS, bind
from .scrape import read_status, serve_metrics
from .security.guard import Guard
from .security.message_size import CHECKS
from .services.edge import EdgeService
from .services.inference import SERVICE as INFERENCE
from .services.inference import InferenceService
from .services.models import ModelsService
from .status_text import as_json
from .telemetry import status_reply

logger = logging.getLogger(__name__)

_STOP_S = 10.0
# Beside devices' streams, open at once: requests, those who look on, and what ends. A call holds what came of a message
# until that is whole, before anybody here knows how large it is; of one connection more calls wait on its side.
_MORE_CALLS, _MORE_CALLS_OF_ONE = 512, 128
# Of glibc's malloc.h.
_M_ARENA_MAX = -8
_SERVICE = edge_pb2.DESCRIPTOR.services_by_name["Edge"].full_name
_MODELS = models_pb2.DESCRIPTOR.services_by_name["Models"].full_name


def serve(config: CloudConfig, *, status_file: Path | None = None) -> None:
    """Serves until SIGTERM or SIGINT.

    Prints `ready on HOST:PORT` to stdout once devices can connect.

    Args:
        config: the settings.
        status_file: where to write the final status, as JSON.

    Raises:
        InvalidInput: the port is taken, or the models, the links and the budget do not fit together.
    """
    _keep_few_arenas()
    asyncio.run(_serve(config, status_file))


async def _serve(config: CloudConfig, status_file: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guard = Guard.of(config, CHECKS)
    server, healthy = _make_server(config, guard), health.aio.HealthServicer()
    # Before the models are loaded, which takes time: a port in use is an error at once.
    port = bind(server, config)
    coordinator = Coordinator(config)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(coordinator.close)
        if config.metrics_listen is not None:
            await stack.enter_async_context(serve_metrics(coordinator, config.metrics_listen))
        if not await _unless(stop, coordinator.start()):
            return
        read_status(coordinator)
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)  # type: ignore[no-untyped-call]
        models_pb2_grpc.add_ModelsServicer_to_server(ModelsService(coordinator), server)  # type: ignore[no-untyped-call]
        inference = InferenceService(coordinator)
        inference.add_to(server)
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        _reflect(server)
        rest = await stack.enter_async_context(AsyncExitStack())
        if config.http_listen is not None:
            await rest.enter_async_context(_serve_rest(coordinator, inference, guard))
        await server.start()
        for service in ("", _SERVICE, INFERENCE):
            await healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
        # What is there by now stays: else all stands still for some 100 ms each time that it is looked through.
        gc.collect()
        gc.freeze()
        print(f"ready on {config.listen.rpartition(':')[0]}:{port}", flush=True)
        _tell_systemd("READY=1")
        await stop.wait()
        logger.info("stopping")
        _tell_systemd("STOPPING=1")
        await healthy.enter_graceful_shutdown()
        coordinator.stop()
        inference.stop()
        await _drain(server, rest)
        if status_file is not None:
            _write_status(status_file, status_reply(coordinator))


async def _drain(server: Any, rest: AsyncExitStack) -> None:
    """Waits for what was taken to be answered, over gRPC and HTTP at once, as long as `_STOP_S`."""
    began_s = time.monotonic()
    await asyncio.gather(server.stop(_STOP_S), rest.aclose())
    if time.monotonic() - began_s >= _STOP_S:
        logger.warning("calls that were still open after %g s were ended", _STOP_S)


def _tell_systemd(state: str) -> None:
    """Tells whoever started this as `Type=notify`; nobody else has set the variable."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, suppress(OSError):
        # A name that begins with @ is one without a file.
        told.sendto(state.encode(), f"\0{name[1:]}" if name.startswith("@") else name)


def _keep_few_arenas() -> None:
    """Gives back what large messages took to the system: with an arena for each of gRPC's threads, most stays."""
    with suppress(OSError):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_ARENA_MAX, 2)


async def _unless(stop: asyncio.Event, work: Any) -> bool:
    """Runs `work` to its end; False if `stop` is set before."""
    task, stopped = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        return False
    await task
    return True


def _make_server(config: CloudConfig, guard: Guard) -> Any:
    return grpc.aio.server(
        interceptors=[guard],
        maximum_concurrent_rpcs=2 * config.max_devices + _MORE_CALLS,
        options=[
            ("grpc.max_concurrent_streams", config.max_devices + _MORE_CALLS_OF_ONE),
            # An input that is a little too large is refused by itself; one that is far too large ends the stream.
            ("grpc.max_receive_message_length", 2 * config.max_input_bytes + 2**20),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            *SERVER_OPTIONS,
        ],
    )


def _serve_rest(
    coordinator: Coordinator, inference: InferenceService, guard: Guard
) -> AbstractAsyncContextManager[str]:
    """The same over HTTP, and what Prometheus reads beside it; imported late, as few use it."""
    try:
        from .services.rest import serve_rest
    except ModuleNotFoundError as error:
        raise InvalidInput(f"`http_listen` needs {error.name}: pip install 'infilink[cloud]'") from error
    return serve_rest(inference, guard, coordinator)


def _reflect(server: Any) -> None:
    """Lets tools such as grpcurl list the services, if the package for it is installed."""
    try:
        from grpc_reflection.v1alpha import reflection
    except ModuleNotFoundError:
        return
    reflection.enable_server_reflection(
        (_SERVICE, _MODELS, INFERENCE, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )


def _write_status(path: Path, status: edge_pb2.StatusReply) -> None:
    with replacing(path) as part:
        part.write_text(as_json(status) + "\n", encoding="utf-8")
