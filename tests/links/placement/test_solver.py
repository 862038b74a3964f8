import sys
from dataclasses import replace
from itertools import combinations
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.placement.places import Cloud, Device, LinkCost
from infilink.links.placement.problem import PlacementProblem, Weigh
from infilink.links.placement.program import Program
from infilink.links.placement.solver import better_runs, choose_runs, place, solve
from infilink.links.table import NEVER, bucket
from infilink.models.cost import ModelCost

from .brute_force import Case, brute_force, constant_table

SMALL = settings(deadline=None, max_examples=50)


@st.composite
def cases(draw: st.DrawFn, sizes: tuple[tuple[int, int], ...] = ((1, 1), (2, 1), (3, 1), (2, 2), (1, 3))) -> Case:
    """Few models and devices, links that cost, and budgets that are small, none or without limit."""
    models, devices = draw(st.sampled_from(sizes))
    names = [f"m{index}" for index in range(models)]
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        sources = [(other,) for other in others] + ([tuple(others)] if len(others) > 1 else [])
        linked = {each: draw(st.integers(4, 10)) / 10 for each in sources}
        tables[name] = constant_table(draw(st.integers(0, 4)) / 10, linked)

    def budget(most: int) -> float:
        return draw(st.sampled_from((inf, *map(float, range(most + 1)))))

    places = [
        Device(
            f"d{index}",
            count=draw(st.integers(1, 2)),
            inputs_per_s=draw(st.sampled_from((0.5, 1.0, 2.0))),
            input_bytes=draw(st.sampled_from((1.0, 3.0))),
            slowdown=draw(st.sampled_from((1.0, 2.0))),
            memory_bytes=budget(6),
            cores=budget(6),
            network_bytes_per_s=budget(6),
            energy_w=budget(8),
            active_w=draw(st.sampled_from((0.0, 1.0))),
            sent_j_per_byte=draw(st.sampled_from((0.0, 1.0))),
            links=draw(st.sampled_from((True, True, False))),
        )
        for index in range(devices)
    ]
    cloud = Cloud(budget(6), budget(10), budget(8), draw(st.sampled_from((0.5, 1.0))))
    costs = {name: ModelCost(draw(st.integers(1, 4)), float(draw(st.integers(1, 3))), 0.1) for name in names}
    links = {name: LinkCost(draw(st.sampled_from((0.0, 1.0))), draw(st.sampled_from((0.0, 0.5)))) for name in names}
    return Case(tables, costs, places, cloud, {name: float(draw(st.integers(0, 2))) for name in names}, links)


@given(cases(), st.sampled_from((1, 12)))
@SMALL
def test_the_program_finds_what_trying_everything_finds(case: Case, most_links: int) -> None:
    problem = case.problem()
    chosen, gap = solve(problem, most_links=most_links)
    assert chosen.fits(problem)
    assert gap == 0.0
    assert chosen.value(problem) == pytest.approx(brute_force(case), abs=3e-6)


@given(cases())
@SMALL
def test_bounds_hold_and_nothing_is_lost_where_links_share_a_column(case: Case) -> None:
    problem = case.problem()
    best = solve(problem)[0].value(problem)
    for placed in (False, True):
        for most in (0, 1):
            found, bound = Program.of(problem, most, placed=placed).solve(inf)
            assert bound >= best - 1e-9
            assert found is None or (found.fits(problem) and found.value(problem) <= best + 3e-6)


@given(cases(), st.data())
@SMALL
def test_more_of_any_budget_is_never_worse(case: Case, data: st.DataObject) -> None:
    index = data.draw(st.integers(-1, len(case.devices) - 1))
    names = ("memory_bytes", "cores", "network_bytes_per_s", *(("energy_w",) if index >= 0 else ()))
    name = data.draw(st.sampled_from(names))
    place_ = case.cloud if index < 0 else case.devices[index]
    more = replace(place_, **{name: getattr(place_, name) + data.draw(st.integers(1, 4))})
    devices = [more if position == index else device for position, device in enumerate(case.devices)]
    larger = replace(case, devices=devices, cloud=more if index < 0 else case.cloud).problem()
    problem = case.problem()
    assert solve(larger)[0].value(larger) >= solve(problem)[0].value(problem) - 3e-6


