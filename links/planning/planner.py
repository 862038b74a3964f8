"""Plans a site: which models stay loaded, which take turns, and how often each runs on each stream."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...models.cost import ModelCost
from ...models.spec import ModelSpec
from ..graph import LinkGraph
from ..scheduling.weights import Weights
from ..table import ASSUMED_HELD, NEVER, Measured, Table, at_hand
from .agreement import Outlook, best_route
from .explain import pairs_of, refusal, serve
from .plan import AnswerSource, Plan
from .problem import Problem
from .search import Found, find_best
from .streams import INPUTS_PER_S, Stream, streams_of

_ASSUMED_CONSTANT = 0.3
ASSUMED = Table(Measured(_ASSUMED_CONSTANT, _ASSUMED_CONSTANT), tuple(Measured(value, value) for value in ASSUMED_HELD))
"""What is taken of a model that nothing was measured of."""
UNLIMITED = float("inf")


def make_plan(
    graph: LinkGraph,
    budget_bytes: int | None,
    *,
    streams: Sequence[Stream] = (),
    compute_cores: float = UNLIMITED,
    weights: Weights | None = None,
    turns: bool = True,
) -> Plan:
    """The plan with the highest mean agreement over streams and models within memory and compute.

    Exact where few enough models and kinds of streams are there to try all; else `Plan.gap` bounds how much better
    another could be.

    Args:
        graph: the models, their costs, and what was measured.
        budget_bytes: the memory that models may use; None: no limit.
        streams: the site's; none: those that the links know (`streams_of`).
        compute_cores: the processor seconds that may be spent in a second.
        weights: how much answers matter; those of classes do not count here.
        turns: whether models that do not stay may be loaded in turn.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or a weight makes no sense.
    """
    problem = plan_problem(
        graph, budget_bytes, streams=streams, compute_cores=compute_cores, weights=weights, turns=turns
    )
    # A problem without a limit has one where all fit: what they take elsewhere may be more.
    return replace(best_plan(problem), budget_bytes=budget_bytes)


def hold_plan(
    costs: Mapping[str, ModelCost],
    budget_bytes: int | None,
    *,
    streams: int = 1,
    inputs_per_s: float = INPUTS_PER_S,
    compute_cores: float = UNLIMITED,
) -> Plan:
    """The free alternative to links: run what fits, rotate the others beside it, hold their last outputs.

    Nothing of it is learnt: every model is taken to change alike.

    Raises:
        InvalidInput: the budget is too small for the smallest model.
    """
    tables = dict.fromkeys(costs, ASSUMED)
    alike = [Stream(f"stream {number + 1}", tables, inputs_per_s) for number in range(streams)]
    problem = Problem.of(costs, alike, budget_bytes=budget_bytes, compute_cores=compute_cores, weights=Weights())
    return replace(best_plan(problem), budget_bytes=budget_bytes)


def full_plan(models: Mapping[str, ModelSpec], costs: Mapping[str, ModelCost], graph: LinkGraph | None = None) -> Plan:
    """Everything stays and runs on every input, without a budget; only the graph's virtual models are predicted."""
    served = {name: AnswerSource("executed", (), 1.0, "runs on every input") for name in models}
    memory = sum(costs[name].memory_bytes for name in models if name in costs)
    for name in () if graph is None else graph.virtual:
        assert graph is not None
        (outlook,) = Outlook.of_site([graph.tables.values()])
        route = best_route(graph.tables[name], at_hand(models), NEVER, outlook)
        why = f"{route.origin} from {'+'.join(route.sources)}" if route.sources else route.origin
        served[name] = AnswerSource(route.origin, route.sources, outlook.expected(route), why)
    expected = sum(source.expected_agreement for source in served.values()) / max(1, len(served))
    return Plan(None, memory, tuple(models), served=served, expected_agreement=expected)


def plan_problem(
    graph: LinkGraph,
    budget_bytes: int | None,
    *,
    streams: Sequence[Stream] = (),
    compute_cores: float = UNLIMITED,
    weights: Weights | None = None,
    turns: bool = True,
) -> Problem:
    """What `make_plan` chooses from, checked; its arguments are described there.

    Raises:
        InvalidInput: the budget is too small for the smallest model, or a weight makes no sense.
    """
    return Problem.of(
        graph.costs,
        tuple(streams) or streams_of(graph),
        budget_bytes=budget_bytes,
        compute_cores=compute_cores,
        weights=weights or Weights(),
        turns=turns,
    )


def best_plan(problem: Problem) -> Plan:
    """The best plan for a problem of `plan_problem`."""
    found = find_best(problem)
    assert found is not None, "with nothing loaded everything fits"
    return plan_of(problem, found)


def plan_of(problem: Problem, found: Found) -> Plan:
    """A choice as a plan, with how each model is answered for and why."""
    mixture, names = found.mixture, problem.names
    resident = tuple(name for name, stays in zip(names, found.room.resident, strict=True) if stays)
    loads = mixture.mean("loads_per_s")
    turned = [at for at in range(len(names)) if loads[at] > 0]
    memory = int(problem.memory[found.room.resident].sum())
    largest = max((int(problem.memory[at]) for at in turned), default=0)
    return Plan(
        problem.budget_bytes,
        memory + largest * min(found.room.slots, len(turned)),
        resident,
        {names[at]: 1.0 / float(loads[at]) for at in turned},
        {name: serve(problem, found, at) for at, name in enumerate(names)},
        found.value,
        {name: refusal(problem, found, at) for at, name in enumerate(names) if not found.room.resident[at]},
        found.gap,
        None if problem.compute_cores == UNLIMITED else problem.compute_cores,
        float(mixture.mean("cores")),
        pairs_of(problem, found),
    )
