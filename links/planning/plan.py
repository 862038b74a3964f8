"""What runs under a budget of memory and compute, and how everything else is answered for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class AnswerSource:
    """How one model is answered for under a plan.

    Attributes:
        origin: by what most of its answers come to be.
        sources: the models it is predicted from.
        expected_agreement: mean agreement with the exact model over all streams, as expected later on.
        why: the reason in words.
    """

    origin: Literal["executed", "linked", "held", "constant"]
    sources: tuple[str, ...]
    expected_agreement: float
    why: str


@dataclass(frozen=True)
class Pair:
    """How one stream is answered for by one model.

    Attributes:
        stream: its name.
        model: the model's.
        origin: by what most answers come to be.
        sources: the models these are predicted from.
        every_s: the mean time between two runs; None: it never runs there.
        expected_agreement: mean agreement with the exact model.
    """

    stream: str
    model: str
    origin: Literal["executed", "linked", "held", "constant"]
    sources: tuple[str, ...]
    every_s: float | None
    expected_agreement: float


@dataclass(frozen=True)
class Plan:
    """What runs, and what is predicted.

    Attributes:
        budget_bytes: the memory that may be used; None: no limit.
        memory_bytes: the most the plan ever holds.
        resident: always loaded; on which inputs each runs is `pairs`'.
        refresh_s: for each rotating model the time between two of its loads.
        served: how each model is answered for.
        expected_agreement: the mean over streams and models (weighted, if weights were given).
        refused: why a model is not loaded all the time, by model.
        gap: by how much a better plan could exceed this one, where there were too many to try them all.
        compute_cores: the processor seconds that may be spent in a second; None: no limit.
        used_cores: those that are.
        pairs: how often each model runs on each stream.
    """

    budget_bytes: int | None
    memory_bytes: int
    resident: tuple[str, ...]
    refresh_s: Mapping[str, float] = field(default_factory=dict)
    served: Mapping[str, AnswerSource] = field(default_factory=dict)
    expected_agreement: float = 1.0
    refused: Mapping[str, str] = field(default_factory=dict)
    gap: float = 0.0
    compute_cores: float | None = None
    used_cores: float = 0.0
    pairs: tuple[Pair, ...] = ()

    @property
    def rotating(self) -> tuple[str, ...]:
        """Not resident: loaded in turn into the room that is left, for a moment each."""
        return tuple(self.refresh_s)
