"""A source that is decoded in a process of its own: a damaged file or stream can end that process only."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import numpy as np

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...models.forked import fork
from ...models.shared_memory import SharedReader
from .base import Input
from .decoder import Ended, Handed, Judged, Steered, Told, serve_source, slots_of
from .reader import Opened, Opening

logger = logging.getLogger(__name__)

_NOTHING = np.zeros((0, 0, 3), np.uint8)
"""The value of what was not decoded."""
_AT_ONCE_SHARE = 4
"""Of a recording's places so large a part is given back at once: the decoder fills the others meanwhile."""
_LOOKS_EVERY_S = 0.2
_SILENT_S = 90.0
_SILENT_LIVE_S = 45.0
"""A decoder that says nothing for so long hangs: FFmpeg gives up on a silent address long before that, if it can. Of
recordings it tells when it works on without anything to give."""


class DecodedSource:
    """Gives what is in a video, a stream, a camera, sounds or pictures; the fields are those of `Source`.

    Args:
        opening: what to open, and which part of it to give.
        silent_s: how long its decoder may say nothing; None: as is usual for such a source.
        stopped: ends the wait for what does not open.

    Attributes:
        decode_s: with a packet gate: the processor's time that decoding has taken so far.
        whole_decode_s: what it would have taken without.

    Raises:
        InvalidInput: it can't be read as that, or an option does not fit it.
        Unavailable: the stream, camera or microphone can't be opened.
    """

    def __init__(
        self, opening: Opening, *, silent_s: float | None = None, stopped: threading.Event | None = None
    ) -> None:
        self.opening = opening
        self.name = opening.name
        self.live = opening.is_live
        self.silent_s = silent_s or (_SILENT_LIVE_S if self.live else _SILENT_S)
        self._closed = False
        self._given = 0
        self._freed: list[int] = []
        self._sending = threading.Lock()
        self.decode_s = self.whole_decode_s = 0.0
        self._paths: set[str] = set()
        self._memory = SharedReader()
        self._process, self._pipe = fork(serve_source, opening)
        try:
            opened = self._receive(stopped)
            if isinstance(opened, Ended):
                raise opened.error or InvalidInput(f"{self.name}: gave nothing")
        except BaseException:
            self.close()
            raise
        assert isinstance(opened, Opened)
        self.inputs_per_s, self.input_count = opened.fps, opened.frame_count
        self.live, self.times, self.form = opened.live, opened.times, opened.form

    def __iter__(self) -> Iterator[Input]:
        """Every input that was asked for; going on where an earlier loop over it stopped.

        Raises:
            InvalidInput: a file's decoder died over it.
            Unavailable: a live source ended, fell silent, or its decoder died.
        """
        for _, taken in self.pieces():
            yield taken

    def pieces(self) -> Iterator[tuple[bool, Input]]:
        """The same, each with whether it begins something of its own, as a file.

        Raises:
            InvalidInput: a file's decoder died over it.
            Unavailable: a live source ended, fell silent, or its decoder died.
        """
        while not self._closed:
            try:
                message = self._receive()
            except InfilinkError:
                if self._closed:
                    return
                self.close()
                raise
            if isinstance(message, Ended):
                self.close()
                if message.error is not None:
                    raise message.error
            elif isinstance(message, Handed):
                taken = self._take(message)
                if taken is not None:
                    self._given += 1
                    yield message.begins, taken

    @property
    def pid(self) -> int | None:
        """The number of the decoder's process; None once it was ended."""
        return None if self._closed else self._process.pid

    def close(self) -> None:
        """Ends the decoder, also while it is read; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._process.join()
        self._pipe.close()
        for path in self._paths:
            if not path.startswith("/proc/"):
                with suppress(OSError):
                    os.unlink(path)

    def judge(self, loss: float) -> None:
        """Tells its packet gate what was lost, from 0 to 1, had the answer before a chosen input been held for it.

        From any thread; without a gate, or once it is closed, nothing happens.
        """
        self._tell(Judged(loss))

    def steer(self, threshold: float, *, whole: bool) -> None:
        """Sets its packet gate's threshold, and whether everything is decoded all the same; from any thread."""
        self._tell(Steered(threshold, whole))

    def _tell(self, message: object) -> None:
        if self.opening.gating is not None and not self._closed:
            with suppress(OSError):
                self._send(message)

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the decoder."""
        self.close()

    def _take(self, handed: Handed) -> Input | None:
        """The input, copied out of its place, which is free then; None if the decoder has just died."""
        self.decode_s, self.whole_decode_s = handed.spent_s, handed.whole_s
        try:
            value = _NOTHING
            if handed.place is not None:
                self._paths.add(handed.place.path)
                value = np.array(self._memory.read(handed.place))
            self._free(handed.slot, value.nbytes)
        except OSError:
            return None
        return Input(handed.sequence, handed.captured_s, value, handed.source_s, handed.choice)

    def _free(self, slot: int, size_bytes: int) -> None:
        """Gives places back: of a recording several at once, as each message wakes the decoder."""
        self._freed.append(slot)
        if self.live or len(self._freed) >= slots_of(size_bytes) // _AT_ONCE_SHARE:
            freed, self._freed = self._freed, []
            self._send(freed)

    def _send(self, message: object) -> None:
        with self._sending:
            self._pipe.send(message)

    def _speaks(self, stopped: threading.Event | None) -> bool:
        """Waits for what the decoder says next; whether it does so in time.

        Raises:
            Unavailable: it was stopped before that.
        """
        if stopped is None:
            return self._pipe.poll(self.silent_s)
        until_s = time.monotonic() + self.silent_s
        while not self._pipe.poll(_LOOKS_EVERY_S):
            if stopped.is_set():
                raise Unavailable(f"{self.name}: was not open yet when it was to end")
            if time.monotonic() > until_s:
                return False
        return True

    def _receive(self, stopped: threading.Event | None = None) -> object:
        """What the decoder says next; what it tells the user is logged.

        Raises:
            InvalidInput: a file's decoder has died, or hangs.
            Unavailable: a live source's has.
        """
        while True:
            try:
                if not self._speaks(stopped):
                    raise self._lost(f"its decoder gave nothing for {self.silent_s:.0f} s")
                message = self._pipe.recv()
            except (EOFError, OSError) as error:
                raise self._lost(f"its decoder died{self._how()}") from error
            if not isinstance(message, Told):
                return message
            if message.text:
                logger.warning("%s: %s", self.name, message.text)

    def _how(self) -> str:
        if self._closed:
            return ""
        self._process.join(1.0)
        code = self._process.exitcode
        return f" ({signal.Signals(-code).name})" if code is not None and code < 0 else ""

    def _lost(self, what: str) -> InfilinkError:
        after = f"{self.name}: {what} after {self._given} inputs"
        if self.live:
            return Unavailable(after)
        return InvalidInput(f"{after}; it can't be read as it is: convert it (`ffmpeg -i IN OUT.mp4`)")
