from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.graph import LinkGraph
from infilink.links.planning.planner import full_plan, hold_plan, make_plan
from infilink.links.planning.priced import PricedRoom, Room
from infilink.links.planning.problem import Problem
from infilink.links.planning.streams import Stream, streams_of
from infilink.links.planning.what_if import other_compute, other_memory, other_streams
from infilink.links.scheduling.weights import Weights
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec

MIB = 2**20
EPS = 1e-5


def draw_site(seed: int, models: int, kinds: int = 1) -> tuple[LinkGraph, list[Stream]]:
    """Models of many sizes, links from one and two others, some good, some bad; as many kinds of streams."""
    rng = np.random.default_rng(seed)
    names = [f"m{index}" for index in range(models)]
    costs = {
        name: ModelCost(int(rng.integers(10, 100)) * MIB, float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.05, 0.8)))
        for name in names
    }
    streams = [Stream(f"s{kind}", _tables(rng, names), float(rng.choice([0.5, 2.0, 5.0]))) for kind in range(kinds)]
    return LinkGraph({}, costs, {}, dict(streams[0].tables), {}, {}, {}, {}), streams


def _tables(rng: np.random.Generator, names: Sequence[str]) -> dict[str, Table]:
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        keys = [(), *((other,) for other in others), *combinations(others, 2)]
        linked = {key: _falling(rng, BUCKETS, 0.1, 0.95) for key in keys if rng.random() < 0.6}
        tables[name] = Table(_falling(rng, 1, 0.1, 0.5)[0], _falling(rng, NEVER, 0.2, 0.95), linked)
    return tables


def _falling(rng: np.random.Generator, count: int, low: float, high: float) -> tuple[Measured, ...]:
    values = sorted(rng.uniform(low, high, count), reverse=True)
    return tuple(Measured(float(value), float(np.clip(value + rng.normal(0, 0.1), 0, 1))) for value in values)


def budget_of(graph: LinkGraph, share: float) -> int:
    sizes = [cost.memory_bytes for cost in graph.costs.values()]
    return max(int(share * sum(sizes)), min(sizes))


def full_cores(graph: LinkGraph, streams: Sequence[Stream]) -> float:
    return sum(stream.inputs_per_s for stream in streams) * sum(cost.infer_s for cost in graph.costs.values())


SITES = st.builds(draw_site, st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 3))
SHARES = st.floats(0.1, 1.0)
SOME = settings(deadline=None, max_examples=25)


@given(SITES, SHARES, SHARES, st.floats(0.01, 1.5), st.floats(0.01, 1.5))
@SOME
def test_more_memory_or_compute_is_never_worse(
    site: tuple[LinkGraph, list[Stream]], less: float, more: float, slow: float, fast: float
) -> None:
    graph, streams = site
    full = full_cores(graph, streams)
    memory = sorted(budget_of(graph, share) for share in (less, more))
    cores = sorted(share * full for share in (slow, fast))
    small = make_plan(graph, memory[0], streams=streams, compute_cores=cores[0])
    for large in (
        make_plan(graph, memory[1], streams=streams, compute_cores=cores[0]),
        make_plan(graph, memory[0], streams=streams, compute_cores=cores[1]),
    ):
        assert large.expected_agreement >= small.expected_agreement - large.gap - EPS


@given(SITES, SHARES, st.floats(0.01, 1.5))
@SOME
def test_links_are_never_worse_than_none(site: tuple[LinkGraph, list[Stream]], share: float, compute: float) -> None:
    graph, streams = site
    cores = compute * full_cores(graph, streams)
    free = [
        Stream(each.name, {name: table.without_links() for name, table in each.tables.items()}, each.inputs_per_s)
        for each in streams
    ]
    linked = make_plan(graph, budget_of(graph, share), streams=streams, compute_cores=cores)
    held = make_plan(graph.without_links(), budget_of(graph, share), streams=free, compute_cores=cores)
    assert linked.expected_agreement >= held.expected_agreement - linked.gap - EPS


@given(SITES, SHARES, st.floats(0.05, 1.0), st.integers(1, 5))
@SOME
def test_more_streams_are_never_better(
    site: tuple[LinkGraph, list[Stream]], share: float, compute: float, count: int
) -> None:
    graph, streams = site
    cores = compute * full_cores(graph, streams)
    agreements = []
    for number in (count, count + 1):
        alike = [Stream(f"s{copy}", graph.tables, streams[0].inputs_per_s) for copy in range(number)]
        agreements.append(make_plan(graph, budget_of(graph, share), streams=alike, compute_cores=cores))
    assert agreements[1].expected_agreement <= agreements[0].expected_agreement + agreements[0].gap + EPS


