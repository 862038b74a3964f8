"""A sensor's signal: a window of its channels over time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...errors import InvalidInput
from ...outputs import Array
from .base import BaseInput, Shapes, fitting, rate_fits, size_in, window_fits
from .fed import FLOATS, Fed, Feeder, only
from .form import InputForm


class SignalInput(BaseInput):
    """How to make a model's input tensor of a window: `(number - mean) / std`, channel by channel."""

    modality: Literal["signal"]
    channels: tuple[str, ...] = Field(min_length=1, description="what it reads, in order")
    rate_hz: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="samples a second; 0: of any rate")
    steps: int = Field(default=0, ge=0, description="how many samples; 0: as many as the graph says, or any number")
    layout: Literal["NCT", "NTC"] = "NCT"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, len(self.channels)):
                raise ValueError(f"`{key}` must have 1 or {len(self.channels)} numbers, not {len(values)}")
            if not np.isfinite(values).all():
                raise ValueError(f"`{key}` must be finite numbers")
        if min(self.std) <= 0:
            raise ValueError(f"`std` must be above 0, not {min(self.std):g}: it divides each number")
        return self

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no such signal: floats (steps, channels)."""
        if value.ndim != 2 or value.dtype.kind != "f" or value.shape[1] != len(self.channels):
            raise InvalidInput(
                f"a signal must be floats of shape (steps, {len(self.channels)}), not {value.dtype} {value.shape}"
            )
        if self.steps and len(value) != self.steps:
            raise InvalidInput(f"a signal must have {self.steps} steps (`input.steps`), not {len(value)}")

    def told(self) -> str:
        """The channels, how many steps of them, and of what rate."""
        rate = f" at {self.rate_hz:g} Hz" if self.rate_hz else ""
        return f"{', '.join(self.channels)}: {self.steps or 'any'} steps{rate}"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with: nothing but zeros, and noise."""
        shape = (self.steps or 128, len(self.channels))
        return [np.zeros(shape, np.float32), np.random.default_rng(0).standard_normal(shape).astype(np.float32)]

    def filled(self, shapes: Shapes) -> Self:
        """With as many steps as the graph says."""
        steps = self.steps or size_in(shapes, self.name, 2 if self.layout == "NCT" else 1, 3)
        return self.model_copy(update={"steps": steps})

    def fits(self, form: InputForm) -> str:
        """Why inputs of this form are none for the model: another rate, window or other channels."""
        if told := super().fits(form) or rate_fits(self.rate_hz, form) or window_fits("steps", self.steps, form):
            return told
        if form.channels and form.channels != self.channels:
            return f"it reads {', '.join(self.channels)} (`input.channels`), and these are {', '.join(form.channels)}"
        return ""

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensor.

        Raises:
            InvalidInput: the graph takes something else.
        """
        node = only(self.name, nodes)
        kind = FLOATS.get(node.type)
        if kind is None:
            raise InvalidInput(f"its input {node.name!r} takes {node.type}, and signals are fed as {', '.join(FLOATS)}")
        steps, channels = self.steps or None, len(self.channels)
        expected = (1, channels, steps) if self.layout == "NCT" else (1, steps, channels)
        if not fitting(node, expected):
            raise InvalidInput(
                f"its input {node.name!r} is {node.shape}, but its spec makes {[e or 'steps' for e in expected]} "
                f"(`input.channels`, `input.steps`; `input.layout` is {self.layout})"
            )
        mean, scale = np.asarray(self.mean, np.float32), 1.0 / np.asarray(self.std, np.float32)

        def feed(value: Array) -> Fed:
            self.check(value)
            normal = (np.asarray(value, np.float32) - mean) * scale
            tensor = normal.T if self.layout == "NCT" else normal
            return Fed({node.name: np.ascontiguousarray(tensor[None], kind)})

        return feed
