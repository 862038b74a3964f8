"""A source whose inputs are in lines: rows of a sensor, texts, JSON, messages; by files, by lines, or in windows."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .averaged import Averaged
from .base import Input, Times
from .complaints import Complaints
from .cut import NEAR, Cut, Span
from .feeds import Block, Feed, FileFeed, ThreadFeed
from .formats import Format, Item, NothingYet
from .live_rate import LiveRate
from .row_times import LiveTimes, RecordedTimes, burst_of, hole_of, measure_rate
from .windower import Window, Windower

logger = logging.getLogger(__name__)

_FIRST_WITHIN_S = 10.0
_PASSED_OVER = 64
"""So many lines of a live source may come before the first that shows what they are."""
_LIVE_HOLE_S = 1.0
_MOST_BYTES = 2**28
_OFF_SHARE, _MISSING_STEPS = 0.1, 2.0


class RecordSource:
    """Gives what lines say; the fields are those of `Source`.

    Args:
        name: as it may be shown.
        feed: where lines come from; closed by this.
        read: what makes items of them: called with the first lines, if a look at them is needed, else with none.
        cut: how inputs are cut.
        complaints: told of what is wrong with lines.
        waits: whether the first line may take as long as it likes.

    Raises:
        InvalidInput: the lines can't be read so, or can't be cut so.
        Unavailable: nothing comes.
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        read: Callable[[list[bytes] | None], Format],
        cut: Cut,
        complaints: Complaints,
        *,
        waits: bool = False,
    ) -> None:
        self.name = name
        self._told = warner(name)
        self.feed = feed
        self.live = feed.live
        self.cut = cut
        self._complaints = complaints
        try:
            self._format, first = self._look(read, waits)
            self._blocks = chain(first, feed.blocks())
            self._begin(first)
        except InvalidInput as error:
            feed.close()
            raise error if self.name in str(error) else InvalidInput(f"{self.name}: {error}") from error
        except BaseException:
            feed.close()
            raise

    def __iter__(self) -> Iterator[Input]:
        """Every input; going on where an earlier loop stopped.

        Raises:
            InvalidInput: there is none.
            Unavailable: what they come from is gone.
        """
        for value, time_s in self._found:
            if self._closed:
                return
            at_s = float(self._given) if self.times == "order" else time_s
            yield Input(self._given, at_s, value, None if self.live else at_s)
            self._given += 1
        self._complaints.finish()
        if not self.live and not self._given and not self._closed:
            raise InvalidInput(self._nothing())

    def close(self) -> None:
        """Ends it."""
        self._closed = True
        self.feed.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self.close()

    def _look(self, read: Callable[[list[bytes] | None], Format], waits: bool) -> tuple[Format, list[Block]]:
        """The format, and the blocks that were taken for a look."""
        looks = not self.live
        found = None if looks else read(None)
        if found is not None and found.form is not None:
            return found, []
        if isinstance(self.feed, ThreadFeed):
            return self._look_on(self.feed, read, None if waits else _FIRST_WITHIN_S)
        if isinstance(self.feed, FileFeed):
            self.feed.check_there()
        first = next((block for block in self.feed.blocks() if block.lines), None)
        if first is None:
            raise InvalidInput("holds nothing")
        found = read(first.lines)
        found.begin(first.lines)
        return found, [first]

    def _look_on(
        self, feed: ThreadFeed, read: Callable[[list[bytes] | None], Format], within_s: float | None
    ) -> tuple[Format, list[Block]]:
        """The same of lines that come one by one: a boot message or an empty line may be the first."""
        lines: list[bytes] = []
        why: NothingYet | None = None
        while True:
            try:
                block = feed.first(within_s)
            except InvalidInput as error:  # It has ended.
                raise why or error from None
            lines += block.lines
            try:
                found = read(lines)
                found.begin(lines)
            except NothingYet as error:
                if sum(1 for line in lines if line.strip()) >= _PASSED_OVER:
                    raise
                if why is None:
                    self._told(f"{error}: waits for a line that shows what its inputs are")
                why = error
            else:
                # What was waited over holds no row, so that all of it came when the last of it did.
                return found, [replace(block, lines=lines)]

    def _begin(self, first: list[Block]) -> None:
        """Settles the rate, the windows and the form."""
        found, cut = self._format, self.cut
        assert found.form is not None
        signal = found.form.modality == "signal"
        if not signal and (cut.is_windowed or cut.rate_hz is not None):
            raise InvalidInput(f"windows and rates are for signals, and its inputs are {found.form.modality}")
        self._given = 0
        self._closed = False
        self._averaged: Averaged | None = None
        rate_hz, hole_s = self._rate(first) if signal else (0.0, np.inf)
        span = cut.span(rate_hz, where=self.name) if signal else Span(0, 0)
        windowed = span.window > 0
        self._by_file = signal and not windowed and not found.per_line and self.feed.has_files
        self.form: InputForm = found.form
        if signal:
            self.form = found.form.model_copy(update={"rate_hz": rate_hz, "window": span.window, "stride": span.stride})
        if span.window * max(1, len(found.form.channels)) * 4 > _MOST_BYTES:
            raise InvalidInput(f"a window of {span.window} samples is too long")
        own = found.says_times or (windowed and rate_hz > 0)
        self.times: Times = "read" if self.live or (own and not self._by_file) else "order"
        self.inputs_per_s = rate_hz / span.stride if windowed and rate_hz else self._lines_per_s(first)
        self.input_count = self.feed.file_count if self._by_file else None
        self._windower = Windower(span, hole_s, lambda text: self._complaints.add("holes", text)) if windowed else None
        self._checks_windows = windowed and rate_hz > 0 and found.says_times and not self.live
        self._live_rate = LiveRate(rate_hz, hole_s, self._told) if windowed and rate_hz and self.live else None
        self._recorded = RecordedTimes(rate_hz, hole_s, self._told)
        self._following_s: float | None = None
        self._arrived = LiveTimes(self._told)
        if self._windower is not None:
            self._found = self._windows(self._windower)
        else:
            self._found = self._files() if self._by_file else self._lines()
        # What was complained of so far will be read again.
        self._complaints.forget()

    def _lines_per_s(self, first: list[Block]) -> float:
        """How many inputs come in a second, where each is a line with a time."""
        if self.live or self.times == "order":
            return 1.0
        times = [item.times_s[-1:] for item in self._format.items(first[0].lines) if item.times_s is not None]
        self._format.anew()
        return (measure_rate(np.concatenate(times)).rate_hz if times else 0.0) or 1.0

    def _rate(self, first: list[Block]) -> tuple[float, float]:
        """The signal's rate, and what is a hole in it.

        Raises:
            InvalidInput: `rate_hz` asks for more than there is.
        """
        wanted_hz = self.cut.rate_hz
        if self.live:
            return wanted_hz or 0.0, max(hole_of(wanted_hz), _LIVE_HOLE_S) if wanted_hz else np.inf
        found = self._format
        times = [item.times_s for item in found.items(first[0].lines) if item.times_s is not None] if first else []
        found.anew()
        if not times:
            return wanted_hz or 0.0, hole_of(wanted_hz or 0.0)
        rate = measure_rate(np.concatenate(times))
        if wanted_hz is None or not rate.rate_hz or abs(wanted_hz / rate.rate_hz - 1) <= NEAR:
            return wanted_hz or rate.rate_hz, rate.hole_s
        if wanted_hz > rate.rate_hz:
            raise InvalidInput(
                f"was sampled {rate.rate_hz:g} times a second, and `rate_hz` asks for {wanted_hz:g}: what is not in it "
                f"can't be made; give {rate.rate_hz:g} or less"
            )
        self._told(f"was sampled {rate.rate_hz:g} times a second: resampled to {wanted_hz:g}, by means")
        self._averaged = Averaged(wanted_hz, rate.hole_s)
        return wanted_hz, 1.0 / wanted_hz + rate.hole_s / 2

    def _items(self) -> Iterator[tuple[Block, Item]]:
        """Every item, with the block that it was in; of a recording one is held back until the next one is known."""
        held: tuple[Block, Item] | None = None
        for block in self._blocks:
            if block.begins:
                if held is not None:
                    yield held
                    held = None
                self._anew()
                if self._windower is not None:
                    self._windower.restart()
            for item in self._read(block):
                if self.live:
                    yield block, item
                    continue
                if held is not None:
                    self._following_s = None if item.times_s is None else float(item.times_s[0])
                    yield held
                    self._following_s = None
                held = block, item
        if held is not None:
            yield held

    def _anew(self) -> None:
        """Another file begins."""
        self._format.anew()
        self._recorded.anew()
        if self._averaged is not None:
            self._averaged.restart()

    def _read(self, block: Block) -> list[Item]:
        try:
            return self._format.items(block.lines)
        except InvalidInput as error:
            raise InvalidInput(f"{self.name}: {error}") from error

    def _samples(self, block: Block, item: Item) -> list[tuple[Array, Array]]:
        """An item's rows, and the time of each; of a live signal also those before it that were held back."""
        times_s = self._times(block, item, len(item.value))
        if self._live_rate is not None:
            try:
                return self._live_rate.take(item.value, times_s, item.times_s)
            except InvalidInput as error:
                raise InvalidInput(f"{self.name}: {error}") from error
        return [(item.value, times_s) if self._averaged is None else self._averaged.push(item.value, times_s)]

    def _is_of_its_rate(self, window: Window) -> bool:
        """Whether a recording's window is as long as it has to be: its rate may change on the way."""
        steps = len(window.values) - 1
        too_long = (window.time_s - window.begin_s) * self.form.rate_hz - steps
        burst = 0.0 if self._windower is None else burst_of(self.form.rate_hz, self._windower.hole_s)
        if -max(_OFF_SHARE * steps, 0.5) - burst <= too_long <= max(_OFF_SHARE * steps, _MISSING_STEPS) + burst:
            return True
        took_s, shall_s = window.time_s - window.begin_s, steps / self.form.rate_hz
        self._complaints.add(
            "has another rate",
            f"a window takes {took_s:.3g} s, not {shall_s:.3g}: its rate is another there; it is left out",
        )
        return False

    def _times(self, block: Block, item: Item, count: int) -> Array:
        if block.arrived_s is not None:
            return self._arrived.of(count, item.times_s, block.arrived_s)
        return self._recorded.of(count, item.times_s, self._following_s)

    def _windows(self, windower: Windower) -> Iterator[tuple[Array, float]]:
        for block, item in self._items():
            if self._live_rate is not None and item.times_s is not None and self._live_rate.jumps(item.times_s):
                self._complaints.add(
                    "holes", "the times of its rows jump: a new window begins there, and at each such jump"
                )
                windower.restart()
            for values, times_s in self._samples(block, item):
                for window in windower.push(values, times_s):
                    if not self._checks_windows or self._is_of_its_rate(window):
                        yield window.values, window.time_s

    def _lines(self) -> Iterator[tuple[Array, float]]:
        for block, item in self._items():
            count = len(item.value) if self.form.modality == "signal" else 1
            own = (
                item if item.times_s is None or len(item.times_s) == count else item._replace(times_s=item.times_s[-1:])
            )
            yield item.value, float(self._times(block, own, count)[-1])

    def _files(self) -> Iterator[tuple[Array, float]]:
        """What each file holds."""
        parts: list[Array] = []
        for block in self._blocks:
            if block.begins:
                # What is left there is of a file that could not be read to its end.
                parts = []
                self._anew()
            came_s = block.arrived_s or 0.0
            samples = [values for item in self._read(block) for values, _ in self._samples(block, item)]
            parts += [part for part in samples if len(part)]
            if sum(part.nbytes for part in parts) > _MOST_BYTES:
                raise InvalidInput(f"{self.name}: a file is too long for one input: cut it into windows (`window`)")
            if block.ends and parts:
                yield np.concatenate(parts), came_s
                parts = []

    def _nothing(self) -> str:
        if self._windower is None or not self._windower.longest or self._windower.given:
            return f"{self.name}: holds nothing that can be read"
        form, longest = self.form, self._windower.longest
        in_s = f" ({form.window / form.rate_hz:g} s)" if form.rate_hz else ""
        had_s = f" ({longest / form.rate_hz:.3g} s)" if form.rate_hz else ""
        return (
            f"{self.name}: a window of {form.window}{in_s} is longer than all there is at a stretch, {longest}{had_s}"
        )


def warner(name: str) -> Callable[[str], None]:
    """What says something of a source in the log."""
    return lambda text: logger.warning("%s: %s", name, text)
