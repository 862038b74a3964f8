"""A coordinator whose devices an operator sees and changes, behind a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.security.guard import Guard
from infilink.cloud.services.edge import EdgeService
from infilink.cloud.services.fleet import EnrollmentService, FleetService
from infilink.protos import edge_pb2, edge_pb2_grpc, fleet_pb2_grpc

from ..messages import hello


@dataclass
class Site:
    """A coordinator, and stubs of a device and of an operator."""

    coordinator: Coordinator
    edge: edge_pb2_grpc.EdgeStub
    fleet: fleet_pb2_grpc.FleetStub
    enrollment: fleet_pb2_grpc.EnrollmentStub

    async def connect(self, device: str = "door", *, token: str = "", **fields: str) -> "Line":
        """A device's stream, welcomed."""
        call = self.edge.Connect(metadata=bearer(token))
        # One that is refused may have ended before anything was written.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(edge_pb2.DeviceMessage(hello=hello(device, **fields)))
        line = Line(call)
        line.welcome = await line.hear()
        return line


@dataclass
class Line:
    """One stream of a device."""

    call: Any
    welcome: Any = None

    async def say(self, message: edge_pb2.DeviceMessage) -> None:
        await self.call.write(message)

    async def hear(self) -> Any:
        """The next message; EOF where it has ended, in whatever way."""
        with suppress(grpc.aio.AioRpcError):
            return await self.call.read()
        return grpc.aio.EOF

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        """How it ended; what was said before is read."""
        while await self.hear() is not grpc.aio.EOF:
            pass
        return await self.call.code(), await self.call.details()

    async def leave(self) -> None:
        await self.call.done_writing()
        await self.ended()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()


async def each(*messages: edge_pb2.DeviceMessage) -> AsyncIterator[edge_pb2.DeviceMessage]:
    for message in messages:
        yield message


@pytest.fixture
def run(serve: Callable, make_model, tmp_path: Path) -> Callable:
    """Runs a story with all of it; all coordinators of a test share their ledger."""
    models = make_model(tmp_path / "models", "bright").parent

    def start(story: Callable[[Site], Awaitable[None]], **settings: Any) -> None:
        async def whole(coordinator: Coordinator) -> None:
            guard = Guard.of(coordinator.config)
            guard.revoked_s = coordinator.fleet.revoked_s
            enrollment = coordinator.enrollment
            if guard.tokens is not None:
                enrollment.on_token = guard.tokens.look_now
            server = grpc.aio.server(interceptors=[guard])
            edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
            fleet_pb2_grpc.add_FleetServicer_to_server(FleetService(coordinator), server)
            fleet_pb2_grpc.add_EnrollmentServicer_to_server(EnrollmentService(enrollment), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    stubs = (
                        edge_pb2_grpc.EdgeStub(channel),
                        fleet_pb2_grpc.FleetStub(channel),
                        fleet_pb2_grpc.EnrollmentStub(channel),
                    )
                    await story(Site(coordinator, *stubs))
            finally:
                await server.stop(None)

        serve(whole, models=models, **settings)

    return start
