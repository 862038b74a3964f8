from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.graph import LinkGraph
from infilink.links.planning.local_search import LocalSearch
from infilink.links.planning.options import DEFAULTS, PlanOptions
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import full_plan, hold_plan, make_plan, plan_problem
from infilink.links.planning.problem import ASSUMED
from infilink.links.planning.search import Search
from infilink.links.planning.what_if import what_if
from infilink.links.table import BUCKETS, NEVER, Measured, Table, bucket_bounds_s
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec

REFRESH_S = (2.0, 5.0, 20.0)
SHARE = 0.1


def random_graph(rng: np.random.Generator, count: int) -> LinkGraph:
    names = [f"m{index}" for index in range(count)]
    costs = {
        name: ModelCost(int(rng.integers(10, 100)), float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.05, 0.8)))
        for name in names
    }
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        linked = {}
        for size in (0, 1, 2, len(others)):
            for sources in combinations(others, size):
                if rng.random() < 0.7:
                    linked[sources] = tuple(_cells(rng, BUCKETS, 0.2, 0.9))
        tables[name] = Table(_cells(rng, 1, 0.1, 0.5)[0], tuple(_cells(rng, NEVER, 0.2, 0.95)), linked)
    return LinkGraph({}, costs, {}, tables, {}, {}, {}, {})


def _cells(rng: np.random.Generator, count: int, low: float, high: float) -> list[Measured]:
    return [Measured(float(value), float(value)) for value in sorted(rng.uniform(low, high, count), reverse=True)]


def promised(table: Table, resident: frozenset[str], refresh_s: float | None) -> float:
    """What a table promises on average, straight from the words of the specification."""
    if refresh_s is None:
        return table.choose(resident, NEVER).measured.validation
    total = 0.0
    for index in range(NEVER):
        low, high = bucket_bounds_s(index)
        share = max(0.0, min(high, refresh_s) - low) / refresh_s
        total += share * table.choose(resident, index).measured.validation
    return total


def value_of(graph: LinkGraph, resident: frozenset[str], refresh_s: Mapping[str, float]) -> float:
    return float(
        np.mean(
            [
                1.0 if name in resident else promised(graph.tables[name], resident, refresh_s.get(name))
                for name in graph.costs
            ]
        )
    )


def brute_force(graph: LinkGraph, budget_bytes: int) -> float:
    names = sorted(graph.costs)
    best = 0.0
    for runs in product(("always", None, *REFRESH_S), repeat=len(names)):
        resident = frozenset(name for name, run in zip(names, runs, strict=True) if run == "always")
        refresh_s = {name: run for name, run in zip(names, runs, strict=True) if isinstance(run, float)}
        memory = sum(graph.costs[name].memory_bytes for name in resident)
        memory += max((graph.costs[name].memory_bytes for name in refresh_s), default=0)
        if memory <= budget_bytes and load_share(graph, refresh_s) <= SHARE * at_once(graph, budget_bytes, resident):
            best = max(best, value_of(graph, resident, refresh_s))
    return best


