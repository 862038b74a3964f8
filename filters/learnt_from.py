"""What a filter's file says of the trace that it was learnt from, so that another trace can be told from it."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Self

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..codec import decode_jpeg
from ..models.inputs.form import InputForm
from ..outputs import Array
from ..traces.trace import Trace

OTHER_RATE = 1.5
"""Steps that differ by more than this factor are another rate."""
_SAMPLED = 64
_SIDE = 16
_SAME_TIME_S = 1e-3
# On 24 clips of fixed cameras, an earlier and a later part of one: .87 to 1.00; of two cameras: .67 at most.
_SAME_SCENE = 0.75
_FLAT = 1.0
_DEVICES = ("alsa:", "serial:", "v4l2:", "/dev/")


class LearntFrom(BaseModel):
    """The trace that something was learnt from.

    Attributes:
        source: what was recorded.
        inputs: how many there are.
        first_s: when the first of them was captured.
        last_s: likewise the last.
        step_s: the median time from one to the next; 0 for a single one.
        size: pictures: width and height; None: they are no pictures.
        picture: the typical picture: grey, 16 x 16 bytes as base64; "": they are no pictures.
        samples: digests of some of the inputs, to the time at which each was captured.
        form: what an input is, and how it was cut from its source; None: the trace does not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    inputs: int = Field(ge=1)
    first_s: float
    last_s: float
    step_s: float = Field(ge=0)
    size: tuple[int, int] | None = None
    picture: str = ""
    samples: dict[str, float] = {}
    form: InputForm | None = None

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """What there is to say of a trace."""
        wanted = set(np.linspace(0, len(trace) - 1, min(_SAMPLED, len(trace))).round().astype(int).tolist())
        samples: dict[str, float] = {}
        pictures, size = [], None
        for i, payload in enumerate(trace.payloads()):
            if i not in wanted or not payload:
                continue
            samples[_digest(payload)] = round(float(trace.captured_s[i]), 3)
            if trace.info.input == "image":
                frame = decode_jpeg(payload)
                size = (frame.shape[1], frame.shape[0])
                grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
                pictures.append(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
        times = trace.captured_s
        return cls(
            source=trace.info.source,
            inputs=len(trace),
            first_s=float(times[0]),
            last_s=float(times[-1]),
            step_s=max(0.0, float(np.median(np.diff(times)))) if len(times) > 1 else 0.0,
            size=size,
            picture=b64encode(np.median(pictures, axis=0).astype(np.uint8).tobytes()).decode() if pictures else "",
            samples=samples,
            form=trace.info.form,
        )

    def differences(self, trace: Trace) -> list[str]:
        """Why a judgement on this trace says little of what was learnt: it is the same one, or of something else."""
        found = LearntFrom.of(trace)
        said = [self._other_form(found), self._overlap(trace), self._other_camera(found), self._other_rate(found)]
        return [text for text in said if text]

    def _other_form(self, found: "LearntFrom") -> str:
        if self.form is None or found.form is None:
            return ""
        why = found.form.differs(self.form)
        return f"inputs of another form: {why}" if why else ""

    def _overlap(self, trace: Trace) -> str:
        shared = self._shared(zip(trace.payloads(), trace.captured_s.tolist(), strict=True))
        if shared:
            return (
                f"it was learnt from this trace: {shared} of {len(self.samples)} inputs that it remembers are in it; "
                "judge on inputs that were recorded before or after"
            )
        first_s, last_s = float(trace.captured_s[0]), float(trace.captured_s[-1])
        same = self.picture and self.source == trace.info.source
        if same and first_s <= self.last_s and last_s >= self.first_s:
            return (
                f"it was learnt from the same time of the same source ({self.source}, {self.first_s:.0f} to "
                f"{self.last_s:.0f} s): judge on another time"
            )
        return ""

    def _shared(self, inputs: Iterable[tuple[bytes, float]]) -> int:
        """How many of the samples are among the inputs, at the same time."""
        found = 0
        for payload, captured_s in inputs:
            known_s = self.samples.get(_digest(payload)) if payload else None
            found += known_s is not None and abs(known_s - captured_s) <= _SAME_TIME_S
        return found

    def _other_camera(self, found: "LearntFrom") -> str:
        if self.size != found.size and self.size and found.size:
            learnt, judged = ("x".join(map(str, size)) for size in (self.size, found.size))
            return f"another camera: its pictures are {judged}, those that it was learnt from {learnt}"
        alike = _alike(self.picture, found.picture)
        if alike < _SAME_SCENE:
            return (
                f"another camera, or it was moved, or the light is another: the typical picture is like that of what "
                f"it was learnt from to {alike:.2f} (from {_SAME_SCENE:g} on it is the same scene)"
            )
        # Two files may well be two days of one camera, which the pictures tell; two addresses are two cameras. Of what
        # is no picture nothing tells two files apart.
        pictures = self.form is None or self.form.modality == "image"
        known = bool(self.picture) if pictures else True
        if self.source != found.source and not (known and _is_file(self.source) and _is_file(found.source)):
            return f"another source: it was learnt from {self.source}, this is {found.source}"
        return ""

    def _other_rate(self, found: "LearntFrom") -> str:
        times = self.times_faster(found.step_s)
        if 1 / OTHER_RATE <= times <= OTHER_RATE:
            return ""
        learnt, judged = (f"{1 / step_s:.3g} inputs/s" for step_s in (self.step_s, found.step_s))
        return f"another rate: it was learnt at {learnt}, this is {judged}"

    def times_faster(self, step_s: float) -> float:
        """How many times as many inputs per second there are with another step; 1 where a step is not known."""
        return self.step_s / step_s if self.step_s > 0 and step_s > 0 else 1.0


def _alike(first: str, second: str) -> float:
    """The correlation of two typical pictures; 1 where one is not known or shows nothing."""
    if not first or not second:
        return 1.0
    one, other = (_centred(text) for text in (first, second))
    if min(one.std(), other.std()) < _FLAT:
        return 1.0
    return float((one * other).mean() / (one.std() * other.std()))


def _centred(picture: str) -> Array:
    values = np.frombuffer(b64decode(picture), np.uint8).astype(np.float64)
    return np.asarray(values - values.mean())


def _is_file(source: str) -> bool:
    return "://" not in source and not source.startswith(_DEVICES) and ("." in source or "/" in source)


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()[:12]
