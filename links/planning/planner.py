"""Chooses what runs under a memory budget, exactly up to 18 models, and says why."""

import os
from collections.abc import Mapping, Sequence

from ...errors import InvalidInput
from ...models import ModelSpec
from ...process import ModelCost
from ..graph import LinkGraph
from ..table import Table
from .explain import refusal, serve
from .local_search import LocalSearch
from .plan import Plan, Served
from .problem import ASSUMED, Problem
from .search import MOST_MODELS, Found, Search
from .weights import shares

REFRESH_CHOICES_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
MAX_LOAD_SHARE = 1 / 6
MAX_AT_ONCE = os.cpu_count() or 1
# A model that never runs can't be seen to differ from what is said in its place. With 0.2 models had turns where others
# should have stayed (campus at 20 %: .79 instead of .91); with 0.02 links from a short recording were believed too far.
AUDIT_GAIN = 0.06
_MIB = 2**20


def make_plan(
    graph: LinkGraph,
    budget_bytes: int,
    *,
    weights: Mapping[str, float] | None = None,
    max_load_share: float = MAX_LOAD_SHARE,
    max_at_once: int = MAX_AT_ONCE,
    audit_gain: float = AUDIT_GAIN,
    input_every_s: float = 0.0,
    refresh_choices_s: Sequence[float] = REFRESH_CHOICES_S,
) -> Plan:
    """The plan with the highest mean agreement that never holds more than `budget_bytes`.

    Exact for up to 18 models; above, `Plan.gap` bounds how much better another could be.

    Args:
        graph: the models, their costs, and what was measured.
        budget_bytes: the memory that models may use.
        weights: how much each model's answers matter; 1 if it is not named.
        max_load_share: the share of real time that may go into loading and running rotating models one after another.
        max_at_once: how many of them may be loaded and run at once where there is room: at most one per processor.
        audit_gain: what it is worth that a model runs at all; above 0, each has its turn now and then if it can.
        input_every_s: the time between two inputs of a stream, behind its filter; where it is known, models are chosen
            for how stale their outputs get until the next input as well.
        refresh_choices_s: the times between two exact outputs of a rotating model to choose from, for each its own.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or an option makes no sense.
    """
    problem = plan_problem(
        graph.costs,
        graph.tables,
        budget_bytes,
        weights=weights,
        max_load_share=max_load_share,
        max_at_once=max_at_once,
        audit_gain=audit_gain,
        input_every_s=input_every_s,
        refresh_choices_s=refresh_choices_s,
    )
    return best_plan(problem, graph.costs)


def full_plan(models: Mapping[str, ModelSpec], costs: Mapping[str, ModelCost]) -> Plan:
    """Everything is resident and nothing is predicted; there is no budget."""
    served = {name: Served("executed", (), 1.0, "runs on every input") for name in models}
    memory = sum(costs[name].memory_bytes for name in models if name in costs)
    return Plan(None, memory, tuple(models), served=served)


def hold_plan(
    costs: Mapping[str, ModelCost],
    budget_bytes: int,
    *,
    max_load_share: float = MAX_LOAD_SHARE,
    max_at_once: int = MAX_AT_ONCE,
    audit_gain: float = AUDIT_GAIN,
    input_every_s: float = 0.0,
    refresh_choices_s: Sequence[float] = REFRESH_CHOICES_S,
) -> Plan:
    """The free alternative to links: run what fits, rotate the others beside it, hold their last outputs.

    Nothing of it is learnt: every model is taken to change alike, so that it comes down to running as many as fit while
    the others still fit in turn.

    Raises:
        InvalidInput: the budget is too small for the smallest model.
    """
    problem = plan_problem(
        costs,
        dict.fromkeys(costs, ASSUMED),
        budget_bytes,
        max_load_share=max_load_share,
        max_at_once=max_at_once,
        audit_gain=audit_gain,
        input_every_s=input_every_s,
        refresh_choices_s=refresh_choices_s,
    )
    return best_plan(problem, costs)


