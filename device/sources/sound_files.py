"""Reading sound files in the decoder's process: each file one input, or in pieces that windows are cut of."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .complaints import Complaints
from .folder import files_of
from .reader import Opened, Opening, Taken
from .sound import Resampled, Sound, check_rate, frames_of

APART_S = 10.0
"""How far apart the files of a folder lie, if they are cut into windows: what is in two of them is no one event."""

_PIECE = 2**15
_MOST_SAMPLES = 2**25


class SoundFilesReader:
    """Gives the sound of files, all at the first one's rate or the one that is asked for.

    Args:
        opening: the files, and how they are cut.
        told: called with what the user should know.
        alive: called now and then while nothing is given.

    Raises:
        InvalidInput: none of them can be read.
    """

    def __init__(self, opening: Opening, *, told: Callable[[str], None], alive: Callable[[], None]) -> None:
        self.opening = opening
        self._told = told
        self._alive = alive
        self._complaints = Complaints(told, strict=opening.strict)
        self._files = files_of("sound", opening.text, watch=opening.cut.watch, alive=alive)
        self._files.complaints = self._complaints
        self._first: Path | None = None
        rate_hz = self._rate()
        self._resampled = Resampled(rate_hz, told)
        whole = not opening.cut.is_windowed
        form = InputForm(modality="audio", rate_hz=rate_hz)
        count = self._files.count if whole else None
        self.opened = Opened(
            1.0, count, self._files.watch, "order" if whole and not self._files.watch else "read", form
        )

    def __iter__(self) -> Iterator[Taken]:
        """Every file's sound, or its pieces."""
        yield from self._whole() if not self.opening.cut.is_windowed else self._pieces()
        self._complaints.finish()

    def value(self, taken: Taken) -> Array:
        """The samples: int16 (n,)."""
        samples: Array = taken.frame
        return samples

    def _rate(self) -> float:
        wanted_hz = self.opening.cut.rate_hz
        if self._files.watch and wanted_hz is not None:
            return check_rate(self.opening.name, wanted_hz, wanted_hz)
        if self._files.watch and not self._files.are_there:
            raise InvalidInput(f"{self.opening.name}: no sound is there yet: give the `rate_hz` that they shall have")
        self._first, sound = self._first_that_opens()
        sound.close()
        return check_rate(self.opening.name, sound.rate_hz, wanted_hz)

    def _first_that_opens(self) -> tuple[Path, Sound]:
        error: InvalidInput | None = None
        for path, _ in self._files:
            try:
                return path, Sound(str(path))
            except InvalidInput as raised:
                error = error or raised
                if self._files.count == 1:
                    break
                self._complaints.add("can't be read", f"left out: {raised}")
        raise error or InvalidInput(f"{self.opening.name}: holds no sound that can be read")

    def _opened(self) -> Iterator[tuple[Sound, float | None]]:
        """Every file that can be read, with when it came if that is watched for."""
        if self._first is not None:
            yield Sound(str(self._first)), self._files.now()
        for path, at_s in self._files:
            try:
                sound = Sound(str(path))
            except InvalidInput as error:
                self._complaints.add("can't be read", f"left out: {error}")
                continue
            yield sound, at_s

    def _whole(self) -> Iterator[Taken]:
        count = 0
        for sound, at_s in self._opened():
            samples = np.concatenate([np.empty(0, np.int16), *self._samples(sound)])
            if not len(samples):
                self._complaints.add("is empty", f"left out: {sound.name}: holds no sound")
                continue
            time_s = float(count) if at_s is None else at_s
            yield Taken(samples, time_s, time_s if at_s is None else None, count)
            count += 1
        if not count:
            raise InvalidInput(f"{self.opening.name}: holds no sound that can be read")

    def _pieces(self) -> Iterator[Taken]:
        begin_s, rate_hz = 0.0, self._resampled.rate_hz
        for sound, at_s in self._opened():
            given, begins = 0, True
            begin_s = begin_s if at_s is None else at_s
            for samples in self._samples(sound):
                given += len(samples)
                end_s = begin_s + (given - 1) / rate_hz
                yield Taken(samples, end_s, end_s if at_s is None else None, begins=begins)
                begins = False
            begin_s += given / rate_hz + APART_S

    def _samples(self, sound: Sound) -> Iterator[Array]:
        """A file's samples in pieces; it is closed at the end."""
        waiting: list[Array] = []
        count = total = 0
        limit = None if self.opening.cut.is_windowed else _MOST_SAMPLES
        try:
            for packet in sound.packets():
                self._alive()
                for frame in frames_of(packet):
                    waiting.append(self._resampled.take(frame))
                    count += len(waiting[-1])
                if count >= _PIECE:
                    total += count
                    if limit and total > limit:
                        minutes = limit / self._resampled.rate_hz / 60
                        raise InvalidInput(
                            f"{sound.name}: is longer than {minutes:.0f} minutes, too long for one input: cut it into "
                            "windows (`window_s`)"
                        )
                    yield np.concatenate(waiting)
                    waiting, count = [], 0
            waiting.append(self._resampled.finish())
            if sum(map(len, waiting)):
                yield np.concatenate(waiting)
        finally:
            sound.close()
