from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.planning.branching import branch_and_bound
from infilink.links.planning.enumeration import enumerate_sets
from infilink.links.planning.milp import solve_milp
from infilink.links.planning.pair_bounds import Nodes, bound_nodes
from infilink.links.planning.pairs import Pairs
from infilink.links.planning.resource import Resource
from infilink.links.planning.selection import SelectionProblem
from infilink.links.planning.ways import Ways
from infilink.outputs import Array


def resource(name: str, budget: float, costs: Array, combined: str = "sum") -> Resource:
    sizes = {f"m{index:03d}": float(cost) for index, cost in enumerate(costs)}
    return Resource(name, budget, sizes, combined=combined)  # type: ignore[arg-type]


def drawn(seed: int, count: int, share: float, gain: float, *, coarse: bool) -> SelectionProblem:
    """Links of any worth from one source or none, also beyond what running is worth; some models cost nothing."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((count, count + 1)) < 0.8)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    sources = (pairs[:, 1:] == np.arange(count)) & (pairs[:, 1:] < count)
    tenths = 10 if coarse else 1_000_000
    values, free, executed = (np.round(rng.random(size) * tenths) / tenths for size in (len(pairs), count, count))
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], count) + 1e-3
    costs = np.where(rng.random(count) < 0.2, 0.0, rng.integers(1, 6, count) if coarse else rng.random(count))
    ways = Ways(pairs[:, 0], sources, values)
    budgets = (
        resource("cost", share * float(costs.sum()), costs),
        resource("plenty", float(costs.sum()), costs, "peak"),
        resource("largest", 4.0 if coarse else 0.9, costs, "largest"),
    )
    names = tuple(f"m{index:03d}" for index in range(count))
    return SelectionProblem(names, weights / weights.sum(), free / 2, ways, budgets, (1 + executed) / 2, gain)


def simulated(kind: str, count: int, share: float, seed: int = 0) -> SelectionProblem:
    rng = np.random.default_rng(seed)
    sizes = (count, count)
    links = rng.beta(0.5, 0.5, sizes) if kind == "beta" else np.clip(rng.normal(0.5, 0.2, sizes), 0, 1)
    costs = np.maximum(rng.normal(0.5, 0.2, count), 0.05)
    return SelectionProblem.of_pairs(links, costs, share * float(costs.sum()), ensemble_gain=0.02)


PROBLEMS = st.builds(
    drawn,
    st.integers(0, 100_000),
    st.integers(1, 8),
    st.floats(0.0, 1.0),
    st.sampled_from((0.0, 0.05)),
    coarse=st.booleans(),
)


@given(PROBLEMS)
@settings(deadline=None, max_examples=100)
def test_it_finds_what_looking_at_every_set_finds(problem: SelectionProblem) -> None:
    best, found = enumerate_sets(problem), branch_and_bound(problem)
    assert problem.fits(np.isin(problem.names, found.chosen))
    assert found.value == pytest.approx(best.value, abs=1e-8)
    assert found.gap == 0.0
    assert found.method == "branch and bound"


@pytest.mark.parametrize("kind", ["normal", "beta"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_many_models_are_solved_to_the_end_as_the_program_solves_them(kind: str, share: float) -> None:
    problem = simulated(kind, 40, share)
    found, solved = branch_and_bound(problem, timeout_s=60.0), solve_milp(problem, timeout_s=60.0)
    assert (found.gap, solved.gap) == (0.0, pytest.approx(0.0, abs=1e-6))
    assert found.value == pytest.approx(solved.value, abs=1e-6)


def test_where_the_time_is_up_the_gap_says_what_could_be_better() -> None:
    problem = simulated("normal", 80, 0.1)
    hasty, best = branch_and_bound(problem, timeout_s=0.0), branch_and_bound(problem, timeout_s=60.0)
    assert hasty.gap > best.gap == 0.0
    assert hasty.value <= best.value <= hasty.value + hasty.gap


def test_no_budget_and_no_link_are_problems_too() -> None:
    problem = simulated("normal", 20, 0.5)
    everything = branch_and_bound(replace(problem, resources=()))
    assert len(everything.chosen) == 20
    none = replace(problem, ways=Ways(np.zeros(0, np.int64), np.zeros((0, 20), bool), np.zeros(0)))
    assert branch_and_bound(none).value == pytest.approx(solve_milp(none).value, abs=1e-6)
    nothing = replace(none, resources=(resource("cost", 0.0, np.ones(20)),))
    assert branch_and_bound(nothing).chosen == ()


def test_links_from_several_links_that_cost_and_two_budgets_are_refused() -> None:
    problem = simulated("normal", 5, 0.5)
    (cost,) = problem.resources
    several = replace(problem, ways=replace(problem.ways, sources=~problem.ways.sources))
    priced = replace(problem, resources=(replace(cost, links={"m000": 1.0}),))
    double = replace(problem, resources=(cost, replace(cost, name="again")))
    for other in (several, priced, double):
        assert not Pairs.suit(other)
        with pytest.raises(InvalidInput, match='use method "milp"'):
            branch_and_bound(other)


def best_within(pairs: Pairs, runs: Array, still: Array) -> dict[tuple[bool, ...], float]:
    """What each selection of a node that fits gains."""
    found = {}
    for more in product((False, True), repeat=int(still.sum())):
        chosen = runs.copy()
        chosen[still] = more
        if pairs.costs[chosen].sum() <= pairs.limit:
            found[tuple(chosen)] = pairs.value(chosen) - pairs.constant
    return found


@given(PROBLEMS, st.integers(0, 1000), st.integers(1, 30))
@settings(deadline=None, max_examples=150)
def test_no_selection_of_a_node_exceeds_its_bound_less_what_it_does_against_its_models_worth(
    problem: SelectionProblem, seed: int, steps: int
) -> None:
    pairs, rng, count = Pairs.of(problem), np.random.default_rng(seed), len(problem.names)
    states = rng.integers(0, 3, (3, count))
    nodes = Nodes(states == 0, (states == 1) & pairs.runnable, rng.random((3, count)) / count)
    bounds = bound_nodes(pairs, nodes, 0.0, steps)
    for index, (runs, still) in enumerate(zip(nodes.runs, nodes.open, strict=True)):
        if pairs.costs[runs].sum() > pairs.limit:
            continue
        for chosen, gained in best_within(pairs, runs, still).items():
            against = np.where(chosen, -bounds.worth[index], bounds.worth[index])[still]
            assert gained <= bounds.most[index] - against.max(initial=0.0) + 1e-12


@given(PROBLEMS, st.integers(0, 1000))
@settings(deadline=None, max_examples=100)
def test_exchanges_keep_the_budget_and_end_where_none_gains(problem: SelectionProblem, seed: int) -> None:
    pairs = Pairs.of(problem)
    start = pairs.filled(
        np.zeros(len(problem.names), bool), np.random.default_rng(seed).permutation(len(problem.names))
    )
    ended = pairs.exchanged(start)
    assert problem.fits(start)
    assert problem.fits(ended)
    assert pairs.value(ended) >= pairs.value(start)
    if ended.sum() >= pairs.fewest:
        assert pairs.value(ended) == pytest.approx(problem.value(ended), abs=1e-12)
