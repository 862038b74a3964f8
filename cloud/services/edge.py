"""The gRPC service `infilink.v1.Edge`: admits devices, serves their streams, and reports the status."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from ...errors import InfilinkError, InvalidInput, Overloaded
from ...protos import edge_pb2, edge_pb2_grpc
from ...protos.filter_file import pieces
from ..coordinator import Coordinator
from ..endpoint import abort_on_error
from ..publishing.subscribe import subscribe
from ..security.caller import current_caller
from ..security.text import LONGEST, shown
from ..sessions.admission import namesakes
from ..sessions.bounds import check_input, check_report
from ..sessions.entry import held_message
from ..sessions.outgoing import Write
from ..sessions.places import SILENT_S, Place, Places
from ..sessions.session import Session, session_key
from ..sessions.stream import DeviceStream
from ..telemetry import status_reply

logger = logging.getLogger(__name__)

_HELLO_TIMEOUT_S = 10.0
_REPLACE_TIMEOUT_S = 5.0
# Streams of other runs by the same name: none, in order; but one token must not take every place.
_MOST_NAMESAKES = 3
# The largest inputs that wait in one stream, and how often it is looked whether they still do.
_MOST_WAITING, _LOOKS_EVERY_S = 2, 0.01
_NAMESAKE = (
    "{}: two agents of this name are connected: what is learnt and counted by the name mixes both; end one of them, or "
    "give each a `name` of its own"
)
_WAITS = "this device sends more than `device_inputs_per_s` or `device_bytes_per_s` allow: it has to wait"
_STOPPED = (
    "the coordinator is stopping, another connection of the session replaced this one, the device has too many, or "
    "others needed its place, as it sent nothing"
)


class EdgeService(edge_pb2_grpc.EdgeServicer):
    """Serves devices from one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.places = Places(coordinator.config.max_devices)

    async def Connect(self, messages: AsyncIterator[edge_pb2.DeviceMessage], context: Any) -> None:  # noqa: N802
        """Serves one device's stream, from Hello to its end."""
        async with abort_on_error(context):
            await self.converse(messages, context.write)

    async def converse(self, messages: AsyncIterator[edge_pb2.DeviceMessage], write: Write) -> None:
        """Serves one device's stream, whatever carries it.

        Args:
            messages: what the device says, from Hello on.
            write: sends one message.

        Raises:
            InfilinkError: why the stream ends, where it is not the device that ends it.
        """
        hello = await self._hello(messages)
        session = await self._admit(hello)
        others = namesakes(hello, self.coordinator.sessions.values())
        stream = self.coordinator.stream(session)
        await self._replace(session, stream)
        place = self.places.take(session.key)
        note = partial(self.coordinator.noting.note, session.key.name, level=logging.INFO)
        is_told = note("connected", f"connected, by infilink {session.version}")
        try:
            await write(edge_pb2.CoordinatorMessage(welcome=self.coordinator.welcome(session)))
            session.connected_us = session.heard_us = time.time_ns() // 1000
            self.coordinator.fleet.admit(session)
            if session.held:
                await write(held_message())
            if others:
                text = _NAMESAKE.format(session.key.name)
                if is_told:
                    logger.warning("%s", text)
                for connection in (stream, *(other.connection for other in others)):
                    if connection is not None:
                        connection.notify(text)
            await stream.run(self._heard(messages, stream, place), write)
        finally:
            self.places.leave(session.key, place)
            if session.connection is stream:
                session.connection = None
            note("disconnected", f"disconnected after {session.inputs} inputs")
        if stream.stopped:
            self.coordinator.fleet.check(session.key.device)
            raise Overloaded(_STOPPED)

    async def GetStatus(self, _: edge_pb2.StatusRequest, context: Any) -> edge_pb2.StatusReply:  # noqa: N802
        """The plan, the memory, and all counters."""
        async with abort_on_error(context):
            return status_reply(self.coordinator)
        raise AssertionError("abort raises")

    async def Subscribe(self, request: edge_pb2.SubscribeRequest, context: Any) -> None:  # noqa: N802
        """What is answered, until whoever asks has enough."""
        async with abort_on_error(context):
            await subscribe(self.coordinator, request, context.write)

    async def GetFilter(self, request: edge_pb2.FilterRequest, context: Any) -> None:  # noqa: N802
        """A filter that is wanted on a stream, for its device."""
        async with abort_on_error(context):
            current_caller().check_device(request.device)
            self.coordinator.fleet.check_hello(request.device, current_caller())
            async for part in self.coordinator.filters.read(request):
                for piece in pieces(part):
                    await context.write(edge_pb2.FilterPiece(content=piece))

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

    async def _admit(self, hello: edge_pb2.Hello) -> Session:
        """The session that a Hello names; who runs the coordinator is told, too, of one that is refused."""
        stopping = Overloaded("the coordinator is stopping")
        try:
            await self.coordinator.recall(hello)
            self.coordinator.fleet.check_hello(hello.device, current_caller())
            if self.coordinator.stopping:
                raise stopping
            return self._open(hello)
        except InfilinkError as error:
            name = session_key(hello).name
            plain = name.isascii() and name.isprintable() and len(name) <= LONGEST
            if error is not stopping:
                self.coordinator.noting.note(name if plain else shown(name), "refused", f"refused: {error}")
            raise

    def _open(self, hello: edge_pb2.Hello) -> Session:
        """The session that a Hello names; where all places are taken, another one's stream may have to end for it."""
        sessions = self.coordinator.sessions
        known = sessions.get(session_key(hello))
        try:
            session = self.coordinator.open_session(hello)
        except Overloaded:
            other = None if known is not None else self.places.make_room(sessions)
            if other is None:
                raise
            self._end(other, f"gives its place to {session_key(hello).name}, as it sent nothing")
            session = self.coordinator.open_session(hello)
        # The oldest first: what a device that was cut off has left behind.
        for other in namesakes(hello, sessions.values())[:-_MOST_NAMESAKES]:
            self._end(other, "has more streams than a device needs: the oldest ends")
        return session

    def _end(self, session: Session, why: str) -> None:
        """Ends a session's stream, which has read what is still answered; its place is free at once."""
        if session.connection is not None:
            self.coordinator.noting.note(session.key.name, "ended", why)
            session.connection.stop()
            session.connection = None

    async def _heard(
        self, messages: AsyncIterator[edge_pb2.DeviceMessage], stream: DeviceStream, place: Place
    ) -> AsyncIterator[edge_pb2.DeviceMessage]:
        """A device's messages after Hello, within their bounds and its quota, until it is silent for too long."""
        config, told = self.coordinator.config, False
        quota, sizes = self.coordinator.quotas.of(stream.session.key.device), deque[int](maxlen=config.max_in_flight)
        while True:
            # Of what all streams may have waiting (`max_waiting_bytes`) none takes all.
            while sum(islice(reversed(sizes), stream.waiting)) > _MOST_WAITING * config.max_input_bytes:
                await asyncio.sleep(_LOOKS_EVERY_S)
            try:
                async with asyncio.timeout(SILENT_S):
                    message = await anext(messages)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise Overloaded(f"nothing was heard for {SILENT_S:g} s: the place is for others") from None
            kind = message.WhichOneof("message")
            self.places.heard(place, is_input=kind == "input")
            stream.session.heard_us = time.time_ns() // 1000
            if kind == "report":
                check_report(message.report)
                self.coordinator.fleet.check(stream.session.key.device)
            if kind in ("input", "frame"):
                size_bytes = message.ByteSize()
                if kind == "input":
                    check_input(message.input, stream.session.key.stream)
                    sizes.append(size_bytes)
                if await quota.wait(size_bytes, is_input=kind == "input") and not told:
                    told = True
                    stream.notify(_WAITS)
            yield message
            del message  # Else it stays until the next one comes.

    async def _replace(self, session: Session, stream: DeviceStream) -> None:
        """Makes this the session's connection; an earlier one that is still open answers what it has read, and ends."""
        before, session.connection = session.connection, stream
        if isinstance(before, DeviceStream):
            before.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPLACE_TIMEOUT_S):
                    await before.finished.wait()
