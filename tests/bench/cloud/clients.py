"""Whoever asks: a device on its stream, a caller of the plain server, and one of mosec; and how much they ask."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import numpy as np
from infilink import __version__
from infilink.protos import edge_pb2, edge_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Ask = Callable[[bytes], Awaitable[bool]]


@dataclass
class Measured:
    """What came back, and how fast.

    Attributes:
        latencies_s: of the answers.
        refused: how many were refused.
        unsent: how many were not sent, as too many of that device waited, or it was told to wait.
        seconds: over how long.
    """

    latencies_s: list[float] = field(default_factory=list)
    refused: int = 0
    unsent: int = 0
    seconds: float = 0.0

    def quantile_ms(self, share: float) -> float:
        """A quantile of the answers' latencies."""
        return 1000 * float(np.quantile(self.latencies_s, share)) if self.latencies_s else float("nan")

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    def within_per_s(self, deadline_s: float) -> float:
        """Answers a second that came in time."""
        return sum(each <= deadline_s for each in self.latencies_s) / self.seconds


class Device:
    """One device's stream; `again_s` is when it may send more, as an overloaded coordinator has told it."""

    def __init__(self, channel: Any, name: str) -> None:
        self.again_s = 0.0
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.window = 1
        self._turn = asyncio.Lock()
        self._sequences = itertools.count(1)
        self._stub = edge_pb2_grpc.EdgeStub(channel)
        self._name = name

    async def open(self) -> Self:
        """Says Hello."""
        self._call = self._stub.Connect()
        hello = edge_pb2.Hello(device=self._name, version=__version__, session=str(time.time_ns()))
        await self._call.write(edge_pb2.DeviceMessage(hello=hello))
        self.window = (await self._call.read()).welcome.max_in_flight
        self._reader = asyncio.create_task(self._read())
        return self

    async def ask(self, jpeg: bytes, *, deadline_s: float = 0.0) -> bool:
        """Whether it was answered with a result."""
        sequence = next(self._sequences)
        answer = self.waiting[sequence] = asyncio.get_running_loop().create_future()
        now_ns = time.time_ns()
        sent = edge_pb2.Input(
            sequence=sequence,
            captured_ns=now_ns,
            deadline_ns=now_ns + int(deadline_s * 1e9) if deadline_s else 0,
            payload=jpeg,
            encoding=edge_pb2.ENCODING_JPEG,
            policy=edge_pb2.POLICY_ALL,
        )
        async with self._turn:
            await self._call.write(edge_pb2.DeviceMessage(input=sent))
        return bool(await answer)

    async def _read(self) -> None:
        while (message := await self._call.read()) is not grpc.aio.EOF:
            kind = message.WhichOneof("message")
            if kind == "pause":
                self.again_s = time.perf_counter() + message.pause.retry_after_s
            if kind in ("result", "refused"):
                self.waiting.pop(getattr(message, kind).sequence).set_result(kind == "result")

    async def close(self) -> None:
        """Ends the stream."""
        self._reader.cancel()
        self._call.cancel()
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await self._reader


def plain_caller(channel: Any) -> Ask:
    """Asks the plain server."""
    call = channel.unary_unary("/bench.Plain/Infer")

    async def ask(jpeg: bytes) -> bool:
        await call(jpeg)
        return True

    return ask


class HttpCaller:
    """Asks mosec over one connection that is kept."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, jpeg: bytes) -> bool:
        """Whether it was answered."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, int(self._port))
        reader, writer = self._streams
        head = f"POST /inference HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        writer.write(head.encode() + jpeg)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        size = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        await reader.readexactly(size)
        return b" 200" in lines[0]


async def keep_asking(asks: Sequence[Ask], jpegs: Sequence[bytes], *, seconds: float, warm_s: float = 1.0) -> Measured:
    """Each asks for the next one as soon as the last one is answered."""
    measured, pictures = Measured(seconds=seconds), itertools.cycle(jpegs)
    begin = time.perf_counter() + warm_s

    async def one(ask: Ask) -> None:
        while (asked := time.perf_counter()) < begin + seconds:
            answered = await ask(next(pictures))
            done = time.perf_counter()
            if begin <= done < begin + seconds:
                if answered:
                    measured.latencies_s.append(done - asked)
                else:
                    measured.refused += 1

    await asyncio.gather(*map(one, asks))
    return measured


async def ask_at_rate(
    devices: Sequence[Device],
    jpegs: Sequence[bytes],
    *,
    per_s: float,
    seconds: float,
    deadline_s: float = 0.0,
    warm_s: float = 0.0,
    heeds: bool = True,
) -> Measured:
    """They ask in turn at a fixed rate; who has too many waiting, or heeds that it is to wait, keeps its picture."""
    measured, pictures, tasks = Measured(seconds=seconds), itertools.cycle(jpegs), set()
    began = time.perf_counter()

    async def one(device: Device, jpeg: bytes, counts: bool) -> None:
        asked = time.perf_counter()
        answered = await device.ask(jpeg, deadline_s=deadline_s)
        if counts and answered:
            measured.latencies_s.append(time.perf_counter() - asked)
        elif counts:
            measured.refused += 1

    for number, device in enumerate(itertools.cycle(devices)):
        at_s = number / per_s
        if at_s > warm_s + seconds:
            break
        if (early_s := began + at_s - time.perf_counter()) > 0:
            await asyncio.sleep(early_s)
        counts = at_s >= warm_s
        if len(device.waiting) >= device.window or (heeds and time.perf_counter() < device.again_s):
            measured.unsent += counts
            next(pictures)
        else:
            tasks.add(task := asyncio.create_task(one(device, next(pictures), counts)))
            task.add_done_callback(tasks.discard)
        if number % 16 == 0:
            await asyncio.sleep(0)
    await asyncio.wait(tasks, timeout=30) if tasks else None
    return measured
