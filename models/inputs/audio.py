"""A sound: its waveform, whole or piece by piece."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...errors import InvalidInput
from ...outputs import Array
from .base import BaseInput, Shapes, fitting, rate_fits, size_in, window_fits
from .fed import FLOATS, Fed, FedInPieces, Feeder, Over, only
from .form import InputForm

_WHOLE = "tensor(int16)"
_FULL_SCALE = 32768.0
_MOST_SAMPLES = 2**28


class AudioInput(BaseInput):
    """How a waveform becomes a model's input tensor: (1, samples), (1, 1, samples) or (samples,), as the graph says.

    A model that looks at a sound piece by piece has a `chunk`; what it remembers of the pieces before is its `state`,
    which is 0 at the beginning of every input.
    """

    modality: Literal["audio"]
    rate_hz: float = Field(gt=0, allow_inf_nan=False, description="samples a second")
    length: int = Field(
        default=0,
        ge=0,
        le=_MOST_SAMPLES,
        description="samples: a shorter sound is followed by silence, a longer one cut; 0: as the graph says, or any",
    )
    scale: Literal["unit", "int16", "normal"] = Field(
        default="unit",
        description="from -1 to 1, from -32768 to 32767, or of mean 0 and standard deviation 1 within each input",
    )
    chunk: int = Field(default=0, ge=0, le=_MOST_SAMPLES, description="samples in a piece; 0: all is fed at once")
    context: int = Field(default=0, ge=0, description="how many samples before a piece are fed with it, ahead of it")
    state: dict[str, str] = Field(
        default={}, description="the inputs that hold what it remembers, each with the output that it is fed from"
    )
    over: Over = Field(default="max", description="what of the outputs for the pieces counts")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.chunk and (self.context or self.state):
            raise ValueError("`context` and `state` are for a model that is fed piece by piece: give `chunk`, too")
        if self.context > self.chunk:
            raise ValueError(f"`context` must be at most `chunk`, which is {self.chunk}, not {self.context}")
        if self.chunk and self.scale == "normal":
            raise ValueError('`scale` must be "unit" or "int16" where there is a `chunk`')
        return self

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no sound: int16 or floats (samples,)."""
        if value.ndim != 1 or not (value.dtype == np.int16 or value.dtype.kind == "f") or not value.size:
            raise InvalidInput(f"a sound must be int16 or floats of shape (samples,), not {value.dtype} {value.shape}")

    def told(self) -> str:
        """How many samples of what rate."""
        length = f"pieces of {self.chunk}" if self.chunk else f"{self.length or 'any'} samples"
        return f"sound, {length} at {self.rate_hz:g} Hz"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: silence, and noise."""
        size = self.length or max(self.chunk, round(self.rate_hz))
        noise = np.random.default_rng(0).standard_normal(size).astype(np.float32)
        return [np.zeros(size, np.float32), np.clip(0.1 * noise, -1, 1)]

    def filled(self, shapes: Shapes) -> Self:
        """With as many samples as the graph says."""
        if self.length or self.chunk:
            return self
        left = {name: shape for name, shape in shapes.items() if name not in self.state}
        found = max(size_in(left, self.name, -1, dimensions) for dimensions in (1, 2, 3))
        return self.model_copy(update={"length": found})

    @property
    def batches(self) -> bool:
        """Whether several inputs may share a run: not piece by piece."""
        return not self.chunk

    def claims(self, nodes: Mapping[str, Any]) -> list[str]:
        """What it is fed, and what it remembers."""
        return [name for name in (self.name, *self.state) if name in nodes]

    def fits(self, form: InputForm) -> str:
        """Why inputs of this form are none for the model: another rate, or windows that would be cut or filled up."""
        if told := super().fits(form) or rate_fits(self.rate_hz, form):
            return told
        return window_fits("length", self.length, form) if form.window else ""

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor, or those of all pieces.

        Raises:
            InvalidInput: the graph takes something else.
        """
        state = {name: self._zero(name, nodes) for name in self.state}
        node = only(self.name, {name: node for name, node in nodes.items() if name not in state})
        if node.type != _WHOLE and node.type not in FLOATS:
            raise InvalidInput(
                f"its input {node.name!r} takes {node.type}, and sounds are fed as {', '.join([*FLOATS, _WHOLE])}"
            )
        if node.type == _WHOLE and self.scale != "int16":
            raise InvalidInput(f'its input {node.name!r} takes whole numbers ({node.type}): `input.scale` is "int16"')
        size = (self.chunk + self.context if self.chunk else self.length) or None
        before = (1,) * (len(node.shape) - 1)
        if len(node.shape) not in (1, 2, 3) or not fitting(node, (*before, size)):
            raise InvalidInput(
                f"its input {node.name!r} is {node.shape}, but its spec makes [1, {size or 'samples'}] "
                "(`input.length`, `input.chunk` and `input.context`)"
            )

        def feed(value: Array) -> Fed:
            self.check(value)
            samples = self._scaled(value, whole=node.type == _WHOLE)
            if not self.chunk:
                return Fed({node.name: samples.reshape(*before, -1).astype(FLOATS.get(node.type, np.int16))})
            kind = FLOATS.get(node.type, np.dtype(np.int16))
            pieces = [{node.name: piece.reshape(*before, -1).astype(kind)} for piece in self._pieces(samples)]
            return FedInPieces({}, pieces=pieces, state=state, carried=self.state, over=self.over)

        return feed

    def _zero(self, name: str, nodes: Mapping[str, Any]) -> Array:
        node = nodes.get(name)
        if node is None:
            raise InvalidInput(f"has no input {name!r}: `input.state` must name some of {', '.join(nodes)}")
        if node.type not in FLOATS:
            raise InvalidInput(f"its input {name!r} takes {node.type}; a `state` is one of {', '.join(FLOATS)}")
        return np.zeros([size if isinstance(size, int) else 1 for size in node.shape], FLOATS[node.type])

    def _scaled(self, value: Array, *, whole: bool) -> Array:
        """The samples in the model's scale, as many as it takes."""
        taken = value[: self.length] if self.length else value
        samples = taken.astype(np.float32) * (1 / _FULL_SCALE if value.dtype.kind == "i" else 1)
        if self.scale == "normal":
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        elif self.scale == "int16":
            samples = samples * np.float32(_FULL_SCALE)
            samples = np.clip(np.rint(samples), -_FULL_SCALE, _FULL_SCALE - 1) if whole else samples
        return np.pad(samples, (0, self.length - len(samples))) if len(samples) < self.length else samples

    def _pieces(self, samples: Array) -> list[Array]:
        """All pieces, each with what came before it; silence fills the last one up, and is ahead of the first."""
        count = -(-len(samples) // self.chunk)
        whole = np.zeros(self.context + count * self.chunk, np.float32)
        whole[self.context :][: len(samples)] = samples
        return [whole[at : at + self.context + self.chunk] for at in range(0, count * self.chunk, self.chunk)]
