"""The gRPC service `infilink.v1.Edge`: admits devices, serves their streams, and reports the status."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from ...errors import InvalidInput, Overloaded
from ...protos import edge_pb2, edge_pb2_grpc
from ..coordinator import Coordinator
from ..endpoint import abort_on_error, check_token
from ..sessions.admission import namesakes
from ..sessions.session import Session
from ..sessions.stream import DeviceStream
from ..telemetry import status_reply

logger = logging.getLogger(__name__)

_HELLO_TIMEOUT_S = 10.0
_REPLACE_TIMEOUT_S = 5.0
_NAMESAKE = (
    "{}: two agents of this name are connected: what is learnt and counted by the name mixes both; end one of them, or "
    "give each a `name` of its own"
)


class EdgeService(edge_pb2_grpc.EdgeServicer):
    """Serves devices from one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    async def Connect(self, messages: AsyncIterator[edge_pb2.DeviceMessage], context: Any) -> None:  # noqa: N802
        """Serves one device's stream, from Hello to its end."""
        async with abort_on_error(context):
            await check_token(context, self.coordinator.config.token)
            hello = await self._hello(messages)
            if self.coordinator.stopping:
                raise Overloaded("the coordinator is stopping")
            session = self.coordinator.open_session(hello)
            others = namesakes(hello, self.coordinator.sessions.values())
            stream = self.coordinator.stream(session)
            await self._replace(session, stream)
            logger.info("%s: connected", session.key.device)
            try:
                await context.write(edge_pb2.CoordinatorMessage(welcome=self.coordinator.welcome(session)))
                if others:
                    text = _NAMESAKE.format(session.key.device)
                    logger.warning("%s", text)
                    for connection in (stream, *(other.connection for other in others)):
                        if connection is not None:
                            connection.notify(text)
                await stream.run(messages, context.write)
            finally:
                if session.connection is stream:
                    session.connection = None
                logger.info("%s: disconnected after %d inputs", session.key.device, session.inputs)
            if stream.stopped:
                raise Overloaded("the coordinator is stopping, or another connection of the session replaced this one")

    async def GetStatus(self, _: edge_pb2.StatusRequest, context: Any) -> edge_pb2.StatusReply:  # noqa: N802
        """The plan, the memory, and all counters."""
        async with abort_on_error(context):
            await check_token(context, self.coordinator.config.token)
            return status_reply(self.coordinator)
        raise AssertionError("abort raises")

    async def _hello(self, messages: AsyncIterator[edge_pb2.DeviceMessage]) -> edge_pb2.Hello:
        try:
            async with asyncio.timeout(_HELLO_TIMEOUT_S):
                first = await anext(aiter(messages))
        except (TimeoutError, StopAsyncIteration):
            raise InvalidInput("a stream begins with Hello") from None
        hello = first.hello
        if not first.HasField("hello") or not hello.device or not hello.session:
            raise InvalidInput("a stream begins with Hello, naming `device` and `session`")
        return hello

    async def _replace(self, session: Session, stream: DeviceStream) -> None:
        """Makes this the session's connection; an earlier one that is still open answers what it has read, and ends."""
        before, session.connection = session.connection, stream
        if isinstance(before, DeviceStream):
            before.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPLACE_TIMEOUT_S):
                    await before.finished.wait()
