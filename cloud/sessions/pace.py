"""When an input may be worked on: not too long after its camera sent it, nor before that while compute is short."""

import asyncio
from collections.abc import Callable

from ...protos import edge_pb2
from ..runtime.scheduler import Scheduler

# An input that may wait comes at most so long before its camera would have sent it, while compute is short; it is not
# waited for longer than the last of these, as a source's clock may jump.
_AHEAD_S, _LOOKS_EVERY_S, _WAITS_AT_MOST_S = 1.0, 0.02, 10.0


class Pace:
    """The pace of one stream: the time here beside that of its source.

    Args:
        scheduler: knows whether compute is short.
        is_stopped: whether nobody is to wait any more.
    """

    def __init__(self, scheduler: Scheduler, *, is_stopped: Callable[[], bool]) -> None:
        self.scheduler = scheduler
        self._is_stopped = is_stopped
        self._lag_s: float | None = None

    def is_behind(self, message: edge_pb2.Input, came_s: float) -> bool:
        """Whether an input waited here for those before it for too long, and not because it came before its time."""
        now_s, captured_s = self.scheduler.clock(), message.captured_ns / 1e9
        if self._lag_s is None:
            self._lag_s = came_s - captured_s
        late_s = now_s - max(came_s, captured_s + self._lag_s)
        return late_s > self.scheduler.answer_within_s

    async def wait(self, message: edge_pb2.Input) -> None:
        """A recording that is sent faster than it was captured is held back to its own pace while compute is short."""
        clock, captured_s = self.scheduler.clock, message.captured_ns / 1e9
        if message.policy != edge_pb2.POLICY_ALL or message.deadline_ns:
            return
        longest_s = clock() + _WAITS_AT_MOST_S
        until_s = min(captured_s + (self._lag_s or 0.0) - _AHEAD_S, longest_s)
        while clock() < until_s and self.scheduler.is_short() and not self._is_stopped():
            await asyncio.sleep(_LOOKS_EVERY_S)
        if clock() >= longest_s:
            self._lag_s = clock() - captured_s
