"""Windows of what is decoded: of a sound's pieces, or of a video's frames."""

import logging
from collections.abc import Iterator
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .base import Input
from .complaints import Complaints
from .cut import NEAR, Cut
from .decoded import DecodedSource
from .windower import Windower

logger = logging.getLogger(__name__)

MOST_BYTES = 2**28
"""The largest window."""

_SOUND_HOLE_S = 0.02
_FRAME_STEPS = 2.5
_LIVE_HOLE_S = 1.0


class WindowedSource:
    """Gives windows of a sound or a video, each with the time of its last sample; the fields are those of `Source`.

    Args:
        source: what gives the pieces or frames; closed by this.
        cut: how they are cut.

    Raises:
        InvalidInput: they can't be cut so; the source is closed then.
    """

    def __init__(self, source: DecodedSource, cut: Cut) -> None:
        self.source = source
        self.name, self.live, self.times = source.name, source.live, source.times
        self.input_count: int | None = None
        self._sized: tuple[int, ...] = ()
        self._last_s = -np.inf
        self._closed = False
        self._every = self._windows()
        try:
            sound = source.form.modality == "audio"
            rate_hz = source.form.rate_hz if sound else self._frame_rate(cut)
            span = cut.span(rate_hz, where=self.name)
            self.inputs_per_s = rate_hz / span.stride
            self.form = InputForm(
                modality="audio" if sound else "video",
                rate_hz=rate_hz if sound else cut.rate_hz or 0.0,
                window=span.window,
                stride=span.stride,
            )
            hole_s = _SOUND_HOLE_S if sound else _FRAME_STEPS / rate_hz
            if self.live:
                # Live sound says itself where something is missing: the times when it came jitter.
                hole_s = np.inf if sound else max(hole_s, _LIVE_HOLE_S)
            self._complaints = Complaints(self._told, strict=source.opening.strict)
            self._windower = Windower(span, hole_s, lambda text: self._complaints.add("holes", text))
            self._chosen = None if sound or cut.rate_hz is None else Chosen(cut.rate_hz, source.inputs_per_s, hole_s)
            self._rate_hz = rate_hz
            if sound and 2 * span.window > MOST_BYTES:
                raise InvalidInput(f"{self.name}: a window of {span.window} samples is too long")
        except BaseException:
            source.close()
            raise

    def __iter__(self) -> Iterator[Input]:
        """Every window; going on where an earlier loop stopped.

        Raises:
            InvalidInput: there is none, as the source is shorter.
            Unavailable: a live source ended.
        """
        for each in self._every:
            if self._closed:
                return
            yield each

    def _windows(self) -> Iterator[Input]:
        sound = self.form.modality == "audio"
        source_s: float | None = None
        for begins, piece in self.source.pieces():
            back = source_s is not None and piece.source_s is not None and piece.source_s < source_s
            source_s = piece.source_s
            if begins or back:
                self._windower.restart()
            if sound:
                values = piece.value
                times_s = piece.captured_s - np.arange(len(values) - 1, -1, -1) / self._rate_hz
                if self.live:
                    times_s = np.maximum(times_s, self._last_s)
                    self._last_s = piece.captured_s
            else:
                if self._chosen is not None and not self._chosen.take(piece.captured_s):
                    continue
                self._check_frame(piece.value)
                values, times_s = piece.value[None], np.array([piece.captured_s])
            moved_s = None if source_s is None else source_s - piece.captured_s
            for number, window in enumerate(self._windower.push(values, times_s), self._windower.given):
                place_s = None if moved_s is None else window.time_s + moved_s
                yield Input(number, window.time_s, window.values, place_s)
        self._complaints.finish()
        if not self.live and not self._windower.given and self._windower.longest:
            raise InvalidInput(self._too_long())

    def close(self) -> None:
        """Closes what it windows."""
        self._closed = True
        self.source.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def _frame_rate(self, cut: Cut) -> float:
        """Frames a second that windows are made of."""
        fps = self.source.inputs_per_s
        if cut.rate_hz is None:
            return fps
        if cut.rate_hz > fps * (1 + NEAR):
            raise InvalidInput(f"{self.name}: has {fps:g} frames a second, and `rate_hz` asks for {cut.rate_hz:g}")
        return cut.rate_hz

    def _check_frame(self, frame: Array) -> None:
        """Makes sure that a window has room, and begins a new one where frames come to have another size."""
        if frame.shape == self._sized:
            return
        if frame.nbytes * self.form.window > MOST_BYTES:
            raise InvalidInput(
                f"{self.name}: a window of {self.form.window} frames of {frame.shape[1]}x{frame.shape[0]} is more than "
                f"{MOST_BYTES // 2**20} MiB: take fewer frames (`window`, `rate_hz`)"
            )
        if self._sized:
            self._told(f"its frames are {frame.shape[1]}x{frame.shape[0]} from here on: a new window begins")
            self._windower.restart()
        self._sized = frame.shape

    def _too_long(self) -> str:
        form, longest = self.form, self._windower.longest
        in_s = f" ({form.window / self._rate_hz:g} s)" if self._rate_hz else ""
        had_s = f" ({longest / self._rate_hz:.3g} s)" if self._rate_hz else ""
        return (
            f"{self.name}: a window of {form.window}{in_s} is longer than all there is at a stretch, {longest}{had_s}"
        )

    def _told(self, text: str) -> None:
        logger.warning("%s: %s", self.name, text)


class Chosen:
    """Which frames are taken, so that so many a second are.

    Args:
        rate_hz: how many.
        fps: how many there are.
        hole_s: where time jumps by more, it begins anew.
    """

    def __init__(self, rate_hz: float, fps: float, hole_s: float) -> None:
        self._step_s = 1.0 / rate_hz
        self._near_s = 0.5 / fps
        self._hole_s = hole_s
        self._begin_s: float | None = None
        self._last_s = 0.0
        self._taken = 0

    def take(self, time_s: float) -> bool:
        """Whether the frame at this time is one of them."""
        if self._begin_s is None or not 0 <= time_s - self._last_s <= self._hole_s:
            self._begin_s, self._taken = time_s, 0
        self._last_s = time_s
        due_s = self._begin_s + self._taken * self._step_s
        if time_s < due_s - self._near_s:
            return False
        # Those that were due and did not come are not made up for.
        self._taken = max(self._taken, round((time_s - self._begin_s) / self._step_s)) + 1
        return True