@given(cases(((2, 1), (3, 1), (4, 1))), st.integers(0, 9))
@SMALL
def test_a_device_that_can_run_nothing_leaves_the_selection_problem(case: Case, budget: int) -> None:
    device = Device("d", memory_bytes=0.0, cores=0.0)
    free = {name: replace(link, memory_bytes=0.0, infer_s=0.0) for name, link in case.links.items()}
    problem = replace(case, devices=[device], cloud=Cloud(float(budget)), links=free).problem()
    sizes = {name: float(cost.memory_bytes) for name, cost in case.costs.items()}
    expected = max(
        np.mean(
            [
                1.0 if name in runs else table.choose(frozenset(runs), NEVER).measured.validation
                for name, table in case.tables.items()
            ]
        )
        for count in range(len(sizes) + 1)
        for runs in combinations(sizes, count)
        if sum(sizes[name] for name in runs) <= budget
    )
    chosen, _ = solve(problem)
    assert not chosen.on_device.any()
    assert chosen.value(problem) == pytest.approx(float(expected), abs=3e-6)


MIB = 2.0**20
LIGHT, HEAVY = "light", "vehicles"


def street(devices: list[Device], cloud: Cloud, *, link: LinkCost | None = None) -> Case:
    """A light model of 10 MiB that tells well of a heavy one of 100 MiB, not the other way round."""
    tables = {LIGHT: constant_table(0.3, {(HEAVY,): 0.5}), HEAVY: constant_table(0.3, {(LIGHT,): 0.9})}
    costs = {LIGHT: ModelCost(int(10 * MIB), 0.01, 0.1), HEAVY: ModelCost(int(100 * MIB), 0.1, 0.5)}
    links = dict.fromkeys(tables, link or LinkCost(MIB, 1e-4))
    return Case(tables, costs, devices, cloud, dict.fromkeys(tables, 200.0), links)


NO_CLOUD = Cloud(0.0, 0.0)


def test_without_a_network_everything_is_on_the_device() -> None:
    case = street([Device("door", network_bytes_per_s=0.0)], Cloud())
    placed = place(case.problem())
    assert {answer.where for answer in placed.answers["door"].values()} == {"device"}
    assert (placed.value, placed.gap, placed.held_in_cloud, placed.sent["door"]) == (1.0, 0.0, (), ())


def test_a_light_model_on_the_device_predicts_the_heavy_one() -> None:
    placed = place(street([Device("door", memory_bytes=50 * MIB)], NO_CLOUD).problem())
    light, heavy = placed.answers["door"][LIGHT], placed.answers["door"][HEAVY]
    assert (light.where, heavy.where, heavy.sources) == ("device", "linked on the device", (LIGHT,))
    assert placed.value == pytest.approx(0.95)
    assert placed.expected_agreement == pytest.approx(0.95)
    (on_device, *_) = heavy.refused
    assert (on_device.place, on_device.budget_of, on_device.resource) == ("door", "door", "memory_bytes")
    # The link's own MiB is freed if its target runs.
    assert (on_device.needed, on_device.left) == (99 * MIB, pytest.approx(39 * MIB))
    assert "door's memory: takes 99.0 MiB, 39.0 MiB left of 50.0 MiB" in on_device.text
    assert {refusal.resource for refusal in heavy.refused if refusal.place == "cloud"} == {"memory_bytes", "cores"}


def test_two_devices_share_a_model_in_the_cloud_and_each_alone_with_half_of_it_has_none() -> None:
    bare = [Device(name, memory_bytes=0.0, cores=0.0) for name in ("door", "yard")]
    both = place(street(bare, Cloud(100 * MIB)).problem())
    assert both.held_in_cloud == (LIGHT,)
    halves = [place(street([device], Cloud(50 * MIB)).problem()) for device in bare]
    whole = place(street(bare, Cloud(110 * MIB)).problem())
    assert whole.value == 1.0
    assert whole.held_in_cloud == (LIGHT, HEAVY)
    assert whole.value > max(each.value for each in halves)
    (memory,) = (use for use in whole.uses if (use.place, use.resource) == ("cloud", "memory_bytes"))
    assert (memory.used, memory.budget) == (110 * MIB, 110 * MIB)


