import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.planning.greedy import greedy
from infilink.links.planning.milp import solve_milp
from infilink.links.planning.paper_rule import activation_probability, paper_rule
from infilink.links.planning.resource import Resource
from infilink.links.planning.solver import select
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.outputs import Array

from ...bench.links.reference_enumeration import enumerate_sets, pairs_problem, tables_problem

TENTHS = st.integers(0, 10).map(lambda tenths: tenths / 10)


@st.composite
def problems(draw: st.DrawFn, most: int = 4) -> tuple[dict[str, Table], list[Resource], dict[str, float]]:
    """Tables with links from none, one, two or all others, one to three budgets, and weights."""
    names = [f"m{index}" for index in range(draw(st.integers(1, most)))]
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        linked = {
            sources: (Measured(value, value),) * BUCKETS
            for size in sorted({0, 1, 2, len(others)})
            for sources in combinations(others, size)
            if (value := draw(TENTHS)) > 0.3
        }
        tables[name] = Table(Measured(draw(TENTHS) / 2, 0.0), (Measured(0.5, 0.5),) * NEVER, linked)
    resources = []
    for index in range(draw(st.integers(1, 3))):
        models = {name: draw(st.integers(0, 5)) for name in names}
        resources.append(Resource(f"r{index}", draw(st.integers(0, 12)), models))
    weights = {name: draw(st.sampled_from((0.5, 1.0, 3.0))) for name in names}
    return tables, resources, weights


def keeps(resource: Resource, runs: Iterable[str]) -> bool:
    return sum(resource.models[name] for name in runs) <= resource.budget


def brute_force(tables: dict[str, Table], resources: list[Resource], weights: dict[str, float]) -> float:
    """Every model runs or not: straight from the words of the problem."""
    best = 0.0
    for size in range(len(tables) + 1):
        for runs in combinations(tables, size):
            if all(keeps(resource, runs) for resource in resources):
                value = sum(weights[name] for name in runs)
                for name in set(tables) - set(runs):
                    value += weights[name] * tables[name].choose(frozenset(runs), NEVER).measured.validation
                best = max(best, value / sum(weights.values()))
    return best


@given(problems())
@settings(deadline=None, max_examples=60)
def test_every_method_keeps_the_budgets_and_the_exact_ones_are_exact(
    drawn: tuple[dict[str, Table], list[Resource], dict[str, float]],
) -> None:
    tables, resources, weights = drawn
    problem = tables_problem(tables, resources, weights=weights)
    best = brute_force(tables, resources, weights)
    exact = [enumerate_sets(problem), solve_milp(problem), select(problem)]
    others = [greedy(problem), paper_rule(problem, skip=False), paper_rule(problem, skip=True)]
    for found in (*exact, *others):
        assert all(keeps(resource, found.chosen) for resource in resources)
        assert not set(found.chosen) & set(found.linked)
        assert found.value <= best + 1e-9
        assert found.value + found.gap >= best - 1e-9, found.method
    for found in exact:
        assert found.value == pytest.approx(best, abs=1e-6), found.method
        assert found.gap <= 1e-6


def draw_pairs(seed: int, count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.5, 0.2, (count, count)), 0, 1), np.maximum(rng.normal(0.5, 0.2, count), 0.05)


def best_of_pairs(links: Array, costs: Array, budget: float, gain: float = 0.0) -> float:
    count = len(costs)
    best = 0.0
    for size in range(1, count + 1):
        for runs in map(list, combinations(range(count), size)):
            if costs[runs].sum() <= budget * (1 + 1e-12):  # What floating point adds is no excess, as in the planner.
                served = np.minimum(links[runs].max(axis=0) + (gain if size > 1 else 0.0), 1.0)
                served[runs] = 1.0
                best = max(best, float(served.mean()))
    return best


