"""`infilink.v1.Federation` over gRPC: checks who joins, and carries messages between a stream and the aggregator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from ...errors import InvalidInput
from ...protos import federation_pb2, federation_pb2_grpc
from ..listening import abort_on_error, check_token, check_version
from .aggregator import Aggregator
from .members import Member

_JOIN_TIMEOUT_S = 10.0
_LONGEST_NAME = 100


class FederationService(federation_pb2_grpc.FederationServicer):
    """Serves sites from one aggregator.

    Args:
        aggregator: leads the rounds.
        token: what sites must know; empty: nothing.
    """

    def __init__(self, aggregator: Aggregator, *, token: str = "") -> None:
        self.aggregator = aggregator
        self.token = token
        self._open: set[asyncio.Event] = set()

    async def Learn(self, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any) -> None:  # noqa: N802
        """One site's stream, from Join to Done."""
        closed = asyncio.Event()
        self._open.add(closed)
        try:
            async with abort_on_error(context):
                await check_token(context, self.token)
                first = await self._first(messages, context)
                await self._serve(self.aggregator.join(first.join, first.ByteSize()), messages, context)
        finally:
            self._open.discard(closed)
            closed.set()

    async def drain(self, timeout_s: float) -> None:
        """Waits until every site has been sent its last message."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for closed in list(self._open):
                    await closed.wait()

    async def _serve(self, member: Member, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any) -> None:
        reader = asyncio.create_task(self._read(member, messages))
        try:
            while True:
                getter = asyncio.ensure_future(member.outbox.get())
                await asyncio.wait({getter, reader}, return_when=asyncio.FIRST_COMPLETED)
                if reader.done():
                    getter.cancel()
                    reader.result()  # Raises what was wrong with a message; else the site has said goodbye.
                    return
                message = getter.result()
                if message is None:
                    return
                # Before it goes: whoever has heard the last one may be gone already when `write` returns.
                member.sent_bytes += message.ByteSize()
                await context.write(message)
        finally:
            reader.cancel()
            self.aggregator.leave(member)

    async def _read(self, member: Member, messages: AsyncIterator[federation_pb2.SiteMessage]) -> None:
        async for message in messages:
            self.aggregator.take(member, message)

    async def _first(
        self, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any
    ) -> federation_pb2.SiteMessage:
        try:
            async with asyncio.timeout(_JOIN_TIMEOUT_S):
                first = await anext(aiter(messages))
        except (TimeoutError, StopAsyncIteration):
            raise InvalidInput("a stream begins with Join") from None
        if not first.HasField("join") or not 0 < len(first.join.site) <= _LONGEST_NAME:
            raise InvalidInput(f"a stream begins with Join, naming `site` in 1 to {_LONGEST_NAME} characters")
        await check_version(context, first.join.version, here="aggregator", there="site")
        return first