def test_what_does_not_run_is_held_where_it_has_a_last_output() -> None:
    case = street([Device("door", memory_bytes=0.0)], Cloud(10 * MIB))
    tables = {LIGHT: constant_table(0.3), HEAVY: constant_table(0.6)}
    problem = PlacementProblem.of(
        tables, case.costs, case.devices, case.cloud, output_bytes=case.output_bytes, age=bucket(5.0)
    )
    placed = place(problem)
    assert (placed.answers["door"][LIGHT].where, placed.answers["door"][HEAVY].where) == ("cloud", "held")
    assert placed.value == pytest.approx(0.8)


@pytest.mark.parametrize(("spare_bytes", "where"), [(0.0, "linked on the device"), (-1.0, "constant")])
def test_what_a_link_takes_is_counted(spare_bytes: float, where: str) -> None:
    device = Device("door", memory_bytes=11 * MIB + spare_bytes)
    placed = place(street([device], NO_CLOUD).problem())
    assert placed.answers["door"][HEAVY].where == where


def test_an_output_that_a_link_in_the_cloud_reads_travels_and_is_counted() -> None:
    # The device has room for its model and none for a link; 2 inputs and outputs of 200 bytes each second.
    device = Device("door", inputs_per_s=2.0, memory_bytes=10 * MIB, network_bytes_per_s=400.0)
    cloud = Cloud(2 * MIB, 1.0)
    placed = place(street([device], cloud).problem())
    assert placed.answers["door"][HEAVY].where == "linked in the cloud"
    assert placed.sent["door"] == (LIGHT,)
    used = {(use.place, use.resource): use.used for use in placed.uses}
    assert used["door", "network_bytes_per_s"] == used["cloud", "network_bytes_per_s"] == 400.0
    less = place(street([replace(device, network_bytes_per_s=399.0)], cloud).problem())
    assert less.answers["door"][HEAVY].where == "constant"


def test_where_devices_compute_no_links_the_cloud_does_and_reads_their_outputs() -> None:
    device = Device("door", inputs_per_s=2.0, memory_bytes=50 * MIB, links=False)
    placed = place(street([device], Cloud(2 * MIB, 1.0)).problem())
    assert placed.answers["door"][HEAVY].where == "linked in the cloud"
    assert placed.sent["door"] == (LIGHT,)
    assert place(street([device], NO_CLOUD).problem()).answers["door"][HEAVY].where == "constant"


def test_energy_is_a_budget_of_computing_and_sending() -> None:
    # The heavy model: 0.1 s of 5 W each second; an input of 50 kB: 0.05 J.
    device = Device("door", energy_w=0.06, active_w=5.0, sent_j_per_byte=1e-6)
    placed = place(street([device], Cloud()).problem())
    assert placed.answers["door"][HEAVY].where == "cloud"
    (energy,) = (use for use in placed.uses if use.resource == "energy_w")
    assert energy.used == pytest.approx(0.05)
    tight = place(street([device], NO_CLOUD).problem())
    refused = tight.answers["door"][HEAVY].refused
    assert any(refusal.resource == "energy_w" for refusal in refused)


@pytest.mark.parametrize(("weigh", "served"), [("inputs", "few"), ("devices", "many")])
def test_classes_weigh_by_their_inputs_or_their_devices(weigh: Weigh, served: str) -> None:
    # In the cloud there is time for six inputs each second: all of one class, or all of the other.
    classes = (("few", 1, 6.0), ("many", 4, 1.0))
    devices = [Device(name, count, rate, memory_bytes=0.0, cores=0.0) for name, count, rate in classes]
    case = street(devices, Cloud(cores=6 * 0.1))
    alone = replace(case, **{of: {HEAVY: getattr(case, of)[HEAVY]} for of in ("costs", "output_bytes", "links")})
    placed = place(replace(alone, tables={HEAVY: constant_table(0.3)}).problem(weigh))
    assert {name for name, answers in placed.answers.items() if answers[HEAVY].where == "cloud"} == {served}


