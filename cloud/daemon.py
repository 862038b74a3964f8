"""The coordinator as a process: it starts, serves until a signal, and stops in order."""

import asyncio
import ctypes
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ..errors import InvalidInput
from ..files import replacing
from ..protos import edge_pb2, edge_pb2_grpc, fleet_pb2, fleet_pb2_grpc, models_pb2, models_pb2_grpc
from ..protos.systemd import notify
from .config import CloudConfig
from .coordinator import Coordinator
from .endpoint import SERVER_OPTIONS, Entrance
from .fleet.enrollment import Enrollment
from .scrape import read_status, serve_metrics
from .security.guard import Guard
from .security.message_size import CHECKS
from .services.edge import EdgeService
from .services.fleet import EnrollmentService, FleetService
from .services.inference import SERVICE as INFERENCE
from .services.inference import InferenceService
from .services.models import ModelsService
from .status_text import as_json
from .telemetry import status_reply

if TYPE_CHECKING:
    from .phones.authority import LocalAuthority

logger = logging.getLogger(__name__)

_STOP_S = 10.0
# Beside devices' streams, open at once: requests, those who look on, and what ends. A call holds what came of a message
# until that is whole, before anybody here knows how large it is; of one connection more calls wait on its side.
_MORE_CALLS, _MORE_CALLS_OF_ONE = 512, 128
_MOST_ENROLLING, _ENROLL_BYTES = 32, 64 * 2**10
# Of glibc's malloc.h.
_M_ARENA_MAX = -8
_SERVICE = edge_pb2.DESCRIPTOR.services_by_name["Edge"].full_name
_FLEET = fleet_pb2.DESCRIPTOR.services_by_name["Fleet"].full_name
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
    authority = None
    if config.phone:
        config, authority = _ready_for_phones(config)
    asyncio.run(_serve(config, status_file, authority))


async def _serve(config: CloudConfig, status_file: Path | None, authority: "LocalAuthority | None") -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guard = Guard.of(config, CHECKS)
    server, healthy = _make_server(config, guard), health.aio.HealthServicer()
    # Before the models are loaded, which takes time: a port in use is an error at once.
    entrance = Entrance(config)
    async with AsyncExitStack() as stack:
        stack.callback(entrance.close)
        side_door = None if config.enroll_listen is None else Entrance(config, listen=config.enroll_listen)
        if side_door is not None:
            stack.callback(side_door.close)
        coordinator = Coordinator(config)
        stack.push_async_callback(coordinator.close)
        if config.metrics_listen is not None:
            await stack.enter_async_context(serve_metrics(coordinator, config.metrics_listen))
        if not await _unless(stop, coordinator.start()):
            return
        read_status(coordinator)
        enrollment = _enrollment(coordinator, guard, entrance, side_door)
        enrollment.trusted = b"" if authority is None else authority.for_devices.read_bytes()
        edge, inference = EdgeService(coordinator), InferenceService(coordinator)
        _add_services(server, edge, inference, enrollment)
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        rest = await stack.enter_async_context(AsyncExitStack())
        pages = config if authority is None else config.model_copy(update={"tls_cert": authority.pages_cert})
        for listen, (setting, routes) in _web(edge, inference, guard, stack, authority).items():
            address = await rest.enter_async_context(_serve_web(routes, listen, pages, setting))
            if listen == config.dashboard_listen:
                enrollment.pages_port = int(address.rpartition(":")[2])
        entrance.open(server)
        await server.start()
        if side_door is not None:
            await stack.enter_async_context(_serve_enrollment(side_door, enrollment))
        for service in ("", _SERVICE, INFERENCE):
            await healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
        # What is there by now stays: else all stands still for some 100 ms each time that it is looked through.
        gc.collect()
        gc.freeze()
        print(f"ready on {entrance.address}", flush=True)
        notify("READY=1")
        if config.phone:
            await _invite_phones(enrollment, authority, entrance.address, stack)
        await stop.wait()
        logger.info("stopping")
        notify("STOPPING=1")
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


