"""Windows of what comes in pieces of any size: sound, signals, frames; one way to cut them for all."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...outputs import Array
from .cut import Span

_BACK_S = 1e-6


class Window(NamedTuple):
    """A window: what it holds, the times of its last sample, when all of it was there, and of its first."""

    values: Array
    time_s: float
    begin_s: float


class Windower:
    """Cuts windows of samples, whatever pieces these come in.

    Windows begin each `stride` samples from where a stretch begins. Where a sample comes later after the one before it
    than `hole_s`, or before it, there is a hole: what waits there for the rest of a window goes, and a stretch begins.

    Args:
        span: how long windows are, and how far apart.
        hole_s: what is a hole.
        told: called with each hole.
    """

    def __init__(self, span: Span, hole_s: float, told: Callable[[str], None] = lambda _: None) -> None:
        self.span = span
        self.hole_s = hole_s
        self.holes = 0
        self.given = 0
        self.longest = 0
        self._told = told
        # What may still be part of a window, and the number within the stretch of the first sample there.
        self._pieces: deque[tuple[int, Array, Array]] = deque()
        self._count = 0
        self._next = 0
        self._last_s: float | None = None

    def push(self, values: Array, times_s: Array) -> Iterator[Window]:
        """The windows that are whole with these samples.

        Args:
            values: samples, along the first axis; they must not change later.
            times_s: when each of them was captured.
        """
        if not len(times_s):
            return
        steps = np.diff(times_s, prepend=times_s[0] if self._last_s is None else self._last_s)
        breaks = np.flatnonzero((steps > self.hole_s) | (steps < -_BACK_S))
        begin = 0
        for end in [*breaks.tolist(), len(times_s)]:
            if end > begin:
                yield from self._add(values[begin:end], times_s[begin:end])
            if end < len(times_s):
                self._hole(float(steps[end]), float(times_s[end]))
            begin = end
        self._last_s = float(times_s[-1])

    def restart(self) -> None:
        """Begins a stretch with what comes next: nothing before it is part of a window."""
        self._pieces.clear()
        self._count = self._next = 0
        self._last_s = None

    def _hole(self, step_s: float, time_s: float) -> None:
        what = f"nothing for {step_s:.3g} s" if step_s > 0 else f"times go back by {-step_s:.3g} s"
        self._told(f"{what} before {time_s:.2f} s: a new window begins there, and after each such hole")
        self.holes += 1
        self.restart()

    def _add(self, values: Array, times_s: Array) -> Iterator[Window]:
        window, stride = self.span
        self._pieces.append((self._count, values, times_s))
        self._count += len(values)
        self.longest = max(self.longest, self._count)
        while self._next + window <= self._count:
            yield self._window()
            self._next += stride
            self._let_go()
        self._let_go()

    def _let_go(self) -> None:
        """Drops what no window will need."""
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= self._next:
            self._pieces.popleft()

    def _window(self) -> Window:
        begin, end = self._next, self._next + self.span.window
        parts: list[Array] = []
        begin_s = time_s = 0.0
        for first, values, times_s in self._pieces:
            if first >= end:
                break
            part = values[max(0, begin - first) : end - first]
            if len(part):
                begin_s = begin_s if parts else float(times_s[max(0, begin - first)])
                parts.append(part)
                time_s = float(times_s[min(len(values), end - first) - 1])
        self.given += 1
        return Window(np.concatenate(parts), time_s, begin_s)
