"""The form of a stream's inputs: their kind, and how they are cut from what the source gives.

| modality | an input                                                                                   |
|----------|--------------------------------------------------------------------------------------------|
| image    | uint8 (height, width, 3), BGR                                                              |
| video    | uint8 (frames, height, width, 3), BGR: a window of the newest frames                       |
| audio    | int16, or float32 from -1 to 1, (samples,)                                                 |
| signal   | float32 (steps, channels)                                                                  |
| text     | uint8 (bytes,): UTF-8                                                                      |
| map      | float32 (channels, height, width): of a model in two parts                                 |
| joint    | one array of no dimensions with a field per part: its modality is theirs, as `audio+text`  |
"""

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...errors import InvalidInput
from ...outputs import Array

Kind = Literal["image", "video", "audio", "signal", "text", "map"]
KINDS: tuple[Kind, ...] = ("image", "video", "audio", "signal", "text", "map")
_RATED = ("audio", "signal", "video")
_WINDOWED = ("audio", "signal", "video")
_DIMENSIONS = {"image": 3, "video": 4, "audio": 1, "signal": 2, "text": 1, "map": 3}
_TYPES = {"image": "u", "video": "u", "audio": "if", "signal": "f", "text": "u", "map": "f"}


class InputForm(BaseModel):
    """The form of a stream's inputs: the same where something is learnt and where it works, or it is refused.

    Attributes:
        modality: one of `KINDS`; of an input of several parts, their kinds joined by +.
        rate_hz: audio, signal: samples a second; 0: there is no rate, as of samples that come when they like. video:
            the frames a second that were chosen; 0: all that there are.
        window: audio and signal: how many samples an input has, video: how many frames; 0: an input is what the source
            has as one (a sound file, a line), of any length.
        stride: how many samples or frames lie between the beginnings of two inputs; 0 where there is no window.
        channels: signal: the columns' names, in order.
        parts: of an input of several kinds: each part's form, by its name, in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: str = "image"
    rate_hz: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    window: int = Field(default=0, ge=0)
    stride: int = Field(default=0, ge=0)
    channels: tuple[str, ...] = ()
    parts: dict[str, "InputForm"] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.parts:
            kinds = "+".join(part.modality for part in self.parts.values())
            if len(self.parts) < 2 or any(part.parts for part in self.parts.values()) or kinds != self.modality:
                raise ValueError(f"`parts` are two or more plain kinds, and `modality` names them as {kinds!r}")
        elif self.modality not in KINDS:
            raise ValueError(f"`modality` must be one of {', '.join(KINDS)}, not {self.modality!r}")
        for key, kinds_of in (("rate_hz", _RATED), ("window", _WINDOWED), ("stride", _WINDOWED)):
            if getattr(self, key) and self.modality not in kinds_of:
                raise ValueError(f"`{key}` is for {', '.join(kinds_of)}, not for {self.modality}")
        if bool(self.window) != bool(self.stride):
            raise ValueError("`window` and `stride` go together")
        return self

    def check(self, value: Array) -> None:
        """Makes sure that this is an input of this form.

        Raises:
            InvalidInput: it is not; the message says what was given and what is wanted.
        """
        if self.parts:
            if value.dtype.names != tuple(self.parts) or value.ndim:
                raise InvalidInput(f"an input has the parts {', '.join(self.parts)}, not {value.dtype.names}")
            for name, part in self.parts.items():
                try:
                    part.check(value[name])
                except InvalidInput as error:
                    raise InvalidInput(f"part {name!r}: {error}") from error
            return
        kind, dimensions = self.modality, _DIMENSIONS[self.modality]
        if value.ndim != dimensions or value.dtype.kind not in _TYPES[kind]:
            raise InvalidInput(f"{kind} inputs have {dimensions} dimensions, not {value.dtype} {value.shape}")
        if not value.size and kind != "text":
            raise InvalidInput(f"an input of {kind} that holds nothing ({value.shape})")
        if self.window and len(value) != self.window:
            raise InvalidInput(f"an input of {kind} has {self.window} samples (its window), not {len(value)}")
        if self.channels and value.shape[1] != len(self.channels):
            raise InvalidInput(
                f"a signal has {len(self.channels)} channels ({', '.join(self.channels)}), not {value.shape[1]}"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise InvalidInput(f"an input of {kind} holds NaN or infinity")
        if kind == "text":
            as_text(value)

    def differs(self, learnt: "InputForm") -> str:
        """In which way inputs of this form are not what was learnt from; "": in none.

        Args:
            learnt: the form of the inputs that a filter, link or head was learnt from.
        """
        for key in ("modality", "rate_hz", "window", "stride", "channels"):
            here, there = getattr(self, key), getattr(learnt, key)
            if here != there:
                return f"{key} is {_shown(here)} here, and was {_shown(there)} in training"
        if list(self.parts) != list(learnt.parts):
            return f"its parts are {', '.join(self.parts)} here, and were {', '.join(learnt.parts)} in training"
        for name, part in self.parts.items():
            if found := part.differs(learnt.parts[name]):
                return f"part {name!r}: {found}"
        return ""


def as_text(value: Array) -> str:
    """An input as a text.

    Raises:
        InvalidInput: it is no UTF-8, and where it is not.
    """
    if value.ndim != 1 or value.dtype != np.uint8:
        raise InvalidInput(f"a text must be uint8 of shape (bytes,), not {value.dtype} {value.shape}")
    try:
        return value.tobytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"a text must be UTF-8, and byte {error.start} of {len(value)} is not (0x{value[error.start]:02x})"
        ) from error


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "not named"
    return f"{value:g}" if isinstance(value, float) else str(value)


PICTURES = InputForm()
"""Single pictures: what a stream gives if it says nothing else."""
