"""Strangers at a coordinator's door, many at once, and a healthy device that is served meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import grpc
import numpy as np
from infilink import __version__
from infilink.protos import edge_pb2

if TYPE_CHECKING:
    from .mutations import Mutations

_BAD = ("DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN")
BAD_ENDS = (*_BAD, "OK, but")
"""How no stream may end: hanging, or by a fault of the coordinator's."""
_CONNECT = "/infilink.v1.Edge/Connect"
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_AT_ONCE = 8
_ANSWERED_WITHIN_S = 20.0


@dataclass
class Healthy:
    """What a healthy device saw: how long each answer took, and those that were none."""

    latencies_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.latencies_s or [0.0], 100 * share))


async def drive(address: str, mutations: "Mutations", messages: int, *, inference: bool = True) -> Counter[str]:
    """Sends so many changed messages, each on a stream of its own, some at once; how the streams ended."""
    ends: Counter[str] = Counter()
    left = iter(range(messages))

    async def some(channel: grpc.aio.Channel) -> None:
        for _ in left:
            if inference and mutations.random.random() < 0.15:
                ends[await _infer(channel, mutations.request())] += 1
            else:
                ends[await _stream(channel, mutations)] += 1

    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.gather(*(some(channel) for _ in range(_AT_ONCE)))
    return ends


async def serve_healthy(address: str, seen: Healthy, stop: asyncio.Event, *, session: str) -> None:
    """A device that sends one input after the other until told to stop, and looks at each answer."""
    picture = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(
            _CONNECT, edge_pb2.DeviceMessage.SerializeToString, edge_pb2.CoordinatorMessage.FromString
        )()
        hello = edge_pb2.Hello(device="healthy", session=session, version=__version__)
        await call.write(edge_pb2.DeviceMessage(hello=hello))
        await call.read()
        sequence = 0
        while not stop.is_set():
            sent = edge_pb2.Input(
                sequence=sequence, captured_ns=sequence * 10**8, encoding=1, payload=picture, policy=edge_pb2.POLICY_ALL
            )
            began_s = time.perf_counter()
            await call.write(edge_pb2.DeviceMessage(input=sent))
            answer = await call.read()
            seen.latencies_s.append(time.perf_counter() - began_s)
            if answer.result.sequence != sequence or not answer.result.outputs:
                seen.wrong.append(str(answer)[:200])
            sequence += 1
            await asyncio.sleep(0.01)
        await call.done_writing()


async def _stream(channel: grpc.aio.Channel, mutations: "Mutations") -> str:
    """One stream: Hello, a changed message, and an input that must be answered if the stream still is."""
    hello = edge_pb2.DeviceMessage(hello=mutations.hello())
    first = mutations.changed(hello) if mutations.random.random() < 0.2 else hello.SerializeToString()
    changed, last = mutations.message(), mutations.input(10**6 + mutations.random.randrange(10**9))

    async def messages() -> AsyncIterator[bytes]:
        yield first
        yield changed
        yield edge_pb2.DeviceMessage(input=last).SerializeToString()

    call = channel.stream_stream(_CONNECT)(messages(), timeout=_ANSWERED_WITHIN_S)
    answered = False
    try:
        async for data in call:
            message = edge_pb2.CoordinatorMessage.FromString(data)
            answered |= last.sequence in (message.result.sequence, message.refused.sequence)
    except grpc.aio.AioRpcError as error:
        return _told(error)
    return "OK" if answered else "OK, but the last input has no answer"


async def _infer(channel: grpc.aio.Channel, request: bytes) -> str:
    try:
        await channel.unary_unary(_INFER)(request, timeout=_ANSWERED_WITHIN_S)
    except grpc.aio.AioRpcError as error:
        return f"infer: {_told(error)}"
    return "infer: OK"


def bad_ends(ends: Counter[str]) -> dict[str, int]:
    """The streams that ended so."""
    return {end: count for end, count in ends.items() if end.removeprefix("infer: ").startswith(BAD_ENDS)}


def _told(error: grpc.aio.AioRpcError) -> str:
    """How a call ended; where it should not have, with what was said."""
    name = error.code().name
    if error.details() == "Internal error from Core":
        return "ended while more was sent"  # By this side's own gRPC, which then does not say how.
    return f"{name}: {error.details()}" if name in _BAD else name