def test_budgets_that_no_model_fits_are_refused_by_name() -> None:
    with pytest.raises(
        InvalidInput, match=r"not even the smallest, light: door: door's memory: takes 10\.0 MiB, 5\.0 MiB"
    ):
        place(street([Device("door", memory_bytes=5 * MIB)], NO_CLOUD).problem())
    with pytest.raises(InvalidInput, match=r"door's cores.*cloud: door's network"):
        place(street([Device("door", cores=0.0, network_bytes_per_s=10.0)], Cloud()).problem())


def test_when_time_is_up_the_gap_says_so() -> None:
    problem = street([Device("door", memory_bytes=50 * MIB)], Cloud(60 * MIB)).problem()
    chosen, gap = solve(problem, timeout_s=0.0)
    assert chosen.fits(problem)
    assert chosen.value(problem) + gap >= solve(problem)[0].value(problem) - 1e-9


def test_without_scipy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(InvalidInput, match=r"infilink\[cloud\]"):
        place(street([Device("door")], Cloud()).problem())


@pytest.mark.parametrize(
    ("devices", "cloud", "message"),
    [
        ([], Cloud(), "at least one"),
        ([Device("cloud")], Cloud(), "not 'cloud'"),
        ([Device("a"), Device("a")], Cloud(), "two devices are called 'a'"),
        ([Device("a", count=0)], Cloud(), "count must be at least 1"),
        ([Device("a", cores=-1.0)], Cloud(), "device 'a': cores must be at least 0"),
        ([Device("a", memory_bytes=float("nan"))], Cloud(), "memory_bytes must be at least 0"),
        ([Device("a", inputs_per_s=0.0)], Cloud(), "above 0"),
        ([Device("a", input_bytes=inf)], Cloud(), "input_bytes must be at least 0 and finite"),
        ([Device("a", weights={"nobody": 1.0})], Cloud(), "nobody"),
        ([Device("a")], Cloud(slowdown=0.0), "cloud: slowdown"),
        ([Device("a")], Cloud(memory_bytes=-1.0), "cloud: memory_bytes"),
    ],
)
def test_figures_that_make_no_sense_are_refused(devices: list[Device], cloud: Cloud, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        street(devices, cloud).problem()


def crowd(seed: int) -> PlacementProblem:
    """Eight models and two devices, too many to try everything; all budgets are short."""
    rng = np.random.default_rng(seed)
    names = [f"m{index:02d}" for index in range(8)]
    tables = {
        name: constant_table(0.2, {(other,): float(rng.uniform(0.3, 1.0)) for other in names if other != name})
        for name in names
    }
    costs = {name: ModelCost(int(rng.integers(10, 100)), float(rng.uniform(0.01, 0.1)), 0.1) for name in names}
    devices = [
        Device(f"d{index}", index + 1, memory_bytes=100.0, cores=0.2, network_bytes_per_s=6e4 * index)
        for index in range(2)
    ]
    case = Case(tables, costs, devices, Cloud(120.0, 1.0, 2e5), dict.fromkeys(names, 4.0), {})
    return replace(case, links=dict.fromkeys(names, LinkCost(1.0, 1e-4))).problem()


@pytest.mark.parametrize("seed", range(2))
def test_step_by_step_and_part_by_part_come_near_the_best_and_keep_the_budgets(seed: int) -> None:
    problem = crowd(seed)
    chosen, gap = solve(problem)
    assert gap == 0.0
    best = chosen.value(problem)
    program = Program.of(problem, 4, placed=False)
    steps = choose_runs(problem)
    parts = better_runs(problem, program, steps, inf)
    for runs in (steps, parts):
        assert runs.fits(problem)
        answered = Program.of(problem, 4, placed=True).answer(runs, inf)
        assert answered is not None
        assert answered.fits(problem)
        assert 0.95 * best <= answered.value(problem) <= best + 3e-6
    assert parts.value_anywhere(problem) >= steps.value_anywhere(problem)
