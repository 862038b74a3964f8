"""Reading live sound in the decoder's process: a microphone or a stream, in pieces with the time of their arrival."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...models.inputs.form import InputForm
from ...outputs import Array
from .live import Packets
from .reader import Opened, Opening, Taken
from .sound import Resampled, Sound, check_rate, frames_of

_PIECE_S = 0.05
_LATE_S = 0.5
"""Sound that comes so much later than the samples before it say was not captured all the time."""
_LOST_S = 0.05
_FOLLOW = 1e-3


class SoundStreamReader:
    """Gives the sound of a microphone or a stream; a thread reads it, so that nothing waits in a socket.

    Args:
        opening: the microphone (`kind` says so) or the address; its cut has windows, as live sound has no end.
        told: called with what the user should know.

    Raises:
        InvalidInput: it is cut into no windows, or has fewer samples a second than are asked for.
        Unavailable: it can't be opened.
    """

    def __init__(self, opening: Opening, *, told: Callable[[str], None]) -> None:
        if not opening.cut.is_windowed:
            raise InvalidInput(
                f"{opening.name}: live sound has no end: cut it into windows (`--window 1s`; in TOML "
                "`cut = { window_s = 1.0 }`)"
            )
        wanted_hz = opening.cut.rate_hz
        device = "alsa" if opening.kind == "microphone" else ""
        self._sound = Sound(opening.text, device=device, rate_hz=wanted_hz)
        rate_hz = check_rate(opening.name, self._sound.rate_hz, wanted_hz)
        self.opened = Opened(1.0, None, True, "read", InputForm(modality="audio", rate_hz=rate_hz))
        self._resampled = Resampled(rate_hz, told)
        self._arrival = Arrival(rate_hz)
        self._waiting = Packets()
        threading.Thread(target=self._read, name="sound", daemon=True).start()

    def __iter__(self) -> Iterator[Taken]:
        """Every piece.

        Raises:
            Unavailable: the sound ended or fell silent.
        """
        samples: list[Array] = []
        count, expected_s = 0, None
        for packet, arrived_s in self._waiting:
            for frame in frames_of(packet):
                lost = known = False
                if frame.pts is not None and frame.time_base is not None:
                    begin_s = float(frame.pts * frame.time_base)
                    known = expected_s is not None and abs(begin_s - expected_s) <= _LOST_S
                    lost = expected_s is not None and not known
                    expected_s = begin_s + frame.samples / frame.sample_rate
                if lost:
                    self._arrival.restart()
                    samples, count = [], 0
                samples.append(self._resampled.take(frame))
                count += len(samples[-1])
            if count >= _PIECE_S * self._resampled.rate_hz:
                time_s = self._arrival.of(count, arrived_s, known=known)
                yield Taken(np.concatenate(samples), time_s, begins=self._arrival.anew)
                samples, count = [], 0
        raise Unavailable(f"{self._sound.name}: the sound ended{self._waiting.why}")

    def value(self, taken: Taken) -> Array:
        """The samples: int16 (n,)."""
        samples: Array = taken.frame
        return samples

    def _read(self) -> None:
        """Takes every packet as soon as it is there; the thread's whole life."""
        why = ""
        try:
            for packet in self._sound.packets():
                self._waiting.put(packet, time.monotonic())
        except InfilinkError as error:
            why = f" ({str(error).removeprefix(f'{self._sound.name}: ')})"
        self._waiting.end(why)


class Arrival:
    """The times of pieces of sound that follow each other, from the times when they arrived, which jitter.

    Samples are evenly apart, so a piece ends as much later than the one before as it has samples. What arrives before
    that shows that time was wrong; what arrives later was held up on its way, or the sound's clock goes slower than
    ours, which is followed slowly. What comes far too late, and does not say that nothing is missing, has a hole before
    it.

    Attributes:
        anew: whether the last piece has a hole before it.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.anew = True
        self._last_s: float | None = None

    def of(self, count: int, arrived_s: float, *, known: bool = False) -> float:
        """The time of the last sample of a piece.

        Args:
            count: how many samples it has.
            arrived_s: when it arrived.
            known: whether its own times say that nothing is missing before it.
        """
        due_s = arrived_s if self._last_s is None else self._last_s + count / self.rate_hz
        self.anew = self._last_s is None or (not known and arrived_s - due_s > _LATE_S)
        if self.anew:
            self._last_s = arrived_s
        else:
            self._last_s = min(arrived_s, due_s + _FOLLOW * (arrived_s - due_s))
        return self._last_s

    def restart(self) -> None:
        """Says that something was lost: the next piece has a hole before it."""
        self._last_s = None
