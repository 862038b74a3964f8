"""A source as the agent needs it: at its own pace, and opened again when a live one breaks."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import InvalidInput, Unavailable
from ..filters.packets.at_work import Gating
from ..models.inputs.form import InputForm
from .config import DeviceConfig
from .sources.base import Input, Source
from .sources.decoded import DecodedSource
from .sources.open import open_source

logger = logging.getLogger(__name__)

_REOPEN_S = (0.5, 10.0)
_JITTER = 0.25
"""So much of a wait is left to chance: a hundred agents do not open their cameras' recorder again at one moment."""


class Capture:
    """A source's inputs until it ends or `stopped` is set.

    Args:
        config: the source, what part of it, and the pace.
        stopped: ends the capture, and every wait in it.
        stays: whether a pipe that has a name is read on with its next writer; else it ends with its last one.
        clock: the time in seconds, for the pace.
        draw: from 0 to 1, at random: how much of what is left to chance a wait is longer.
        gating: how a video's packets are chosen from; None: everything is decoded.

    Attributes:
        first: added to a live source's sequences, which start from 0 each time it is opened.
        offset_s: added to a live source's times, so that they go on over restarts.
        begins: a recording's inputs before this sequence are left out, as they were taken in an earlier run.
        done: further ones that were, by their sequences.
        live: whether the source is, once it is open.
        fps: a recording's inputs per second, once it is open; None: not known, or the source is live.
        form: what its inputs are, once it is open.
    """

    def __init__(
        self,
        config: DeviceConfig,
        stopped: threading.Event,
        *,
        stays: bool = False,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        gating: Gating | None = None,
    ) -> None:
        self.config = config
        self.gating = gating
        self.stopped = stopped
        self.stays = stays
        self.clock = clock
        self.draw = draw
        self.first = self.begins = 0
        self.done: frozenset[int] = frozenset()
        self.offset_s = 0.0
        self.live = False
        self.fps: float | None = None
        self.form: InputForm | None = None
        self._source: Source | None = None
        self._decoded_s = (0.0, 0.0)
        self._steered: tuple[float, bool] | None = None

    def __iter__(self) -> Iterator[Input]:
        """Every input.

        Raises:
            InvalidInput: the source can't be read, or its inputs are of another form than before it broke.
            Unavailable: it can't be opened at the start; later on it is tried again and again.
        """
        self.open()
        source = self._source
        wait_s = _REOPEN_S[0]
        while source is not None:
            try:
                with source:
                    for taken in self._paced(source):
                        wait_s = _REOPEN_S[0]
                        yield taken
                return
            except Unavailable as error:
                logger.warning("%s; trying again", error)
            source = None
            while source is None and not self.stopped.wait(wait_s * (1.0 + _JITTER * self.draw())):
                wait_s = min(wait_s * 2, _REOPEN_S[1])
                try:
                    source = self._open()
                except Unavailable as error:
                    if not self.stopped.is_set():
                        logger.warning("%s; trying again", error)

    def open(self) -> None:
        """Opens the source, if that has not been done; then it is known what it gives.

        Raises:
            InvalidInput: it can't be read.
            Unavailable: it can't be opened.
        """
        if self._source is None:
            self._open()

    def close(self) -> None:
        """Closes the source; closing twice is fine."""
        if self._source is not None:
            self._source.close()

    def stop(self) -> None:
        """Ends it, from any thread, as if the source had ended, also where that gives nothing."""
        self.stopped.set()
        self.close()

    def judge(self, loss: float) -> None:
        """Tells the packet gate what was lost, from 0 to 1, had the answer before a chosen input been held for it."""
        if isinstance(self._source, DecodedSource):
            self._source.judge(loss)

    def steer(self, threshold: float, whole: bool) -> None:
        """Sets the packet gate's threshold, and whether everything is decoded all the same; from any thread."""
        self._steered = (threshold, whole)
        if isinstance(self._source, DecodedSource):
            self._source.steer(threshold, whole=whole)

    def decode_times(self) -> tuple[float, float]:
        """With a packet gate: the processor's time that decoding has taken, and what it would have taken without."""
        before = self._decoded_s
        if not isinstance(self._source, DecodedSource):
            return before
        return before[0] + self._source.decode_s, before[1] + self._source.whole_decode_s

    def _open(self) -> Source:
        config = self.config
        source = open_source(
            config.source,
            start_s=config.start_s,
            seconds=config.seconds,
            loop=config.loop,
            cut=config.cut,
            stays=self.stays,
            gating=self.gating,
            stopped=self.stopped,
        )
        other = "" if self.form is None else source.form.differs(self.form)
        if other:
            source.close()
            raise InvalidInput(f"source {config.source_name}: is not as it was before it broke: {other}")
        self.live = source.live
        self.fps = None if source.live else source.inputs_per_s / config.every
        self.form = source.form
        if isinstance(self._source, DecodedSource):
            self._decoded_s = self.decode_times()
        self._source = source
        if self._steered is not None:
            self.steer(*self._steered)
        if self.stopped.is_set():
            # Whoever has stopped it did not know of this source yet.
            source.close()
        return source

    def _paced(self, source: Source) -> Iterator[Input]:
        """The inputs of a source that was just opened, none before its time."""
        offset = self.first if source.live else 0
        waits = self.config.pace == "source" and not source.live
        begun: float | None = None
        every = self.config.every
        decoded = -every
        for taken in source:
            if not source.live and (taken.sequence < self.begins or taken.sequence in self.done):
                if self.stopped.is_set():
                    return
                continue
            if begun is None:
                begun = self.clock() - taken.captured_s
            if waits:
                self.stopped.wait(max(0.0, begun + taken.captured_s - self.clock()))
            if self.stopped.is_set():
                return
            self.first = taken.sequence + offset + 1
            # What was decoded for its own sake is not thrown away, unless that is more than was asked for.
            chosen = taken.choice is not None and taken.decoded
            if (taken.sequence - decoded < every) if chosen else taken.sequence % every:
                continue
            decoded = taken.sequence if chosen else decoded
            captured_s = taken.captured_s + self.offset_s if source.live else taken.captured_s
            yield replace(taken, sequence=taken.sequence + offset, captured_s=captured_s)