@given(SITES, SHARES, st.floats(0.02, 1.5))
@SOME
def test_the_budgets_are_kept(site: tuple[LinkGraph, list[Stream]], share: float, compute: float) -> None:
    graph, streams = site
    budget, cores = budget_of(graph, share), compute * full_cores(graph, streams)
    plan = make_plan(graph, budget, streams=streams, compute_cores=cores)
    assert sum(graph.costs[name].memory_bytes for name in plan.resident) <= plan.memory_bytes <= budget
    assert not set(plan.resident) & set(plan.rotating)
    assert plan.used_cores <= cores + EPS
    rates = {stream.name: stream.inputs_per_s for stream in streams}
    spent = sum(graph.costs[pair.model].infer_s / pair.every_s for pair in plan.pairs if pair.every_s is not None)
    spent += sum(graph.costs[name].load_s / refresh_s for name, refresh_s in plan.refresh_s.items())
    assert spent == pytest.approx(plan.used_cores, abs=1e-6)
    assert all(pair.every_s is None or pair.every_s >= 1 / rates[pair.stream] - 1e-9 for pair in plan.pairs)
    mean = np.mean([pair.expected_agreement for pair in plan.pairs])
    assert plan.expected_agreement == pytest.approx(float(mean), abs=1e-6)
    assert set(plan.refused) == set(graph.costs) - set(plan.resident)
    assert all(served.why for served in plan.served.values())


@pytest.mark.parametrize("seed", range(8))
def test_with_compute_to_spare_it_is_the_selection_of_the_paper(seed: int) -> None:
    """Where nothing rotates: what fits with the most of 1 for each that runs, and the best link for each other."""
    graph, streams = draw_site(seed, 5)
    budget = budget_of(graph, 0.5)
    plan = make_plan(graph, budget, streams=streams, turns=False)
    best = 0.0
    for size in range(6):
        for chosen in combinations(graph.costs, size):
            if sum(graph.costs[name].memory_bytes for name in chosen) <= budget:
                # What is loaded runs on every input whatever else there is: the promise is of a plan for these alone.
                alone = {name: cost for name, cost in graph.costs.items() if name in chosen}
                best = max(best, _static(graph, streams[0], frozenset(alone)))
    assert plan.gap == 0.0
    assert plan.expected_agreement == pytest.approx(best, abs=1e-6)


def _static(graph: LinkGraph, stream: Stream, running: frozenset[str]) -> float:
    from infilink.links.planning.agreement import Outlook, best_route

    (outlook,) = Outlook.of_site([stream.tables.values()])
    values = [
        1.0 if name in running else outlook.expected(best_route(table, running, NEVER, outlook))
        for name, table in stream.tables.items()
    ]
    return float(np.mean(values))


def test_where_all_fits_everything_is_loaded_and_runs_on_every_input() -> None:
    graph, streams = draw_site(3, 4, kinds=2)
    plan = make_plan(graph, None, streams=streams)
    assert set(plan.resident) == set(graph.costs) and not plan.refresh_s
    assert plan.expected_agreement == pytest.approx(1.0) and plan.gap == 0.0
    assert plan.used_cores == pytest.approx(full_cores(graph, streams))


def test_scarce_compute_goes_where_outputs_go_stale() -> None:
    def held(*values: float) -> tuple[Measured, ...]:
        return tuple(Measured(value, value) for value in values)

    busy = Table(Measured(0.1, 0.1), held(0.7, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1))
    quiet = Table(Measured(0.1, 0.1), held(0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92))
    costs = {"a": ModelCost(MIB, 0.1, 0.1)}
    graph = LinkGraph({}, costs, {}, {"a": busy}, {}, {}, {}, {})
    streams = [Stream("busy", {"a": busy}, 5.0), Stream("quiet", {"a": quiet}, 5.0)]
    often = {pair.stream: pair.every_s for pair in make_plan(graph, None, streams=streams, compute_cores=0.3).pairs}
    assert often["busy"] is not None and often["quiet"] is not None and often["busy"] < often["quiet"] / 4
    # What counts more is looked at more often.
    weighed = make_plan(graph, None, streams=streams, compute_cores=0.3, weights=Weights(streams={"quiet": 100.0}))
    assert {pair.stream: pair.every_s for pair in weighed.pairs}["quiet"] < often["quiet"]


def test_one_load_serves_all_streams() -> None:
    stale = Table(Measured(0.1, 0.1), tuple(Measured(value, value) for value in np.linspace(0.9, 0.2, NEVER)))
    costs = {name: ModelCost(10 * MIB, 0.001, 0.2) for name in "abc"}
    graph = LinkGraph({}, costs, {}, dict.fromkeys(costs, stale), {}, {}, {}, {})
    for count in (1, 8):
        plan = make_plan(graph, 20 * MIB, streams=[Stream(f"s{at}", graph.tables, 5.0) for at in range(count)])
        assert len(plan.refresh_s) >= 2 and len(plan.resident) <= 1
        loads = sum(1.0 / refresh_s for refresh_s in plan.refresh_s.values())
        if count == 1:
            alone = loads
    assert loads == pytest.approx(alone)


