"""What other budgets would give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..graph import LinkGraph
from .options import DEFAULTS, PlanOptions
from .planner import make_plan

_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class WhatIf:
    """What another budget would give."""

    budget_bytes: int
    resident: tuple[str, ...]
    rotating: tuple[str, ...]
    expected_agreement: float


def what_if(
    graph: LinkGraph,
    shares: Sequence[float] = _SHARES,
    *,
    weights: Mapping[str, float] | None = None,
    options: PlanOptions = DEFAULTS,
) -> list[WhatIf]:
    """What budgets of these shares of all models' memory would give; too small ones are left out."""
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    smallest = min(cost.memory_bytes for cost in graph.costs.values())
    budgets = [int(share * total) for share in shares if int(share * total) >= smallest]
    plans = [make_plan(graph, budget, weights=weights, options=options) for budget in budgets]
    return [WhatIf(plan.budget_bytes or 0, plan.resident, plan.rotating, plan.expected_agreement) for plan in plans]
