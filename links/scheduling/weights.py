"""How much the answers of a site's streams, models and classes matter, and how seldom a pair may run at most."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ...traces.stream_names import is_meant


@dataclass(frozen=True)
class Weights:
    """What a site's answers are worth beside each other; what is not named weighs 1.

    Attributes:
        streams: by the stream's name, or its device's, `*` and `?` allowed; the first pattern that fits counts.
        models: by the model's name.
        classes: by `model:class`: an answer of that model that names the class counts so much more.
        least_every_s: each pair of a stream and a model runs at least so often, whatever it is worth; 0: no such rule.

    Raises:
        InvalidInput: a weight is negative or not finite.
    """

    streams: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, float] = field(default_factory=dict)
    classes: Mapping[str, float] = field(default_factory=dict)
    least_every_s: float = 60.0

    def __post_init__(self) -> None:
        for what in ("streams", "models", "classes"):
            for name, weight in getattr(self, what).items():
                if not 0.0 <= weight < float("inf"):
                    raise InvalidInput(f"weights.{what}: {name!r} weighs {weight}; give a figure from 0 up")
        if not 0.0 <= self.least_every_s < float("inf"):
            raise InvalidInput(f"least_every_s must be at least 0, not {self.least_every_s}")

    def of_stream(self, name: str) -> float:
        """A stream's weight."""
        return next((weight for pattern, weight in self.streams.items() if is_meant(name, pattern)), 1.0)

    def of_model(self, name: str) -> float:
        """A model's weight."""
        return self.models.get(name, 1.0)

    def of_answer(self, name: str, output: OutputSpec, value: Array) -> float:
        """What an answer of a model weighs beside its others: as much as the weightiest class that it names."""
        weights = [self.classes.get(f"{name}:{label}") for label in output.classes] if self.classes else []
        if not any(weight is not None for weight in weights):
            return 1.0
        if output.kind == "boxes":
            named = output.counts(value) > 0
        elif output.kind == "label":
            named = np.arange(len(value)) == value.argmax()
        else:
            named = np.asarray(value) >= 0.5
        return max((w for w, is_named in zip(weights, named, strict=True) if w is not None and is_named), default=1.0)
