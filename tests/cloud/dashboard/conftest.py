"""A coordinator with its web pages behind real servers."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.dashboard.app import Dashboard, open_dashboard
from infilink.cloud.phones.authority import LocalAuthority
from infilink.cloud.security.guard import Guard
from infilink.cloud.services.edge import EdgeService
from infilink.cloud.services.http_server import serve_http
from infilink.protos import edge_pb2, edge_pb2_grpc

from ...filters.conftest import draw, write_trace
from ..messages import hello

HERE = "127.0.0.1:0"
"""Where pages are; they are asked where that really is."""


@dataclass
class Site:
    """A coordinator, a browser's client, and a device's stub."""

    coordinator: Coordinator
    dashboard: Dashboard
    client: httpx.AsyncClient
    stub: edge_pb2_grpc.EdgeStub

    async def send(self, *messages: edge_pb2.DeviceMessage, **fields: str) -> list[edge_pb2.CoordinatorMessage]:
        """What a device hears that sends these and goes."""

        async def all_of_it():
            yield edge_pb2.DeviceMessage(hello=hello(**fields))
            for message in messages:
                yield message

        return [each async for each in self.stub.Connect(all_of_it())][1:]


@asynccontextmanager
async def site_of(coordinator: Coordinator, authority: LocalAuthority | None = None) -> AsyncIterator[Site]:
    """Serves a coordinator that has started, with its pages, by TLS if an authority has signed its certificate."""
    edge, guard = EdgeService(coordinator), Guard.of(coordinator.config)
    if guard.tokens is not None:
        coordinator.enrollment.on_token = guard.tokens.look_now
    server = grpc.aio.server()
    edge_pb2_grpc.add_EdgeServicer_to_server(edge, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncExitStack() as stack:
        dashboard = stack.enter_context(open_dashboard(coordinator, guard, edge, authority))
        stack.push_async_callback(server.stop, None)
        web = serve_http(dashboard.routes(), HERE, coordinator.config, setting="dashboard_listen")
        address = await stack.enter_async_context(web)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        coordinator.enrollment.pages_port = int(address.rpartition(":")[2])
        # Without TLS it reads no certificates: those of all authorities take their time, for each test.
        trusted = False if authority is None else ssl.create_default_context(cafile=str(authority.for_phones))
        url = f"{'http' if authority is None else 'https'}://{address}"
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, verify=trusted))
        yield Site(coordinator, dashboard, client, edge_pb2_grpc.EdgeStub(channel))
        coordinator.stop()


@pytest.fixture
def visit(serve: Callable, make_model, tmp_path: Path) -> Callable:
    """Runs a story with all of it."""
    models = tmp_path / "models"
    for name in ("bright", "corner"):
        make_model(models, name)

    def run(
        story: Callable[[Site], Awaitable[None]], *, authority: LocalAuthority | None = None, **settings: object
    ) -> None:
        async def whole(coordinator: Coordinator) -> None:
            async with site_of(coordinator, authority) as site:
                await story(site)

        own: dict[str, object] = {}
        if authority is not None:
            own = {"tls_cert": authority.pages_cert, "tls_key": authority.server_key, "dashboard_listen": HERE}
        serve(whole, **{"models": models, **own, **settings})

    return run


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a square that comes and goes."""
    return write_trace(tmp_path_factory.mktemp("recorded") / "door.trace", inputs=400)


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A folder of recordings with that one."""
    found = tmp_path / "recordings"
    found.mkdir()
    (found / recorded.name).write_bytes(recorded.read_bytes())
    return found


@pytest.fixture
def blind(folder: Path) -> Path:
    """The same, with a model that does not see the square on its last two visits, from 347 on."""
    places = [0 if 347 <= i <= 390 else place for i, place in enumerate(draw(400, 0)[1])]
    write_trace(folder / "blind.trace", inputs=400, said=places)
    return folder
