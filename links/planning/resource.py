"""One kind of budget: what running each model takes of it, and answering by a link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...errors import InvalidInput
from ...process import ModelCost

Combined = Literal["sum", "peak", "largest"]
_KINDS = ("sum", "peak", "largest")


@dataclass(frozen=True)
class Resource:
    """A budget, and what is taken of it, in one unit.

    Attributes:
        name: as errors and explanations name it, with its unit: "memory_bytes", "time_s", "energy_j", "network_bytes".
        budget: how much there is.
        models: what running each model takes.
        links: what answering for each model by a link takes; 0 if it is not named.
        combined: "sum": all that models and links take together (time one after another, energy, network). "peak":
            models are held together and links computed one after another: the models and the largest link (memory).
            "largest": only the largest counts (time, where everything runs at once).
    """

    name: str
    budget: float
    models: Mapping[str, float]
    links: Mapping[str, float] = field(default_factory=dict)
    combined: Combined = "sum"

    @classmethod
    def memory(
        cls, costs: Mapping[str, ModelCost], budget_bytes: int, *, links: Mapping[str, float] | None = None
    ) -> "Resource":
        """Memory in bytes, as measured; a peak."""
        models = {name: float(cost.memory_bytes) for name, cost in costs.items()}
        return cls("memory_bytes", budget_bytes, models, dict(links or {}), "peak")

    @classmethod
    def time(
        cls, costs: Mapping[str, ModelCost], budget_s: float, *, links: Mapping[str, float] | None = None
    ) -> "Resource":
        """Seconds of computing for one input, everything one after another; a sum."""
        return cls("time_s", budget_s, {name: cost.infer_s for name, cost in costs.items()}, dict(links or {}), "sum")

    def check(self, names: tuple[str, ...]) -> None:
        """Makes sure that this says what every model takes.

        Raises:
            InvalidInput: a model is missing, a name is no model's, or a figure is negative or not finite.
        """
        if self.combined not in _KINDS:
            raise InvalidInput(f"{self.name}: combined is one of {', '.join(_KINDS)}, not {self.combined!r}")
        missing = sorted(set(names) - set(self.models))
        if missing:
            raise InvalidInput(f"{self.name}: what does {missing[0]!r} take? Say it in `models`, 0 if nothing")
        unknown = sorted((set(self.models) | set(self.links)) - set(names))
        if unknown:
            raise InvalidInput(f"{self.name}: {unknown[0]!r} is no model; the models are {', '.join(names)}")
        for what, value in (("budget", self.budget), *self.models.items(), *self.links.items()):
            if not 0 <= value < float("inf"):
                raise InvalidInput(f"{self.name}: {what} must be at least 0 and finite, not {value}")
