"""More than 18 models, and that no plan is worse than what is a special case of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.planning.local_search import LocalSearch
from infilink.links.planning.options import PlanOptions
from infilink.links.planning.paper_rule import paper_rule
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import hold_plan, open_search, plan_problem
from infilink.links.planning.problem import Problem
from infilink.links.planning.resource import Resource
from infilink.links.planning.search import MOST_MODELS, Found, Search
from infilink.links.planning.selection import SelectionProblem
from infilink.links.planning.solver import select
from infilink.links.planning.turns import Turns
from infilink.links.table import NEVER, Measured, Table
from infilink.models.cost import ModelCost

from ...bench.links.reference_enumeration import enumerate_sets, tables_problem

REFRESH_S = (2.0, 5.0, 20.0)
Models = tuple[dict[str, ModelCost], dict[str, Table]]


def draw_models(seed: int, count: int) -> Models:
    """Models of many sizes; links from one and two others, some good, some bad."""
    rng = np.random.default_rng(seed)
    names = [f"m{index:02d}" for index in range(count)]
    costs = {
        name: ModelCost(int(rng.integers(10, 100)), float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.05, 0.8)))
        for name in names
    }
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        keys = [(other,) for other in others]
        keys += [tuple(sorted(rng.choice(others, 2, replace=False).tolist())) for _ in range(3) if count > 2]
        linked = {key: _falling(rng, NEVER + 1, 0.1, 0.95) for key in keys if rng.random() < 0.7}
        tables[name] = Table(_falling(rng, 1, 0.1, 0.5)[0], _falling(rng, NEVER, 0.2, 0.95), linked)
    return costs, tables


def _falling(rng: np.random.Generator, count: int, low: float, high: float) -> tuple[Measured, ...]:
    return tuple(Measured(float(value), float(value)) for value in sorted(rng.uniform(low, high, count), reverse=True))


def budget_of(costs: dict[str, ModelCost], share: float) -> int:
    sizes = [cost.memory_bytes for cost in costs.values()]
    return max(int(share * sum(sizes)), min(sizes))


def value_of(tables: dict[str, Table], weights: dict[str, float], plan: Plan) -> float:
    """What a plan promises by the tables, from how often each model runs."""
    resident, total = frozenset(plan.resident), 0.0
    for name, table in tables.items():
        value = 1.0
        if name not in resident:
            value = table.choose(resident, NEVER).measured.validation
            if name in plan.refresh_s:
                refresh_s = plan.refresh_s[name]
                edges = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, float("inf")]
                shares = [max(0.0, min(high, refresh_s) - low) for low, high in pairwise(edges)]
                promised = [table.choose(resident, age).measured.validation for age in range(NEVER)]
                value = float(np.dot(shares, promised)) / refresh_s
        total += weights.get(name, 1.0) * value
    return total / sum(weights.get(name, 1.0) for name in tables)


def static_problem(models: Models, budget_bytes: int, weights: dict[str, float]) -> SelectionProblem:
    sizes = {name: float(cost.memory_bytes) for name, cost in models[0].items()}
    return tables_problem(models[1], [Resource("memory_bytes", budget_bytes, sizes)], weights=weights)


def problem_of(models: Models, budget_bytes: int, weights: dict[str, float], audit_gain: float = 0.0) -> Problem:
    return plan_problem(
        *models,
        budget_bytes,
        weights=weights,
        options=PlanOptions(audit_gain=audit_gain, max_at_once=2, refresh_choices_s=REFRESH_S),
    )


def check_no_worse(models: Models, budget_bytes: int, weights: dict[str, float], found: Found) -> None:
    """`found` against static selection, the paper's rule, and hold + round-robin."""
    static = static_problem(models, budget_bytes, weights)
    best = enumerate_sets(static) if len(static.names) <= MOST_MODELS else select(static)
    for selection in (best, paper_rule(static, skip=False), paper_rule(static, skip=True)):
        assert found.value >= selection.value - 1e-6, selection.method
    held = hold_plan(
        models[0], budget_bytes, options=PlanOptions(audit_gain=0.0, max_at_once=2, refresh_choices_s=REFRESH_S)
    )
    assert found.value >= value_of(models[1], weights, held) - 1e-6


CASES = (
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.floats(0.1, 1.0),
    st.sampled_from(({}, {"m00": 5.0}, {"m00": 0.0, "m01": 2.0})),
)


