"""The sound in a file, a stream or a microphone, as samples of one rate; for the decoder's process."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import av
import numpy as np

from ...errors import InvalidInput, Unavailable
from ...outputs import Array
from ...traces.source_name import source_kind, without_secrets
from .container import open_container, told
from .cut import NEAR

LEAST_HZ, MOST_HZ = 1000, 768_000

_MICROPHONE_HZ = 48_000


class Sound:
    """One opened container and the sound in it.

    Args:
        text: a path, an address, or a microphone's name.
        device: FFmpeg's name for the system that microphones belong to; empty: it is no microphone.
        rate_hz: what a microphone is asked for.

    Raises:
        InvalidInput: the file is there and has no sound that can be read.
        Unavailable: nothing answers at the address, or the microphone can't be opened.
    """

    def __init__(self, text: str, *, device: str = "", rate_hz: float | None = None) -> None:
        self.text = text
        self.name = without_secrets(text)
        self.live = bool(device) or source_kind(text) == "address"
        self.container = _open_microphone(text, device, rate_hz) if device else open_container(text, what="a sound")
        streams = self.container.streams.audio
        if not streams:
            self.container.close()
            raise InvalidInput(f"{self.name}: holds no sound")
        self.stream = streams[0]
        self.rate_hz = float(self.stream.rate or 0)
        if not LEAST_HZ <= self.rate_hz <= MOST_HZ:
            self.container.close()
            raise InvalidInput(f"{self.name}: {self.rate_hz:g} samples a second are none of a sound")

    @property
    def duration_s(self) -> float | None:
        """How long it is, as far as the container says."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return self.container.duration / 1e6 if self.container.duration and self.container.duration > 0 else None

    def packets(self) -> Iterator[Any]:
        """Every packet of the sound, the last one empty, up to where it can be read.

        Raises:
            Unavailable: a stream or a microphone gives no more.
        """
        try:
            yield from self.container.demux(self.stream)
        except (av.FFmpegError, OSError) as error:
            if self.live:
                raise Unavailable(f"{self.name}: {told(error)}") from error

    def close(self) -> None:
        """Closes it."""
        self.container.close()


class Resampled:
    """Samples of one rate, one channel and int16 from frames of any.

    Args:
        rate_hz: what comes out.
        said: called with what is changed on the way, once for each change.
    """

    def __init__(self, rate_hz: float, said: Callable[[str], None]) -> None:
        self.rate_hz = rate_hz
        self._said = said
        self._known: tuple[object, ...] | None = None
        self._resampler: Any = None
        self._rates: set[int] = {round(rate_hz)}

    def take(self, frame: Any) -> Array:
        """A frame's samples: int16 (n,); n may be 0 while the resampler fills."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        before = self.finish() if kind != self._known else _NONE
        if kind != self._known:
            if frame.sample_rate not in self._rates and len(self._rates) < _MOST_RATES:
                self._rates.add(frame.sample_rate)
                lost = (
                    f"; nothing above {frame.sample_rate / 2:g} Hz is in it" if frame.sample_rate < self.rate_hz else ""
                )
                self._said(f"has {frame.sample_rate} samples a second: resampled to {self.rate_hz:g}{lost}")
            self._known = kind
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=round(self.rate_hz))
        # Without a time the resampler goes by the samples alone, and fills no holes in with silence.
        frame.pts = None
        return _joined([before, *map(_samples, self._resampler.resample(frame))])

    def finish(self) -> Array:
        """What the resampler still holds."""
        if self._resampler is None:
            return _NONE
        rest = self._resampler.resample(None)
        self._resampler = self._known = None
        return _joined([_samples(frame) for frame in rest])


_NONE = np.empty(0, np.int16)
_MOST_RATES = 8


def frames_of(packet: Any) -> list[Any]:
    """The frames that come out with a packet; none where it is damaged."""
    found: list[Any] = []
    with suppress(av.FFmpegError):
        found = packet.decode()
    return found


def check_rate(name: str, rate_hz: float, wanted_hz: float | None) -> float:
    """The rate that sound is given in.

    Raises:
        InvalidInput: more samples a second are asked for than there are.
    """
    if wanted_hz is None:
        return rate_hz
    if not LEAST_HZ <= wanted_hz <= MOST_HZ or wanted_hz != round(wanted_hz):
        raise InvalidInput(f"{name}: `rate_hz` of a sound is a whole number from {LEAST_HZ} to {MOST_HZ}")
    if wanted_hz > rate_hz * (1 + NEAR):
        raise InvalidInput(
            f"{name}: has {rate_hz:g} samples a second, and `rate_hz` asks for {wanted_hz:g}: what is not in it can't "
            f"be made; give {rate_hz:g} or less"
        )
    return wanted_hz


def _open_microphone(text: str, device: str, rate_hz: float | None) -> Any:
    # What has other rates or two channels only is resampled.
    asked = {"sample_rate": str(round(rate_hz or _MICROPHONE_HZ)), "channels": "1"}
    error: Exception | None = None
    for options in (asked, {}):
        try:
            return av.open(text, format=device, options=options)
        except (av.FFmpegError, OSError, ValueError) as raised:
            error = raised
    assert error is not None
    raise Unavailable(
        f"microphone {device}:{text}: can't be opened ({told(error)}); check that it is there (`arecord -L`) and that "
        "nobody else uses it"
    ) from error


def _samples(frame: Any) -> Array:
    samples: Array = frame.to_ndarray().reshape(-1)
    return samples


def _joined(parts: list[Array]) -> Array:
    parts = [part for part in parts if len(part)]
    return np.concatenate(parts) if parts else _NONE
