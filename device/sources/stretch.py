"""Which part of a recording is given, and whether it is given again and again; of any source that has an end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Self

from ...errors import InvalidInput
from .base import Input, Source


class StretchedSource:
    """Gives a part of a source; the fields are those of `Source`.

    Args:
        open_it: opens the source; called again for each lap.
        start_s: from when on inputs are given; they keep their numbers and times.
        seconds: how many seconds of them to give; None: all.
        loop: whether to start again at the end; numbers and times go on rising.

    Raises:
        InvalidInput: the source is live, and `start_s` or `loop` is asked for.
    """

    def __init__(self, open_it: Callable[[], Source], *, start_s: float, seconds: float | None, loop: bool) -> None:
        self.open_it = open_it
        self.start_s = start_s
        self.seconds = seconds
        self.loop = loop
        self._source = open_it()
        self._closed = False
        self._every = self._part()
        self.name, self.form, self.live = self._source.name, self._source.form, self._source.live
        self.inputs_per_s, self.times = self._source.inputs_per_s, self._source.times
        self.input_count = None if loop or start_s or seconds is not None else self._source.input_count
        if self.live and (start_s or loop):
            self.close()
            raise InvalidInput(f"{self.name}: is live; `start_s` and `loop` are for recordings")

    def __iter__(self) -> Iterator[Input]:
        """Every input of the part; going on where an earlier loop stopped.

        Raises:
            InvalidInput: there is none.
        """
        for each in self._every:
            if self._closed:
                return
            yield each

    def _part(self) -> Iterator[Input]:
        moved_s, given, number, begun_s = 0.0, 0, 0, None
        while not self._closed:
            first: Input | None = None
            last_s = 0.0
            for each in self._source:
                if not self.live and each.captured_s < self.start_s:
                    continue
                if first is None:
                    first = each
                    number = number if given else each.sequence
                    moved_s = moved_s - each.captured_s if given else 0.0
                time_s = each.captured_s + moved_s
                if self.seconds is not None:
                    begun_s = begun_s if begun_s is not None else time_s if self.live else self.start_s
                    if time_s - begun_s >= self.seconds:
                        return
                last_s = time_s
                yield replace(each, sequence=number + given, captured_s=time_s)
                given += 1
            if first is None and not self._closed and not given:
                raise InvalidInput(f"{self.name}: ends before `start_s` {self.start_s:g}")
            if not self.loop or first is None:
                return
            moved_s = last_s + 1.0 / self.inputs_per_s
            self._open_again()

    def _open_again(self) -> None:
        self._source.close()
        if not self._closed:
            self._source = self.open_it()
            if self._closed:
                self._source.close()

    def close(self) -> None:
        """Closes the source."""
        self._closed = True
        self._source.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()
