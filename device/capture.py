"""A source as the agent needs it: at its own pace, and opened again when a live one breaks."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import Unavailable
from .config import DeviceConfig
from .sources.base import Input, Source
from .sources.open import open_source

logger = logging.getLogger(__name__)

_REOPEN_S = (0.5, 10.0)


class Capture:
    """Frames until the source ends or `stopped` is set.

    Args:
        config: the source, what part of it, and the pace.
        stopped: ends the capture, and every wait in it.
        first: added to a live source's sequences, which start from 0 each time it is opened.
        clock: the time in seconds, for the pace.

    Attributes:
        fps: a recording's frames per second, once it is open; None: not known, or the source is live.
    """

    def __init__(
        self,
        config: DeviceConfig,
        stopped: threading.Event,
        *,
        first: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.stopped = stopped
        self.clock = clock
        self.fps: float | None = None
        self._offset = first

    def __iter__(self) -> Iterator[Input]:
        """Every frame.

        Raises:
            InvalidInput: the source is not a video.
            Unavailable: it can't be opened at the start; later on it is tried again and again.
        """
        source: Source | None = self._open()
        wait_s = _REOPEN_S[0]
        while source is not None:
            try:
                with source:
                    for frame in self._paced(source):
                        wait_s = _REOPEN_S[0]
                        yield frame
                return
            except Unavailable as error:
                logger.warning("%s; trying again", error)
            source = None
            while source is None and not self.stopped.wait(wait_s):
                wait_s = min(wait_s * 2, _REOPEN_S[1])
                try:
                    source = self._open()
                except Unavailable as error:
                    logger.warning("%s; trying again", error)

    def _open(self) -> Source:
        config = self.config
        source = open_source(config.source, start_s=config.start_s, seconds=config.seconds, loop=config.loop)
        self.fps = None if source.live else source.inputs_per_s / config.every
        return source

    def _paced(self, source: Source) -> Iterator[Input]:
        """The frames of a source that was just opened, none before its time."""
        offset = self._offset if source.live else 0
        waits = self.config.pace == "source" and not source.live
        begun: float | None = None
        for frame in source:
            if begun is None:
                begun = self.clock() - frame.captured_s
            if waits:
                self.stopped.wait(max(0.0, begun + frame.captured_s - self.clock()))
            if self.stopped.is_set():
                return
            self._offset = frame.sequence + offset + 1
            if frame.sequence % self.config.every:
                continue
            yield replace(frame, sequence=frame.sequence + offset)
