"""One kind of budget, and what running each model takes of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import InvalidInput


@dataclass(frozen=True)
class Resource:
    """A budget, and what is taken of it, in one unit; what all that run take together may not exceed it.

    Attributes:
        name: as errors and explanations name it, with its unit: "memory_bytes".
        budget: how much there is.
        models: what running each model takes.
    """

    name: str
    budget: float
    models: Mapping[str, float]

    def check(self, names: tuple[str, ...]) -> None:
        """Makes sure that this says what every model takes.

        Raises:
            InvalidInput: a model is missing, a name is no model's, or a figure is negative or not finite.
        """
        missing = sorted(set(names) - set(self.models))
        if missing:
            raise InvalidInput(f"{self.name}: what does {missing[0]!r} take? Say it in `models`, 0 if nothing")
        unknown = sorted(set(self.models) - set(names))
        if unknown:
            raise InvalidInput(f"{self.name}: {unknown[0]!r} is no model; the models are {', '.join(names)}")
        for what, value in (("budget", self.budget), *self.models.items()):
            if not 0 <= value < float("inf"):
                raise InvalidInput(f"{self.name}: {what} must be at least 0 and finite, not {value}")
