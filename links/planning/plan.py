"""What runs under a memory budget, and how everything else is answered for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class AnswerSource:
    """How one model is answered for under a plan.

    Attributes:
        origin: by what most of its answers come to be.
        sources: the models it is predicted from.
        expected_agreement: mean agreement with the exact model, measured on a block nothing was chosen on.
        why: the reason in words.
    """

    origin: Literal["executed", "linked", "held", "constant"]
    sources: tuple[str, ...]
    expected_agreement: float
    why: str


@dataclass(frozen=True)
class Plan:
    """What runs, and what is predicted.

    Attributes:
        budget_bytes: the memory that may be used; None: no limit.
        memory_bytes: the most the plan ever holds.
        resident: always loaded, run on every input that is kept.
        refresh_s: for each rotating model the capture time between two of its exact outputs.
        served: how each model is answered for.
        expected_agreement: the mean over models (weighted, if weights were given).
        refused: why a model does not run, by model.
        gap: by how much a better plan could exceed this one's value, where there were too many to try them all.
    """

    budget_bytes: int | None
    memory_bytes: int
    resident: tuple[str, ...]
    refresh_s: Mapping[str, float] = field(default_factory=dict)
    served: Mapping[str, AnswerSource] = field(default_factory=dict)
    expected_agreement: float = 1.0
    refused: Mapping[str, str] = field(default_factory=dict)
    gap: float = 0.0

    @property
    def rotating(self) -> tuple[str, ...]:
        """Not resident: loaded in turn into the room that is left, and run on single inputs."""
        return tuple(self.refresh_s)