@given(*CASES)
@settings(deadline=None, max_examples=25)
def test_no_plan_is_worse_than_its_special_cases(
    seed: int, count: int, share: float, weights: dict[str, float]
) -> None:
    models = draw_models(seed, count)
    weights = {name: weight for name, weight in weights.items() if name in models[0] and count > 1}
    budget_bytes = budget_of(models[0], share)
    exact = Search(problem_of(models, budget_bytes, weights)).best()
    assert exact is not None
    check_no_worse(models, budget_bytes, weights, exact)


@given(*CASES, st.sampled_from((0.0, 0.2)))
@settings(deadline=None, max_examples=12)
def test_local_search_is_between_its_special_cases_and_the_best_and_its_gap_is_true(
    seed: int, count: int, share: float, weights: dict[str, float], audit_gain: float
) -> None:
    models = draw_models(seed, count)
    weights = {name: weight for name, weight in weights.items() if name in models[0] and count > 1}
    budget_bytes = budget_of(models[0], share)
    problem = problem_of(models, budget_bytes, weights, audit_gain)
    exact, held = Search(problem).best(), LocalSearch(problem.unmeasured()).best()
    assert exact is not None and held is not None
    found = LocalSearch(problem, also=[held]).best()
    assert found is not None
    assert found.value <= exact.value + 1e-6
    assert found.value + found.gap >= exact.value - 1e-6
    if not audit_gain:
        check_no_worse(models, budget_bytes, weights, found)


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_twenty_models_keep_their_budget_and_beat_their_special_cases(share: float) -> None:
    models = draw_models(1, 20)
    costs, budget_bytes = models[0], budget_of(models[0], share)
    problem = problem_of(models, budget_bytes, {})
    found = open_search(problem).best()
    assert found is not None
    check_no_worse(models, budget_bytes, {}, found)
    assert 0.0 <= found.gap < 0.2
    resident = sum(costs[name].memory_bytes for name in found.resident)
    assert resident + max((costs[name].memory_bytes for name in found.refresh_s), default=0) <= budget_bytes
    assert not set(found.resident) & set(found.refresh_s)
    loading = sum(costs[name].load_s / refresh_s for name, refresh_s in found.refresh_s.items())
    assert loading <= 2 * problem.options.max_load_share + 1e-6


def test_hold_and_round_robin_is_planned_for_many_models_too() -> None:
    costs = {f"m{index:02d}": ModelCost(10, 0.01, 0.1) for index in range(24)}
    plan = hold_plan(costs, 60, options=PlanOptions(max_at_once=1))
    assert len(plan.resident) == 5
    assert plan.memory_bytes == 60
    assert len(plan.rotating) > 10


def test_a_plan_for_many_models_is_the_same_every_time() -> None:
    models = draw_models(2, 19)
    problem = problem_of(models, budget_of(models[0], 0.3), {})
    assert open_search(problem).best() == open_search(problem).best()


@pytest.mark.parametrize("seed", range(4))
def test_a_model_can_be_asked_to_run_in_a_way_of_its_own(seed: int) -> None:
    models = draw_models(seed, 5)
    problem = problem_of(models, budget_of(models[0], 0.4), {})
    exact, near = Search(problem), LocalSearch(problem)
    best = exact.best()
    assert best is not None
    for name in problem.names:
        ways = {}
        for runs in ("always", "in turn", "never"):
            ways[runs] = asked = exact.best(model=name, runs=runs)
            other = near.best(model=name, runs=runs)
            for found in filter(None, (asked, other)):
                at = "always" if name in found.resident else "in turn" if name in found.refresh_s else "never"
                assert at == runs
            if other is not None:
                assert asked is not None
                assert other.value <= asked.value + 1e-6
        # One of the three is the plan itself.
        assert max(found.value for found in ways.values() if found) == pytest.approx(best.value, abs=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.0, 0.5))
@settings(deadline=None, max_examples=30)
def test_quick_turns_fit_and_are_within_their_price(seed: int, models: int, room: float) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.001, 0.3, (3, models))
    gains = rng.uniform(0.0, 1.0, (3, models)) * (rng.random((3, models)) < 0.8)
    turns = Turns.of(shares, most=1.0)
    best, _ = turns.best(gains, room, at_least=-1.0)
    gain, options, price = turns.quick(gains, room)
    assert sum(shares[option - 1, model] for model, option in enumerate(options) if option) <= room + 1e-6
    assert gain <= best + 1e-9
    assert turns.at_price(gains, room, price) >= best - 1e-9
