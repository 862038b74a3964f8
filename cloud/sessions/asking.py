"""Asking a device for the frame of an input that it sent as features: where that is worth it, and waiting for it."""

import asyncio
from collections.abc import Collection, Mapping

from ...links.answer import Answer
from ...protos import edge_pb2

TIMEOUT_S = 10.0
"""How long a frame is waited for that has no deadline: inputs are answered in order, so those behind it wait too."""

_LEFT = 0.95


class Doubt:
    """What a stream's answers are expected to have lost since its last frame: a frame is worth more than one answer.

    After it the links know more of the inputs that follow, so that what counts is how much was lost lately, on all of
    them: it adds up, and fades from input to input, to a third after twenty. Seconds do not count: behind a gate inputs
    come seldom, and are no less worth for that.
    """

    def __init__(self) -> None:
        self._lost = 0.0

    def add(self, loss: float) -> float:
        """Adds what is expected to be lost on an input; returns what is lost up to now."""
        self._lost = self._lost * _LEFT + loss
        return self._lost

    def clear(self) -> None:
        """A frame was looked at, or asked for in vain."""
        self._lost = 0.0


def expected_loss(answers: Mapping[str, Answer], runs: Collection[str]) -> float:
    """How much agreement, in the mean over the answers, is expected to be lost by not running models on the frame.

    A model that runs is answered for exactly; what that tells of the others is not counted.

    Args:
        answers: what would be answered from the features.
        runs: the models that would run on the frame.
    """
    if not answers:
        return 0.0
    return sum(1.0 - answer.confidence for name, answer in answers.items() if name in runs) / len(answers)


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
