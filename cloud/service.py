"""`infilink.v1.Edge` over gRPC: greets devices, checks what they may, and turns our errors into statuses."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc

from .. import __version__
from ..errors import InfilinkError, InvalidInput, Overloaded
from ..protos import edge_pb2, edge_pb2_grpc
from .coordinator import Coordinator
from .session import Session
from .stream import DeviceStream

logger = logging.getLogger(__name__)

_HELLO_TIMEOUT_S = 10.0
_REPLACE_TIMEOUT_S = 5.0


@asynccontextmanager
async def abort_on_error(context: Any) -> AsyncIterator[None]:
    """Ends a call with the status of our own error; any other is logged here and leaves without detail."""
    try:
        yield
    except InfilinkError as error:
        await context.abort(error.code, str(error))
    except (asyncio.CancelledError, grpc.aio.AbortError):
        raise
    except Exception:
        logger.exception("a call failed")
        await context.abort(grpc.StatusCode.INTERNAL, "the coordinator failed; its log says how")


class EdgeService(edge_pb2_grpc.EdgeServicer):
    """Serves devices from one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    async def Connect(self, messages: AsyncIterator[edge_pb2.DeviceMessage], context: Any) -> None:  # noqa: N802
        """One device's stream, from Hello to its end."""
        async with abort_on_error(context):
            await self._check_token(context)
            hello = await self._hello(messages, context)
            if self.coordinator.stopping:
                raise Overloaded("the coordinator is stopping")
            session = self.coordinator.open_session(hello)
            stream = self.coordinator.stream(session)
            await self._replace(session, stream)
            logger.info("%s: connected", session.key.device)
            try:
                await context.write(edge_pb2.CoordinatorMessage(welcome=self.coordinator.welcome()))
                await stream.run(messages, context.write)
            finally:
                if session.connection is stream:
                    session.connection = None
                    self.coordinator.rotation.forget(session.key)
                logger.info("%s: disconnected after %d inputs", session.key.device, session.inputs)
            if stream.stopped:
                raise Overloaded("the coordinator is stopping, or another connection took this one's place")

    async def GetStatus(self, _: edge_pb2.StatusRequest, context: Any) -> edge_pb2.StatusReply:  # noqa: N802
        """What runs, what it takes, and what was counted."""
        async with abort_on_error(context):
            await self._check_token(context)
            return self.coordinator.status()
        raise AssertionError("abort raises")

    async def _check_token(self, context: Any) -> None:
        token = self.coordinator.config.token
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if token and not hmac.compare_digest(str(given).encode(), f"Bearer {token}".encode()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong (`token`)")

    async def _hello(self, messages: AsyncIterator[edge_pb2.DeviceMessage], context: Any) -> edge_pb2.Hello:
        try:
            async with asyncio.timeout(_HELLO_TIMEOUT_S):
                first = await anext(aiter(messages))
        except (TimeoutError, StopAsyncIteration):
            raise InvalidInput("a stream begins with Hello") from None
        hello = first.hello
        if not first.HasField("hello") or not hello.device or not hello.session:
            raise InvalidInput("a stream begins with Hello, naming `device` and `session`")
        ours, theirs = __version__.split(".")[:2], hello.version.split(".")[:2]
        if ours != theirs:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"the coordinator is infilink {__version__}, the device {hello.version or 'unknown'}: "
                f"install {'.'.join(ours)} on both",
            )
        return hello

    async def _replace(self, session: Session, stream: DeviceStream) -> None:
        """Makes this the session's connection; one that is still there from before finishes what it has begun."""
        before, session.connection = session.connection, stream
        if isinstance(before, DeviceStream):
            before.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPLACE_TIMEOUT_S):
                    await before.finished.wait()