def _add_services(server: Any, edge: EdgeService, inference: InferenceService, enrollment: Enrollment) -> None:
    coordinator = edge.coordinator
    edge_pb2_grpc.add_EdgeServicer_to_server(edge, server)  # type: ignore[no-untyped-call]
    models_pb2_grpc.add_ModelsServicer_to_server(ModelsService(coordinator), server)  # type: ignore[no-untyped-call]
    fleet_pb2_grpc.add_FleetServicer_to_server(FleetService(coordinator), server)  # type: ignore[no-untyped-call]
    fleet_pb2_grpc.add_EnrollmentServicer_to_server(EnrollmentService(enrollment), server)  # type: ignore[no-untyped-call]
    inference.add_to(server)
    _reflect(server)


@asynccontextmanager
async def _serve_enrollment(side_door: Entrance, enrollment: Enrollment) -> AsyncIterator[None]:
    """Lets new devices enroll at an address of their own, where nothing else can be called."""
    server = grpc.aio.server(
        maximum_concurrent_rpcs=_MOST_ENROLLING,
        options=[("grpc.max_receive_message_length", _ENROLL_BYTES), ("grpc.so_reuseport", 0), *SERVER_OPTIONS],
    )
    fleet_pb2_grpc.add_EnrollmentServicer_to_server(EnrollmentService(enrollment), server)  # type: ignore[no-untyped-call]
    side_door.open(server)
    await server.start()
    logger.info("new devices enroll at %s (`enroll_listen`)", side_door.address)
    try:
        yield
    finally:
        await server.stop(None)


def _enrollment(coordinator: Coordinator, guard: Guard, entrance: Entrance, side_door: Entrance | None) -> Enrollment:
    """The coordinator's, which knows where devices come, and whose word the guard takes from now on."""
    guard.revoked_s = coordinator.fleet.revoked_s
    enrollment = coordinator.enrollment
    if guard.tokens is not None:
        enrollment.on_token = guard.tokens.look_now
    enrollment.devices_port = enrollment.port = int(entrance.address.rpartition(":")[2])
    if side_door is not None:
        enrollment.port = int(side_door.address.rpartition(":")[2])
    return enrollment


def _web(
    edge: EdgeService,
    inference: InferenceService,
    guard: Guard,
    stack: AsyncExitStack,
    authority: "LocalAuthority | None",
) -> dict[str, tuple[str, list[Any]]]:
    """What is answered over HTTP, by address: the name of its setting, and its routes; imported late, as few use it."""
    coordinator = edge.coordinator
    config, found = coordinator.config, dict[str, tuple[str, list[Any]]]()
    try:
        if config.http_listen is not None:
            from .services.rest import RestService

            found[config.http_listen] = ("http_listen", RestService(inference, guard, coordinator).routes())
        if config.dashboard_listen is not None:
            from .dashboard.app import open_dashboard

            _, before = found.get(config.dashboard_listen, ("", []))
            routes = [*before, *stack.enter_context(open_dashboard(coordinator, guard, edge, authority)).routes()]
            found[config.dashboard_listen] = ("dashboard_listen", routes)
    except ModuleNotFoundError as error:
        setting = "http_listen" if config.dashboard_listen is None else "dashboard_listen"
        raise InvalidInput(f"`{setting}` needs {error.name}: pip install 'infilink[cloud]'") from error
    return found


def _ready_for_phones(config: CloudConfig) -> "tuple[CloudConfig, LocalAuthority | None]":
    from .phones.ready import ready_for_phones

    return ready_for_phones(config)


async def _invite_phones(
    enrollment: Enrollment, authority: "LocalAuthority | None", listen: str, stack: AsyncExitStack
) -> None:
    from .phones.invitation import invite
    from .phones.ready import kept_renewed

    if authority is not None:
        await stack.enter_async_context(kept_renewed(authority))
    # What goes to a file or a journal is kept, and a code is not to be.
    print(await invite(enrollment, authority, listen=listen, shows_code=sys.stdout.isatty()), flush=True)


def _serve_web(routes: list[Any], listen: str, config: CloudConfig, setting: str) -> AbstractAsyncContextManager[str]:
    from .services.http_server import serve_http

    return serve_http(routes, listen, config, setting=setting)


def _reflect(server: Any) -> None:
    """Lets tools such as grpcurl list the services, if the package for it is installed."""
    try:
        from grpc_reflection.v1alpha import reflection
    except ModuleNotFoundError:
        return
    reflection.enable_server_reflection(
        (_SERVICE, _FLEET, _MODELS, INFERENCE, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )


def _write_status(path: Path, status: edge_pb2.StatusReply) -> None:
    with replacing(path) as part:
        part.write_text(as_json(status) + "\n", encoding="utf-8")