def test_more_models_than_can_be_tried_have_a_gap_and_keep_their_budgets() -> None:
    graph, streams = draw_site(5, 20)
    budget = budget_of(graph, 0.3)
    plan = make_plan(graph, budget, streams=streams, compute_cores=0.5)
    assert 0.0 <= plan.gap < 1.0 and plan.memory_bytes <= budget and plan.used_cores <= 0.5 + EPS
    assert plan.expected_agreement >= hold_plan(graph.costs, budget, compute_cores=0.5).expected_agreement - 0.3


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"compute_cores": 0.0}, "more than 0"),
        ({"weights": Weights(models={"nobody": 1.0})}, "nobody"),
        ({"weights": Weights(streams={"*": 0.0})}, "not all be 0"),
    ],
    ids=["no-compute", "unknown-model", "no-stream-counts"],
)
def test_senseless_arguments_are_refused(arguments: dict[str, object], match: str) -> None:
    graph, streams = draw_site(3, 3)
    with pytest.raises(InvalidInput, match=match):
        make_plan(graph, None, streams=streams, **arguments)  # type: ignore[arg-type]


def test_a_budget_below_the_smallest_model_is_refused_by_name() -> None:
    graph, streams = draw_site(3, 4)
    smallest = min(graph.costs, key=lambda name: graph.costs[name].memory_bytes)
    with pytest.raises(InvalidInput, match=smallest):
        make_plan(graph, graph.costs[smallest].memory_bytes - 1, streams=streams)


def test_streams_of_a_graph_are_its_cameras_or_so_many_of_a_kind(graph: LinkGraph) -> None:
    (one,) = streams_of(graph)
    assert one.inputs_per_s == pytest.approx(1.0 / float(graph.notes["step_s"]))
    assert [each.name for each in streams_of(graph, names=("gate", "yard"))] == ["gate", "yard"]
    assert {each.inputs_per_s for each in streams_of(graph, count=3, inputs_per_s=2.0)} == {2.0}
    for arguments, match in (
        ({"names": ("gate",), "count": 2}, "not both"),
        ({"count": 0}, "at least 1"),
        ({"inputs_per_s": 0.0}, "inputs_per_s"),
    ):
        with pytest.raises(InvalidInput, match=match):
            streams_of(graph, **arguments)  # type: ignore[arg-type]


def test_without_measurements_holding_keeps_room_for_the_others_to_rotate() -> None:
    costs = {name: ModelCost(10 * MIB, 0.01, 0.1) for name in ("a", "b", "c")}
    plan = hold_plan(costs, 20 * MIB)
    assert len(plan.rotating) >= 2
    assert set(plan.resident) | set(plan.rotating) == set(costs)


def test_the_full_plan_runs_everything(specs: dict[str, ModelSpec]) -> None:
    costs = {name: ModelCost(10, 0.01, 0.1) for name in specs}
    plan = full_plan(specs, costs)
    assert plan.resident == tuple(specs)
    assert plan.budget_bytes is None
    assert plan.memory_bytes == 10 * len(specs)


def test_what_if_grows_with_the_budgets_and_falls_with_the_streams(graph: LinkGraph) -> None:
    streams = streams_of(graph, count=2)
    budget = budget_of(graph, 0.6)
    memory = [item.expected_agreement for item in other_memory(graph, streams)]
    compute = [item.expected_agreement for item in other_compute(graph, streams, budget)]
    more = [item.expected_agreement for item in other_streams(graph, streams, budget, compute_cores=0.05)]
    assert memory == sorted(memory) and memory[-1] == pytest.approx(1.0) and len(memory) >= 5
    assert compute == sorted(compute) and len(compute) >= 5
    assert more == sorted(more, reverse=True)


def test_on_trained_links_more_is_never_worse_and_links_pay_for_themselves(graph: LinkGraph) -> None:
    budgets = [budget_of(graph, share) for share in (0.2, 0.3, 0.4, 0.6, 0.8, 1.0)]
    for cores in (0.02, 0.1, float("inf")):
        linked = [make_plan(graph, budget, compute_cores=cores) for budget in budgets]
        held = [make_plan(graph.without_links(), budget, compute_cores=cores) for budget in budgets]
        agreements = [plan.expected_agreement for plan in linked]
        assert all(
            more >= less - plan.gap - EPS
            for less, more, plan in zip(agreements, agreements[1:], linked[1:], strict=False)
        )
        assert all(
            one.expected_agreement >= other.expected_agreement - EPS for one, other in zip(linked, held, strict=True)
        )


@pytest.mark.parametrize("models", [3, 15, 40])
def test_what_is_looked_at_stays_within_bounds_however_many_models_there_are(models: int) -> None:
    names = [f"m{at:02d}" for at in range(models)]
    table = Table(Measured(0.3, 0.3), (Measured(0.5, 0.5),) * NEVER, {("m00",): (Measured(0.6, 0.6),) * BUCKETS})
    tables = dict.fromkeys(names, table)
    costs = dict.fromkeys(names, ModelCost(MIB, 0.01, 0.1))
    problem = Problem.of(costs, [Stream("s", tables, 5.0)], budget_bytes=None, compute_cores=1.0, weights=Weights())
    most = 2**14
    room = PricedRoom(problem, Room(np.ones(models, bool), np.zeros(models, bool), 0), most=most)
    assert room.exact == (models == 3)
    assert len(room.sets) * models <= most
    assert room.sets.any(axis=1).sum() == len(room.sets) - 1 and room.sets.all(axis=1).any()
