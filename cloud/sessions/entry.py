"""Whether an input is let in, decided before anything is made of it; a stream that is refused waits for its turn."""

import math
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field

from ...errors import QueueFull
from ...protos import edge_pb2
from ..runtime.scheduler import Scheduler
from .backlog import Backlog

# Within the time that its stream was told, only an input is looked at that has so much more time than the one before.
_MORE_TIME = 1.25
_REFUSED = "too much waits already"
# A device that an operator has paused is told again with each of its reports; what is on its way is answered still.
HOLDS_S, _TOLD_EVERY_S, _ON_ITS_WAY_S = 5.0, 1.0, 5.0
_HELD = "an operator has paused this device"


@dataclass(frozen=True)
class Admitted:
    """An input that was let in.

    Attributes:
        models: those that run on it, where no schedule chooses.
        deadline_s: by the clock of the queue.
        came_s: when it came, by the scheduler's clock.
        place: what it takes among those that wait; closed once it was looked at.
    """

    models: Collection[str]
    deadline_s: float
    came_s: float
    place: ExitStack = field(default_factory=ExitStack)


class Entry:
    """Lets the inputs of one stream in.

    Args:
        scheduler: knows how long those take that wait.
        backlog: knows when the next stream may come again.
        is_held: whether an operator has paused the device.
    """

    def __init__(self, scheduler: Scheduler, backlog: Backlog, *, is_held: Callable[[], bool] = lambda: False) -> None:
        self._scheduler = scheduler
        self._backlog = backlog
        self._is_held = is_held
        self._held_s, self._told_s = math.inf, -math.inf
        # When the stream may come again, and how much time the input had that was told so.
        self._again_s, self._left_s = -math.inf, 0.0
        self._pause: edge_pb2.CoordinatorMessage | None = None

    def admit(
        self, message: edge_pb2.Input, models: Collection[str], deadline_s: float, *, check: Callable[[], None]
    ) -> Admitted:
        """Lets an input in.

        Where everything runs, what would be too late is refused before it costs anything, and so is all that its stream
        sends before the time that it was told; where a schedule chooses, it is answered without.

        Args:
            message: the input.
            models: those that run on it, where no schedule chooses.
            deadline_s: by the clock of the queue.
            check: raises the error that it is refused with, if there is one.

        Raises:
            QueueFull: its answer would be too late, by what waits before it; or an operator has paused the device.
            InfilinkError: what `check` raises.
        """
        check()
        if self._is_held() and self._backlog.clock() - self._held_s > _ON_ITS_WAY_S:
            raise QueueFull(_HELD, retry_after_s=HOLDS_S)
        admitted = Admitted(models, deadline_s, self._scheduler.clock())
        if self._scheduler.schedule is not None or not message.payload:
            return admitted
        queue, now_s = self._scheduler.pool.queue, self._backlog.clock()
        left_s, wait_s = deadline_s - queue.clock(), self._again_s - now_s
        if wait_s > 0 and self._backlog.size_bytes and 0 < left_s < _MORE_TIME * self._left_s:
            queue.expired += 1
            raise QueueFull(_REFUSED, retry_after_s=wait_s)
        try:
            admitted.place.enter_context(queue.admitted(models, deadline_s))
        except QueueFull as error:
            if wait_s <= 0:
                wait_s = self._backlog.again_after_s(error.retry_after_s)
                self._again_s, self._left_s = now_s + wait_s, left_s
                self._pause = edge_pb2.CoordinatorMessage(pause=edge_pb2.Pause(retry_after_s=wait_s))
            raise QueueFull(_REFUSED, retry_after_s=wait_s) from None
        return admitted

    def take_pause(self) -> edge_pb2.CoordinatorMessage | None:
        """What the device is to be told at once, as the refusal goes out after the answers before it."""
        pause, self._pause = self._pause, None
        if not self._is_held():
            self._held_s = math.inf
            return pause
        now_s = self._backlog.clock()
        self._held_s = min(self._held_s, now_s)
        if now_s - self._told_s < _TOLD_EVERY_S:
            return pause
        self._told_s = now_s
        return held_message()


def held_message() -> edge_pb2.CoordinatorMessage:
    """What a device is told that an operator has paused."""
    return edge_pb2.CoordinatorMessage(pause=edge_pb2.Pause(retry_after_s=HOLDS_S))