def open_search(problem: Problem) -> Search | LocalSearch:
    """What finds the best plan: every set of up to 18 models; above, the best of many starts, with a gap.

    Either way it is no worse than the best static selection, the paper's rule, or hold + round-robin.
    """
    if len(problem.names) <= MOST_MODELS:
        return Search(problem)
    held = LocalSearch(problem.unmeasured()).best()
    return LocalSearch(problem, also=() if held is None else (held,))


def plan_of(problem: Problem, found: Found, costs: Mapping[str, ModelCost]) -> Plan:
    """A choice as a plan, with how each model is answered for and why."""
    tables = dict(zip(problem.names, problem.tables, strict=True))
    served = {name: serve(name, tables[name], found) for name in problem.names}
    resident_bytes = sum(costs[name].memory_bytes for name in found.resident)
    expected = sum(
        weight * served[name].expected_agreement for name, weight in zip(problem.names, problem.weights, strict=True)
    )
    refused = {name: refusal(name, costs, found, problem.budget_bytes) for name in served if name not in found.resident}
    return Plan(
        problem.budget_bytes,
        resident_bytes + max((costs[name].memory_bytes for name in found.refresh_s), default=0),
        found.resident,
        found.refresh_s,
        served,
        expected,
        refused,
        found.gap,
    )


def plan_problem(
    costs: Mapping[str, ModelCost],
    tables: Mapping[str, Table],
    budget_bytes: int,
    *,
    weights: Mapping[str, float] | None = None,
    max_load_share: float = MAX_LOAD_SHARE,
    max_at_once: int = MAX_AT_ONCE,
    audit_gain: float = AUDIT_GAIN,
    input_every_s: float = 0.0,
    refresh_choices_s: Sequence[float] = REFRESH_CHOICES_S,
) -> Problem:
    """What `make_plan` chooses from, checked; its options are described there.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or an option makes no sense.
    """
    weights = weights or {}
    _check(costs, budget_bytes, weights, max_load_share, max_at_once, input_every_s, refresh_choices_s)
    return Problem.of(
        costs,
        tables,
        budget_bytes,
        weights=weights,
        max_load_share=max_load_share,
        max_at_once=max_at_once,
        audit_gain=audit_gain,
        input_every_s=input_every_s,
        refresh_choices_s=refresh_choices_s,
    )


def best_plan(problem: Problem, costs: Mapping[str, ModelCost]) -> Plan:
    """The best plan for a problem of `plan_problem`."""
    found = open_search(problem).best()
    assert found is not None, "with no model resident and none in turn everything fits"
    return plan_of(problem, found, costs)


def _check(
    costs: Mapping[str, ModelCost],
    budget_bytes: int,
    weights: Mapping[str, float],
    max_load_share: float,
    max_at_once: int,
    input_every_s: float,
    refresh_choices_s: Sequence[float],
) -> None:
    if not costs:
        raise InvalidInput("there is no model to plan for")
    smallest = min(costs, key=lambda name: (costs[name].memory_bytes, name))
    if budget_bytes < costs[smallest].memory_bytes:
        raise InvalidInput(
            f"a budget of {budget_bytes / _MIB:.1f} MiB holds no model: the smallest, {smallest}, needs "
            f"{costs[smallest].memory_bytes / _MIB:.1f} MiB"
        )
    shares(tuple(costs), weights)
    if not 0 <= max_load_share <= 1:
        raise InvalidInput(f"max_load_share must be from 0 to 1, not {max_load_share}")
    if not 0 <= input_every_s < float("inf"):
        raise InvalidInput(f"input_every_s must be at least 0 s, not {input_every_s}")
    if max_at_once < 1:
        raise InvalidInput(f"max_at_once must be at least 1, not {max_at_once}")
    if any(not 0 < refresh_s < float("inf") for refresh_s in refresh_choices_s):
        raise InvalidInput(f"refresh times must be above 0 s, not {tuple(refresh_choices_s)}")
