"""A line to a server that is as bad as a test says: slow, far, dead, half dead, cut."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from typing import Any, Literal, Self, TypeVar

Way = Literal["up", "down"]
WAYS: tuple[Way, ...] = ("up", "down")
"""From the device to the server, and back."""

# What a modem keeps, in bytes; kernels' own buffers on loopback would hold megabytes.
_BUFFER_BYTES = 16 * 2**10
_PIECE_BYTES, _MOST_PASSING = 1024, 1024
# As on the internet: on loopback a packet has 64 KiB, and a sender's buffer room for many.
_PACKET_BYTES = 1400
_TIMEOUT_S = 300.0

Value = TypeVar("Value")


class Link:
    """A TCP proxy on loopback, in a thread of its own; a fault is there when the method that makes it returns.

    Args:
        target: the server's HOST:PORT; it need not listen yet.
        latency_s: how long a byte travels, each way.
        rate_bytes_s: how many bytes pass in a second, each way, for all connections together; 0: as many as come.
        buffer_bytes: how many bytes each way of a connection may be on the line; more wait with whoever sends.

    Attributes:
        address: where the device connects.
        accepted_s: when each connection came, by the monotonic clock.
        passed: how many bytes passed each way.
    """

    def __init__(
        self, target: str, *, latency_s: float = 0.0, rate_bytes_s: float = 0.0, buffer_bytes: int = _BUFFER_BYTES
    ) -> None:
        host, _, port = target.rpartition(":")
        self.target = (host.strip("[]"), int(port))
        self.latency_s = latency_s
        self.rate_bytes_s = rate_bytes_s
        self.buffer_bytes = buffer_bytes
        self.accepted_s: list[float] = []
        self.passed: dict[Way, int] = dict.fromkeys(WAYS, 0)
        self._came = threading.Semaphore(0)
        self._free_s = dict.fromkeys(WAYS, 0.0)
        self._held: dict[Way, asyncio.Event] = {}
        self._loses: set[Way] = set()
        self._carried: dict[asyncio.Task[None], _Connection] = {}
        self._accepting: asyncio.Task[None]
        self._loop = asyncio.new_event_loop()
        self._listener = self._listen(0)
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._thread.start()
        self._do(self._open())

    def wait_for_connections(self, count: int) -> None:
        """Until so many more than were waited for have come."""
        for _ in range(count):
            assert self._came.acquire(timeout=_TIMEOUT_S), "nobody connects"

    def hold(self, *ways: Way) -> None:
        """Nothing passes until `heal`; what was sent meanwhile arrives then, as TCP sends it again."""

        async def begin() -> None:
            for way in ways or WAYS:
                self._held[way].clear()

        self._do(begin())

    def lose(self, *ways: Way) -> None:
        """A black hole (one way: half-open): what is sent is lost, nobody is told; such connections stay dead."""

        async def begin() -> None:
            self._loses.update(ways or WAYS)
            for connection in self._carried.values():
                connection.dead.update(self._loses)

        self._do(begin())

    def reset(self) -> None:
        """Ends every connection at once, in both directions, as a router does that has forgotten them."""
        self._do(self._end_all())

    def refuse(self) -> None:
        """Ends every connection, and refuses new ones until `heal`."""

        async def end() -> None:
            await self._end_listening()
            await self._end_all()

        self._do(end())

    def heal(self) -> None:
        """As good as at first; who was lost meanwhile does not learn of it."""

        async def open_again() -> None:
            self._loses.clear()
            for held in self._held.values():
                held.set()
            if self._accepting.done():
                self._listener = self._listen(int(self.address.rpartition(":")[2]))
                self._accepting = asyncio.create_task(self._accept())

        self._do(open_again())

    def close(self) -> None:
        """Ends everything; closing twice is fine."""
        if not self._thread.is_alive():
            return
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT_S)
        self._loop.close()

    def __enter__(self) -> Self:
        """The line itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends everything."""
        self.close()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by what is accepted; before it listens, as the window is agreed on in the handshake.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer_bytes)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _PACKET_BYTES)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
        listener.setblocking(False)
        return listener

    async def _open(self) -> None:
        for way in WAYS:
            self._held[way] = asyncio.Event()
            self._held[way].set()
        self._accepting = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            near, _ = await self._loop.sock_accept(self._listener)
            self.accepted_s.append(time.monotonic())
            self._came.release()
            connection = _Connection(self, near, set(self._loses))
            self._carried[asyncio.create_task(connection.run())] = connection

    async def _end_listening(self) -> None:
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listener.close()

    async def _end_all(self) -> None:
        ending = tuple(self._carried)
        for task in ending:
            task.cancel()
        connections = [self._carried.get(task) for task in ending]
        await asyncio.gather(*ending, return_exceptions=True)
        for connection in connections:
            if connection is not None:
                connection.end()  # One that had not begun yet.

    def forget(self, connection: "_Connection") -> None:
        """A connection has ended."""
        self._carried = {task: each for task, each in self._carried.items() if each is not connection}

    async def pass_on(self, way: Way, size_bytes: int) -> None:
        """Waits until so many bytes have entered the line, which all connections share."""
        if self.rate_bytes_s:
            now_s = time.monotonic()
            self._free_s[way] = max(now_s, self._free_s[way]) + size_bytes / self.rate_bytes_s
            await asyncio.sleep(self._free_s[way] - now_s)

    async def arrive(self, way: Way, size_bytes: int) -> None:
        """Waits until what has entered the line may leave it."""
        await self._held[way].wait()
        self.passed[way] += size_bytes

    @property
    def piece_bytes(self) -> int:
        """How much travels at once."""
        return _PIECE_BYTES if self.rate_bytes_s else 16 * _PIECE_BYTES

    def _do(self, work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_S)


class _Connection:
    """One connection of a device, and the one to the server that it is carried over.

    Args:
        link: the line.
        near: the device's end.
        dead: the ways on which something was lost: nothing that comes after it can be read.
    """

    def __init__(self, link: Link, near: socket.socket, dead: set[Way]) -> None:
        self.link = link
        self.dead = dead
        self._ends = {"up": near, "down": socket.socket()}

    async def run(self) -> None:
        """Carries both ways until both have ended, or one end breaks."""
        carrying: list[asyncio.Task[None]] = []
        try:
            for end in self._ends.values():
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far = self._ends["down"]
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.link.buffer_bytes)
            # The first packet of a connection is held and lost, too.
            await self.link.arrive("up", 0)
            if self.dead:
                await self._swallow()
                return
            await asyncio.get_running_loop().sock_connect(far, self.link.target)
            for way in WAYS:
                waiting = asyncio.Queue[bytes](max(1, self.link.buffer_bytes // _PIECE_BYTES))
                passing = asyncio.Queue[tuple[float, bytes]](_MOST_PASSING)
                works = (self._read(way, waiting), self._pass(way, waiting, passing), self._arrive(way, passing))
                carrying += map(asyncio.create_task, works)
            await asyncio.gather(*carrying)
        except OSError:
            pass  # An end was reset, or the server does not listen: so is the other end.
        finally:
            for task in carrying:
                task.cancel()
            await asyncio.gather(*carrying, return_exceptions=True)
            self.end()

    def end(self) -> None:
        """Ends both ends without an orderly farewell; where both have said farewell there is nothing to reset."""
        for end in self._ends.values():
            if end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
        self.link.forget(self)

    async def _swallow(self) -> None:
        """Takes what the device sends until it gives up."""
        while await asyncio.get_running_loop().sock_recv(self._ends["up"], _PIECE_BYTES):
            pass

    async def _read(self, way: Way, waiting: "asyncio.Queue[bytes]") -> None:
        loop, data = asyncio.get_running_loop(), b"-"
        while data:
            data = await loop.sock_recv(self._ends[way], self.link.piece_bytes)
            await waiting.put(data)

    async def _pass(
        self, way: Way, waiting: "asyncio.Queue[bytes]", passing: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        data = b"-"
        while data:
            data = await waiting.get()
            await self.link.pass_on(way, len(data))
            await passing.put((time.monotonic() + self.link.latency_s, data))

    async def _arrive(self, way: Way, passing: "asyncio.Queue[tuple[float, bytes]]") -> None:
        loop, data = asyncio.get_running_loop(), b"-"
        drain = self._ends["down" if way == "up" else "up"]
        while data:
            due_s, data = await passing.get()
            if (left_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            await self.link.arrive(way, len(data))
            if way in self.dead:
                continue
            if data:
                await loop.sock_sendall(drain, data)
            else:
                drain.shutdown(socket.SHUT_WR)
