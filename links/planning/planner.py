"""Chooses what runs under a memory budget, exactly up to 18 models, and says why."""

from collections.abc import Mapping

from ...errors import InvalidInput
from ...models.cost import ModelCost
from ...models.spec import ModelSpec
from ..graph import LinkGraph
from ..table import Table
from .explain import refusal, serve
from .local_search import LocalSearch
from .options import DEFAULTS, PlanOptions
from .plan import AnswerSource, Plan
from .problem import ASSUMED, Problem
from .search import MOST_MODELS, Found, Search
from .weights import shares

_MIB = 2**20


def make_plan(
    graph: LinkGraph,
    budget_bytes: int,
    *,
    weights: Mapping[str, float] | None = None,
    options: PlanOptions = DEFAULTS,
) -> Plan:
    """The plan with the highest mean agreement that never holds more than `budget_bytes`.

    Exact for up to 18 models; above, `Plan.gap` bounds how much better another could be.

    Args:
        graph: the models, their costs, and what was measured.
        budget_bytes: the memory that models may use.
        weights: how much each model's answers matter; 1 if it is not named.
        options: what else plans are made by.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or a weight makes no sense.
    """
    problem = plan_problem(
        graph.costs,
        graph.tables,
        budget_bytes,
        weights=weights,
        options=options,
    )
    return best_plan(problem, graph.costs)


def full_plan(models: Mapping[str, ModelSpec], costs: Mapping[str, ModelCost], graph: LinkGraph | None = None) -> Plan:
    """Everything is resident, there is no budget, and nothing is predicted but the graph's virtual models."""
    served = {name: AnswerSource("executed", (), 1.0, "runs on every input") for name in models}
    memory = sum(costs[name].memory_bytes for name in models if name in costs)
    if graph is not None:
        everything = Found(tuple(models), {}, 1.0)
        served |= {name: serve(name, graph.tables[name], everything) for name in graph.virtual}
    expected = sum(source.expected_agreement for source in served.values()) / max(1, len(served))
    return Plan(None, memory, tuple(models), served=served, expected_agreement=expected)


def hold_plan(
    costs: Mapping[str, ModelCost],
    budget_bytes: int,
    *,
    options: PlanOptions = DEFAULTS,
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
        options=options,
    )
    return best_plan(problem.unmeasured(), costs)


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
    options: PlanOptions = DEFAULTS,
) -> Problem:
    """What `make_plan` chooses from, checked; its options are described there.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or a weight makes no sense.
    """
    weights = weights or {}
    _check(costs, tables, budget_bytes, weights)
    return Problem.of(
        costs,
        tables,
        budget_bytes,
        weights=weights,
        options=options,
    )


def best_plan(problem: Problem, costs: Mapping[str, ModelCost]) -> Plan:
    """The best plan for a problem of `plan_problem`."""
    found = open_search(problem).best()
    assert found is not None, "with no model resident and none in turn everything fits"
    return plan_of(problem, found, costs)


def _check(
    costs: Mapping[str, ModelCost],
    tables: Mapping[str, Table],
    budget_bytes: int,
    weights: Mapping[str, float],
) -> None:
    if not costs:
        raise InvalidInput("there is no model to plan for")
    smallest = min(costs, key=lambda name: (costs[name].memory_bytes, name))
    if budget_bytes < costs[smallest].memory_bytes:
        raise InvalidInput(
            f"a budget of {budget_bytes / _MIB:.1f} MiB holds no model: the smallest, {smallest}, needs "
            f"{costs[smallest].memory_bytes / _MIB:.1f} MiB"
        )
    shares(tuple(tables), weights)
