"""A device as the coordinator hears it: it connects over gRPC, and every input that it sends is answered."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import grpc
from infilink.protos import edge_pb2, edge_pb2_grpc

from ..messages import hello


class FakeDevice:
    """One stream of a device, connected while it is entered.

    Args:
        stub: the coordinator's.
        fields: what its Hello says otherwise.
    """

    def __init__(self, stub: edge_pb2_grpc.EdgeStub, **fields: str) -> None:
        self.stub = stub
        self.hello = hello(**fields)
        self._outgoing: asyncio.Queue[edge_pb2.DeviceMessage | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._call = self.stub.Connect(self._messages())
        welcome = await self._call.read()
        assert welcome.WhichOneof("message") == "welcome", welcome
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outgoing.put_nowait(None)
        while await self._call.read() is not grpc.aio.EOF:
            pass

    async def _messages(self) -> AsyncIterator[edge_pb2.DeviceMessage]:
        yield edge_pb2.DeviceMessage(hello=self.hello)
        while (message := await self._outgoing.get()) is not None:
            yield message

    def tell(self, message: edge_pb2.DeviceMessage) -> None:
        """Sends what is not answered: a Report."""
        self._outgoing.put_nowait(message)

    async def send(self, message: edge_pb2.DeviceMessage) -> edge_pb2.CoordinatorMessage:
        """Sends an input; its answer."""
        self._outgoing.put_nowait(message)
        while True:
            answer: edge_pb2.CoordinatorMessage = await self._call.read()
            if answer.WhichOneof("message") in ("result", "refused"):
                return answer