@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.05, 1.0))
@settings(deadline=None, max_examples=25)
def test_in_the_papers_simulation_the_program_finds_the_optimum(seed: int, count: int, share: float) -> None:
    links, costs = draw_pairs(seed, count)
    budget = share * float(costs.sum())
    problem, best = pairs_problem(links, costs, budget), best_of_pairs(links, costs, budget)
    assert solve_milp(problem).value == pytest.approx(best, abs=1e-6)
    assert greedy(problem).value + greedy(problem).gap >= best - 1e-9
    assert enumerate_sets(problem).value == pytest.approx(best, abs=1e-9)
    assisted = pairs_problem(links, costs, budget, ensemble_gain=0.02)
    assert enumerate_sets(assisted).value == pytest.approx(best_of_pairs(links, costs, budget, 0.02), abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_thirty_models_are_solved_to_the_end_and_greedy_states_a_true_gap(share: float) -> None:
    links, costs = draw_pairs(1, 30)
    problem = pairs_problem(links, costs, share * float(costs.sum()))
    exact, quick, plain = select(problem, timeout_s=60.0), greedy(problem), greedy(problem, swaps=False)
    assert exact.method == "milp"
    assert exact.gap <= 1e-6
    assert exact.value >= max(quick.value, plain.value, paper_rule(problem, skip=True).value) - 1e-6
    assert quick.value + quick.gap >= exact.value - 1e-9
    assert quick.gap < 0.05


def test_a_second_budget_leaves_less_and_is_kept() -> None:
    links, costs = draw_pairs(4, 20)
    problem = pairs_problem(links, costs, 0.3 * float(costs.sum()))
    (cost,) = problem.resources
    both = replace(problem, resources=(cost, replace(cost, name="again", budget=0.9 * cost.budget)))
    found = select(both)
    assert found.value <= select(problem).value + 1e-6
    assert keeps(both.resources[1], found.chosen)


def test_a_solution_that_takes_a_hair_too_much_is_not_taken() -> None:
    # Both together exceed the budget by one byte in ten gigabytes: less than the solver's tolerance.
    sizes = {"a": 5_000_000_001.0, "b": 5_000_000_000.0}
    tables = dict.fromkeys(sizes, Table(Measured(0.1, 0.1), (Measured(0.1, 0.1),) * NEVER))
    problem = tables_problem(tables, [Resource("memory_bytes", 10_000_000_000, sizes)])
    assert len(solve_milp(problem).chosen) == 1
    assert len(enumerate_sets(problem).chosen) == 1


BUILDING_GB = np.asarray([1.5, 3.7, 4.6])
"""Action, object count, person count: section 5 of the paper."""


def test_the_papers_rule_is_the_one_computed_by_hand() -> None:
    links = np.asarray([[0.0, 0.9, 0.8], [0.6, 0.0, 0.7], [0.5, 0.4, 0.0]])
    # P1: .85, .65, .45; P2: .55, .65, .75; w = 2 / 1.5.
    by_hand = np.asarray([1.30 / 2, 1.00 * 1.5 / (2 * 3.7), 0.70 * 1.5 / (2 * 4.6)])
    assert activation_probability(links, BUILDING_GB) == pytest.approx(by_hand)


@pytest.mark.parametrize("seed", range(5))
def test_the_papers_rule_runs_the_cheapest_at_5_gb_and_never_three_at_9_gb(seed: int) -> None:
    links = np.random.default_rng(seed).uniform(0.5, 1.0, (3, 3))
    for skip in (False, True):
        assert paper_rule(pairs_problem(links, BUILDING_GB, 5.0), skip=skip).chosen == ("m000",)
        assert len(paper_rule(pairs_problem(links, BUILDING_GB, 9.0), skip=skip).chosen) == 2


def test_the_rule_stops_at_the_first_model_that_does_not_fit_or_skips_it() -> None:
    # By the rule's order: cheap, then large, which does not fit, then fair, which does.
    costs = np.asarray([1.0, 3.0, 2.9])
    links = np.asarray([[0.0, 0.1, 0.1], [0.9, 0.0, 0.9], [0.1, 0.1, 0.0]])
    problem = pairs_problem(links, costs, 3.95)
    assert paper_rule(problem, skip=False).chosen == ("m000",)
    assert paper_rule(problem, skip=True).chosen == ("m000", "m002")


def test_without_scipy_greedy_choice_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    links, costs = draw_pairs(2, 25)
    problem = pairs_problem(links, costs, 0.3 * float(costs.sum()))
    found = select(problem)
    assert found.method == "greedy"
    assert 0.0 < found.gap < 0.05
    with pytest.raises(InvalidInput, match=r"infilink\[cloud\]"):
        solve_milp(problem)


def test_the_solver_leaves_standard_output_alone(capfd: pytest.CaptureFixture[str]) -> None:
    links, costs = draw_pairs(3, 40)
    print("before")
    solve_milp(pairs_problem(links, costs, 0.1 * float(costs.sum())))
    print("after")
    assert capfd.readouterr().out.split() == ["before", "after"]


def test_what_makes_no_sense_is_refused() -> None:
    table = Table(Measured(0.1, 0.1), (Measured(0.1, 0.1),) * NEVER)
    tables = {"a": table, "b": table}
    for resource, message in (
        (Resource("time_s", 1.0, {"a": 1.0}), "what does 'b' take"),
        (Resource("time_s", 1.0, {"a": 1.0, "b": 1.0, "c": 1.0}), "'c' is no model"),
        (Resource("time_s", 1.0, {"a": -1.0, "b": 1.0}), "at least 0"),
        (Resource("time_s", float("nan"), {"a": 1.0, "b": 1.0}), "budget"),
    ):
        with pytest.raises(InvalidInput, match=message):
            tables_problem(tables, [resource])