def at_once(graph: LinkGraph, budget_bytes: int, resident: frozenset[str]) -> int:
    free = budget_bytes - sum(graph.costs[name].memory_bytes for name in resident)
    beside = [cost.memory_bytes for name, cost in graph.costs.items() if name not in resident]
    return min(2, max(1, free // max((size for size in beside if size <= free), default=free + 1)))


def load_share(graph: LinkGraph, refresh_s: Mapping[str, float]) -> float:
    return sum(graph.costs[name].load_s / every_s for name, every_s in refresh_s.items())


@pytest.mark.parametrize("seed", range(12))
def test_the_plan_is_as_good_as_trying_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, int(rng.integers(2, 6)))
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    budget = max(int(total * rng.uniform(0.2, 0.9)), min(cost.memory_bytes for cost in graph.costs.values()))
    plan = make_plan(
        graph,
        budget,
        options=PlanOptions(max_load_share=SHARE, max_at_once=2, audit_gain=0.0, refresh_choices_s=REFRESH_S),
    )
    reached = value_of(graph, frozenset(plan.resident), plan.refresh_s)
    assert plan.gap == 0.0
    assert reached == pytest.approx(brute_force(graph, budget), abs=1e-6)
    assert plan.expected_agreement == pytest.approx(reached, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_budget_and_the_load_share_are_never_exceeded(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = random_graph(rng, int(rng.integers(2, 9)))
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    for share in (0.15, 0.3, 0.6, 1.0):
        budget = max(int(total * share), min(cost.memory_bytes for cost in graph.costs.values()))
        for plan in (
            make_plan(graph, budget, options=PlanOptions(max_at_once=2)),
            hold_plan(graph.costs, budget, options=PlanOptions(max_at_once=2)),
        ):
            check_honest(graph, plan, budget)


def check_honest(graph: LinkGraph, plan: Plan, budget: int) -> None:
    resident = sum(graph.costs[name].memory_bytes for name in plan.resident)
    peak = resident + max((graph.costs[name].memory_bytes for name in plan.rotating), default=0)
    assert plan.memory_bytes == peak <= budget
    assert not set(plan.resident) & set(plan.rotating)
    room = DEFAULTS.max_load_share * at_once(graph, budget, frozenset(plan.resident))
    assert load_share(graph, plan.refresh_s) <= room + 1e-9
    assert set(plan.served) == set(graph.costs)
    assert all(served.why for served in plan.served.values())
    assert set(plan.refused) == set(graph.costs) - set(plan.resident)


def test_behind_a_filter_a_resident_is_worth_no_more_than_a_turn_on_every_input() -> None:
    held = tuple(Measured(value, value) for value in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2))
    stale = Table(Measured(0.1, 0.1), held)
    costs = {name: ModelCost(10, 0.01, 0.05) for name in ("a", "b", "c")}
    graph = LinkGraph({}, costs, {}, dict.fromkeys(costs, stale), {}, {}, {}, {})
    plan = make_plan(graph, 20, options=PlanOptions(max_at_once=2))
    assert len(plan.resident) == 1 and len(plan.refresh_s) == 2
    # Inputs so seldom that all have time on each of them: two that run at once leave no room for a resident.
    seldom = make_plan(graph, 20, options=PlanOptions(max_at_once=2, max_load_share=0.04, input_every_s=2.0))
    assert seldom.resident == () and len(seldom.refresh_s) == 3
    with pytest.raises(InvalidInput, match="input_every_s"):
        make_plan(graph, 20, options=PlanOptions(input_every_s=-1.0))


def test_a_plan_is_never_worse_with_more_memory() -> None:
    graph = random_graph(np.random.default_rng(7), 6)
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    agreements = [
        make_plan(graph, int(total * share), options=PlanOptions(audit_gain=0.0)).expected_agreement
        for share in (0.3, 0.5, 0.7, 0.9, 1.0)
    ]
    assert agreements == sorted(agreements)
    assert agreements[-1] == pytest.approx(1.0)


def test_of_equal_plans_the_one_that_computes_less_is_taken() -> None:
    flat = Table(Measured(0.5, 0.5), tuple(Measured(0.5, 0.5) for _ in range(NEVER)))
    costs = {"slow": ModelCost(10, 0.5, 0.1), "quick": ModelCost(10, 0.1, 0.1)}
    graph = LinkGraph({}, costs, {}, dict.fromkeys(costs, flat), {}, {}, {}, {})
    assert make_plan(graph, 10).resident == ("quick",)


@pytest.mark.parametrize("search", [Search, LocalSearch])
def test_rare_turns_show_too_little_to_push_a_resident_out(search: type[Search] | type[LocalSearch]) -> None:
    """Turns that add nothing are worth what they show of a model: all if they come often, next to nothing if rarely."""
    flat = Table(Measured(0.97, 0.97), (Measured(0.97, 0.97),) * NEVER)

    def chosen(load_s: float, input_every_s: float = 0.0) -> tuple[int, int]:
        costs = {name: ModelCost(10, 0.01, load_s) for name in "abcde"}
        options = PlanOptions(max_at_once=1, input_every_s=input_every_s)
        found = search(plan_problem(costs, dict.fromkeys(costs, flat), 10, options=options)).best()
        assert found is not None
        return len(found.resident), len(found.refresh_s)

    assert chosen(0.01) == (0, 5)
    assert chosen(1.5) == (1, 0)
    # A turn on every input shows as much as can be seen, however seldom inputs come.
    assert chosen(1.5, input_every_s=60.0) == (0, 5)


def test_what_turns_show_falls_with_their_time() -> None:
    costs = {"a": ModelCost(10, 0.01, 0.1)}
    options = PlanOptions(audit_gain=0.06, refresh_choices_s=(0.5, 2.0, 20.0, 60.0))
    problem = plan_problem(costs, {"a": ASSUMED}, 10, options=options)
    assert problem.turn_gains == pytest.approx([0.06, 0.06, 0.006, 0.002])
    seldom = plan_problem(costs, {"a": ASSUMED}, 10, options=replace(options, input_every_s=30.0))
    assert seldom.turn_gains == pytest.approx([0.06, 0.06, 0.06, 0.03])


def test_a_weight_draws_its_model_in() -> None:
    flat = Table(Measured(0.5, 0.5), tuple(Measured(0.5, 0.5) for _ in range(NEVER)))
    costs = {"slow": ModelCost(10, 0.5, 0.1), "quick": ModelCost(10, 0.1, 0.1)}
    graph = LinkGraph({}, costs, {}, dict.fromkeys(costs, flat), {}, {}, {}, {})
    plan = make_plan(graph, 10, weights={"slow": 3.0})
    assert plan.resident == ("slow",)
    assert plan.expected_agreement == pytest.approx((3 * 1.0 + 0.5) / 4)


def test_a_budget_below_the_smallest_model_is_refused_by_name() -> None:
    graph = random_graph(np.random.default_rng(3), 4)
    smallest = min(graph.costs, key=lambda name: graph.costs[name].memory_bytes)
    with pytest.raises(InvalidInput, match=smallest):
        make_plan(graph, graph.costs[smallest].memory_bytes - 1)


@pytest.mark.parametrize(
    "options",
    [
        {"max_load_share": 2.0},
        {"max_at_once": 0},
        {"input_every_s": -1.0},
        {"refresh_choices_s": (0.0,)},
    ],
    ids=["share-above-one", "none-at-once", "inputs-back-in-time", "refresh-of-zero"],
)
def test_senseless_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        PlanOptions(**options)


@pytest.mark.parametrize("weights", [{"nobody": 1.0}, {"m0": -1.0}], ids=["unknown", "negative"])
def test_senseless_weights_are_refused(weights: dict[str, float]) -> None:
    graph = random_graph(np.random.default_rng(3), 3)
    with pytest.raises(InvalidInput):
        make_plan(graph, 1000, weights=weights)


def test_without_measurements_holding_keeps_room_for_the_others_to_rotate() -> None:
    costs = {"a": ModelCost(10, 0.01, 0.1), "b": ModelCost(10, 0.01, 0.1), "c": ModelCost(10, 0.01, 0.1)}
    plan = hold_plan(costs, 20)
    assert len(plan.resident) == 1
    assert len(plan.rotating) == 2
    assert plan.served[plan.rotating[0]].origin == "held"


def test_the_full_plan_runs_everything(specs: dict[str, ModelSpec]) -> None:
    costs = {name: ModelCost(10, 0.01, 0.1) for name in specs}
    plan = full_plan(specs, costs)
    assert plan.resident == tuple(specs)
    assert plan.budget_bytes is None
    assert plan.memory_bytes == 10 * len(specs)


def test_what_if_grows_with_the_budget(graph: LinkGraph) -> None:
    agreements = [item.expected_agreement for item in what_if(graph)]
    assert agreements[-1] == pytest.approx(1.0)
    assert len(agreements) >= 5
