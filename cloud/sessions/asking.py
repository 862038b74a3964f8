"""Asking a device for the frame of an input that it sent as features, and waiting for it."""

import asyncio

from ...protos import edge_pb2

TIMEOUT_S = 10.0
"""How long a frame is waited for that has no deadline: inputs are answered in order, so those behind it wait too."""


class Asking:
    """The frame that one stream waits for, if it waits for one."""

    def __init__(self) -> None:
        self._sequence = 0
        self._came: asyncio.Future[edge_pb2.Frame] | None = None
        self._ended = False

    def want(self, sequence: int) -> edge_pb2.CoordinatorMessage:
        """The message that asks for the frame of an input; it is waited for from now on."""
        self._sequence = sequence
        self._came = asyncio.get_running_loop().create_future()
        return edge_pb2.CoordinatorMessage(want=edge_pb2.Want(sequence=sequence))

    async def wait(self, timeout_s: float) -> edge_pb2.Frame | None:
        """The frame; None: it is gone, or did not come in time."""
        if self._came is None or self._ended:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                frame = await self._came
        except TimeoutError:
            return None
        finally:
            self._came = None
        return frame if frame.payload else None

    def take(self, frame: edge_pb2.Frame) -> None:
        """Takes a frame that came; one that is not waited for is too late, and left aside."""
        if self._came is not None and frame.sequence == self._sequence and not self._came.done():
            self._came.set_result(frame)

    def end(self) -> None:
        """No frame will come any more."""
        self._ended = True
        self.take(edge_pb2.Frame(sequence=self._sequence))
