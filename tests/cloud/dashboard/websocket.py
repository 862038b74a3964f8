"""A device that speaks over a WebSocket, without a browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infilink.protos import edge_pb2
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)


@dataclass
class Socket:
    """An open WebSocket.

    Attributes:
        closed: the code and the reason it was closed with; None: it is open.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connection: WSConnection
    closed: tuple[int, str] | None = None
    _events: list[Event] = field(default_factory=list)

    async def send(self, message: edge_pb2.DeviceMessage | bytes | str) -> None:
        """Sends one message; nothing, if the other side has closed it."""
        if self.connection.state is not ConnectionState.OPEN:
            return
        data = message.SerializeToString() if isinstance(message, edge_pb2.DeviceMessage) else message
        event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        self.writer.write(self.connection.send(event))
        await self.writer.drain()

    async def hear(self) -> edge_pb2.CoordinatorMessage | None:
        """The next message; None: it was closed."""
        whole = bytearray()
        while True:
            event = await self.event()
            if isinstance(event, CloseConnection):
                self.closed = (int(event.code), event.reason or "")
                return None
            if isinstance(event, BytesMessage):
                whole += event.data
                if event.message_finished:
                    return edge_pb2.CoordinatorMessage.FromString(bytes(whole))
            if isinstance(event, Ping):
                self.writer.write(self.connection.send(event.response()))

    async def ended(self) -> tuple[int, str]:
        """The code and reason that it ends with."""
        while self.closed is None:
            await self.hear()
        return self.closed

    async def event(self) -> Event:
        """What comes next."""
        while not self._events:
            data = await self.reader.read(2**16)
            self.connection.receive_data(data or None)
            self._events += self.connection.events()
        return self._events.pop(0)


@asynccontextmanager
async def opened(address: str, path: str, *, headers: dict[str, str] | None = None) -> AsyncIterator[Socket | int]:
    """A WebSocket to HOST:PORT; the status it is rejected with, if it is."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    connection = WSConnection(ConnectionType.CLIENT)
    given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    writer.write(connection.send(Request(host=address, target=path, extra_headers=given)))
    socket = Socket(reader, writer, connection)
    try:
        first = await socket.event()
        if isinstance(first, RejectConnection):
            yield first.status_code
        else:
            assert isinstance(first, AcceptConnection)
            yield socket
    finally:
        writer.close()
        await writer.wait_closed()
