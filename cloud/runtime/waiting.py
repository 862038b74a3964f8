"""The inputs that wait for models: of each model the most worth first, and the oldest first among equals."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from ...errors import QueueFull
from ...models.process_child import Reply, Work
from .input_pool import Held


@dataclass(order=True, slots=True)
class Run:
    """An input that waits for a model, or is with it.

    Attributes:
        order: its place among those that wait: the less it is worth the later, and then by number.
        work: what the model's process is given.
        held: the memory that it lies in.
        came: becomes the reply.
        since_s: when it began to wait.
        waits: whether it waits.
        alone: whether a process ended over it: it is tried once more, and with no other.
    """

    order: tuple[float, int]
    work: Work = field(compare=False)
    held: Held = field(compare=False)
    came: "asyncio.Future[Reply | None]" = field(compare=False)
    since_s: float = field(compare=False)
    waits: bool = field(default=True, compare=False)
    alone: bool = field(default=False, compare=False)

    def tell(self, reply: Reply | None) -> None:
        """Whoever waits for it hears this, if nothing before."""
        if not self.came.done():
            self.came.set_result(reply)


class Waiting:
    """The runs that wait, by model."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    def __iter__(self) -> Iterator[str]:
        """The models that something waits for."""
        return (name for name, runs in self._runs.items() if runs)

    def __contains__(self, name: str) -> bool:
        """Whether something waits for a model."""
        return bool(self._runs.get(name))

    def __len__(self) -> int:
        """How many wait, for all models together."""
        return sum(map(len, self._runs.values()))

    def of(self, name: str) -> list[Run]:
        """Those that wait for a model, in their order."""
        return self._runs.get(name, [])

    def add(self, name: str, run: Run) -> None:
        """A run waits from now on."""
        run.waits = True
        insort(self._runs.setdefault(name, []), run)

    def take(self, name: str) -> Run:
        """The run of a model that goes next, which does not wait any more."""
        run = self._runs[name].pop(0)
        run.waits = False
        return run

    def forget(self, name: str, run: Run) -> bool:
        """Takes a run out of those that wait; False: it does not wait."""
        if not run.waits:
            return False
        run.waits = False
        runs = self._runs[name]
        del runs[bisect_left(runs, run)]
        return True

    def before(self, name: str, worth: float) -> int:
        """How many wait for a model that one of such worth would wait for."""
        return bisect_left(self.of(name), (-worth, inf), key=lambda run: run.order)

    def check_room(self, worth: float, most: int) -> tuple[str, Run] | None:
        """The run, and its model, that has to go for one of such worth, where `most` may wait; None: there is room.

        Raises:
            QueueFull: all that wait are worth as much.
        """
        if len(self) < most:
            return None
        name = max(self, key=lambda name: self._runs[name][-1])
        last = self._runs[name][-1]
        if last.order[0] <= -worth:
            raise full(most)
        return name, last


def full(most: int) -> QueueFull:
    """Why an input can't wait."""
    return QueueFull(f"{most} inputs wait for models already", retry_after_s=1.0)
