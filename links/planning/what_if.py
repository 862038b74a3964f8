"""What other budgets of memory and of compute, and other numbers of streams, would give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..graph import LinkGraph
from ..scheduling.weights import Weights
from .plan import Plan
from .planner import UNLIMITED, make_plan
from .streams import Stream

_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_COMPUTE = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_TIMES = (1, 2, 4, 8)


@dataclass(frozen=True)
class WhatIf:
    """What another budget, or more streams, would give.

    Attributes:
        budget_bytes: the memory; None: no limit.
        compute_cores: the compute; None: no limit.
        streams: how many there are.
        resident: the models that stay loaded.
        rotating: those that take turns.
        expected_agreement: the mean over streams and models.
    """

    budget_bytes: int | None
    compute_cores: float | None
    streams: int
    resident: tuple[str, ...]
    rotating: tuple[str, ...]
    expected_agreement: float

    @classmethod
    def of(cls, plan: Plan, streams: int) -> "WhatIf":
        """What a plan says."""
        return cls(
            plan.budget_bytes,
            plan.compute_cores,
            streams,
            plan.resident,
            plan.rotating,
            plan.expected_agreement,
        )


def other_memory(
    graph: LinkGraph,
    streams: Sequence[Stream],
    *,
    compute_cores: float = UNLIMITED,
    weights: Weights | None = None,
    shares: Sequence[float] = _SHARES,
) -> list[WhatIf]:
    """What budgets of these shares of all models' memory would give; too small ones are left out."""
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    smallest = min(cost.memory_bytes for cost in graph.costs.values())
    budgets = [int(share * total) for share in shares if int(share * total) >= smallest]
    found: list[WhatIf] = []
    for budget_bytes in budgets:
        plan = make_plan(graph, budget_bytes, streams=streams, compute_cores=compute_cores, weights=weights)
        found.append(_no_worse(WhatIf.of(plan, len(streams)), found))
    return found


def other_compute(
    graph: LinkGraph, streams: Sequence[Stream], budget_bytes: int, *, weights: Weights | None = None
) -> list[WhatIf]:
    """What shares of the compute that running every model on every input takes would give."""
    full = sum(stream.inputs_per_s for stream in streams) * sum(cost.infer_s for cost in graph.costs.values())
    found: list[WhatIf] = []
    for share in _COMPUTE:
        plan = make_plan(graph, budget_bytes, streams=streams, compute_cores=share * full, weights=weights)
        found.append(_no_worse(WhatIf.of(plan, len(streams)), found))
    return found


def other_streams(
    graph: LinkGraph,
    streams: Sequence[Stream],
    budget_bytes: int,
    *,
    compute_cores: float = UNLIMITED,
    weights: Weights | None = None,
) -> list[WhatIf]:
    """What twice, four times and eight times the streams would give."""
    found = []
    for times in _TIMES:
        more = [
            replace(stream, name=stream.name if copy == 0 else f"{stream.name} {copy + 1}")
            for copy in range(times)
            for stream in streams
        ]
        plan = make_plan(graph, budget_bytes, streams=more, compute_cores=compute_cores, weights=weights)
        found.append(WhatIf.of(plan, len(more)))
    return found


def _no_worse(found: WhatIf, before: Sequence[WhatIf]) -> WhatIf:
    """With more of a budget what fits less of it is still there, where neither is proven to be the best."""
    if before and before[-1].expected_agreement > found.expected_agreement:
        return replace(before[-1], budget_bytes=found.budget_bytes, compute_cores=found.compute_cores)
    return found
