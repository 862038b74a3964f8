"""What is loaded: what all streams wait for, in place of what prevents less, within the bytes and without thrashing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from infilink.links.scheduling.loads import Load, Memory
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.scheduling.weights import Weights
from infilink.models.cost import ModelCost

COSTS = {name: ModelCost(10, 0.01, 0.2) for name in ("a", "b", "c")}


class Site:
    """Loads what a schedule says, each in its time; every stream sends five inputs a second."""

    def __init__(self, *, budget_bytes: int, streams: int = 4, costs: Mapping[str, ModelCost] = COSTS, **options):
        self.schedule = SiteSchedule(costs, **{"compute_cores": 10.0, "budget_bytes": budget_bytes, **options})
        self.costs, self.budget_bytes = costs, budget_bytes
        self.loaded: set[str] = set()
        self.loading: tuple[str, float] | None = None
        self.loads: list[tuple[float, Load]] = []
        self.runs: Counter[str] = Counter()
        self.now_s = 0.0
        self.streams = [f"s{at}" for at in range(streams)]
        for name in self.streams:
            self.schedule.join(name, name=name)

    def run(self, seconds: float, losses: Mapping[str, float]) -> None:
        for _ in range(round(seconds * 5)):
            for stream in self.streams:
                if self.loading is not None and self.loading[1] <= self.now_s:
                    self.loaded.add(self.loading[0])
                    self.loading = None
                choice = self.schedule.choose(stream, self.now_s, losses, loaded=self.loaded)
                for name in choice.run:
                    self.schedule.ran(stream, name, self.now_s, self.costs[name].infer_s)
                self.runs.update(choice.run)
                self.load()
                self.now_s += 0.2 / len(self.streams)

    def load(self) -> None:
        if self.loading is None and (found := self.schedule.load(self.now_s, loaded=self.loaded)) is not None:
            assert self.loaded.issuperset(found.unload) and found.model not in self.loaded
            self.loaded -= set(found.unload)
            self.loading = found.model, self.now_s + self.costs[found.model].load_s
            self.loads.append((self.now_s, found))
        taken = [*self.loaded, *([self.loading[0]] if self.loading else [])]
        assert sum(self.costs[name].memory_bytes for name in taken) <= self.budget_bytes


def test_where_there_is_room_all_are_loaded_once() -> None:
    memory = Site(budget_bytes=30)
    memory.run(10.0, dict.fromkeys(COSTS, 0.2))
    assert memory.loaded == set(COSTS) and len(memory.loads) == 3
    assert memory.schedule.stats().loads == dict.fromkeys(COSTS, 1)


def test_what_is_lost_most_is_what_stays() -> None:
    memory = Site(budget_bytes=20)
    memory.run(60.0, {"a": 0.02, "b": 0.6, "c": 0.5})
    assert memory.runs["b"] > memory.runs["a"] < memory.runs["c"]
    assert memory.loaded >= {"b"}


def test_a_load_serves_every_stream_before_the_model_goes() -> None:
    memory = Site(budget_bytes=10)
    memory.run(60.0, dict.fromkeys(COSTS, 0.3))
    assert len(memory.loads) > 3 and min(memory.runs[name] for name in COSTS) >= len(memory.streams)
    for (_, first), (_, second) in zip(memory.loads, memory.loads[1:], strict=False):
        assert first.model != second.model


def test_slow_loads_do_not_thrash() -> None:
    slow = {name: replace(cost, load_s=3.0) for name, cost in COSTS.items()}
    loads = {}
    for what, costs in (("fast", COSTS), ("slow", slow)):
        memory = Site(budget_bytes=20, costs=costs)
        memory.run(120.0, dict.fromkeys(COSTS, 0.2))
        loads[what] = len(memory.loads)
    # With all alike, at least three quarters of the time are not for loading.
    assert loads["slow"] <= 0.25 * 120 / 3 + 3 and loads["slow"] < loads["fast"]


def test_what_was_loaded_first_stays_where_loads_are_slow_and_comes_back_after_a_visit() -> None:
    for load_s, visits in ((3.0, False), (0.2, True)):
        costs = {name: replace(cost, load_s=load_s) for name, cost in COSTS.items()}
        memory = Site(budget_bytes=20, costs=costs, streams=8, weights=Weights(least_every_s=0.0))
        memory.loaded = {"a", "b"}
        memory.run(30.0, {"a": 0.3, "b": 0.3, "c": 0.25})
        assert bool(memory.loads) == visits
        # Most of the time both are there, whatever visits.
        assert min(memory.runs["a"], memory.runs["b"]) > 0.6 * 8 * 150


def test_nothing_goes_before_all_streams_are_known() -> None:
    schedule = SiteSchedule(COSTS, compute_cores=10.0, budget_bytes=20)
    schedule.join("x")
    schedule.choose("x", 0.0, {"a": 0.0, "b": 0.9, "c": 0.9}, loaded=("a", "b"))
    assert schedule.load(0.0, loaded=("a", "b")) is None


def test_inputs_that_come_at_once_are_no_more_than_they_are() -> None:
    """After a device came back: what it sends together is not taken to go on so."""
    memory = Site(budget_bytes=20, streams=1)
    memory.run(20.0, {"a": 0.2, "b": 0.2, "c": 0.1})
    before = memory.schedule.stats().keeping["c"]
    for _ in range(20):
        memory.now_s += 0.002
        memory.schedule.choose("s0", memory.now_s, {"a": 0.2, "b": 0.2, "c": 0.1}, loaded=memory.loaded)
    memory.now_s += 0.3
    memory.schedule.choose("s0", memory.now_s, {"a": 0.2, "b": 0.2, "c": 0.1}, loaded=memory.loaded)
    assert memory.schedule.stats().keeping["c"] < 2.0 * before


def test_what_never_fits_is_not_asked_for_and_what_must_not_is_not() -> None:
    costs = {**COSTS, "huge": ModelCost(1000, 0.01, 0.2)}
    memory = Site(budget_bytes=20, costs=costs, audit=0.05)
    memory.run(30.0, dict.fromkeys(costs, 0.9))
    assert "huge" not in {found.model for _, found in memory.loads}
    asked = memory.schedule.load(100.0, loaded=(), must=("huge",))
    assert asked is None or asked.model != "huge"
    schedule = SiteSchedule(COSTS, compute_cores=1.0)
    schedule.join("x")
    schedule.choose("x", 0.0, dict.fromkeys(COSTS, 0.5), loaded=())
    assert schedule.load(0.3, loaded=(), never=tuple(COSTS)) is None


def test_what_is_asked_for_is_loaded_at_once_and_what_is_busy_stays() -> None:
    schedule = SiteSchedule(COSTS, compute_cores=1.0, budget_bytes=20)
    schedule.join("x")
    schedule.choose("x", 0.0, {"a": 0.0, "b": 0.9, "c": 0.0}, loaded=("a", "b"))
    assert schedule.load(0.0, loaded=("a", "b"), must=("c",), busy=("a",)) == Load("c", ("b",))
    assert schedule.load(0.0, loaded=("a", "b"), must=("c",), busy=("a", "b")) is None


def test_streams_that_send_nothing_wait_for_nothing() -> None:
    memory = Site(budget_bytes=30)
    schedule = memory.schedule
    schedule.choose("s0", 0.0, dict.fromkeys(COSTS, 0.9), loaded=())
    assert schedule.load(0.2, loaded=()) is not None
    assert schedule.load(10.0, loaded=()) is None


def test_a_model_that_is_not_loaded_is_loaded_now_and_then_to_compare_it() -> None:
    """Where nobody loses by its absence, for the audit's share of the time; what it then says is not biased."""
    memory = Site(budget_bytes=20, audit=0.05, weights=Weights(least_every_s=0.0))
    memory.run(120.0, {"a": 0.5, "b": 0.5, "c": 0.0})
    visits = [found for _, found in memory.loads if found.model == "c"]
    assert 5 <= len(visits) <= 0.05 * 120 / 0.2 + 1 and memory.runs["c"] >= len(visits) * len(memory.streams)


def test_what_is_loaded_on_one_place_displaces_nothing_on_another() -> None:
    places = {"a": "cuda:0", "b": "cuda:0", "c": "host", "d": "host"}
    costs = {name: ModelCost(10, 0.01, 0.2) for name in places}
    schedule = SiteSchedule(costs, compute_cores=10.0, budget_bytes=Memory({"cuda:0": 10, "host": None}, places))
    schedule.join("x")
    loaded = {"a", "c"}
    for step in range(300):
        now_s = 0.2 * step
        for name in schedule.choose("x", now_s, dict.fromkeys(costs, 0.4), loaded=loaded).run:
            schedule.ran("x", name, now_s, 0.01)
        if (found := schedule.load(now_s, loaded=loaded)) is not None:
            assert all(places[gone] == places[found.model] for gone in found.unload)
            loaded = loaded - set(found.unload) | {found.model}
        assert len(loaded & {"a", "b"}) == 1
    assert loaded >= {"c", "d"} and min(schedule.stats().runs.values()) > 0


def test_loads_for_comparison_leave_the_compute_to_what_is_worth_it() -> None:
    """Loads that take little time but much of a small compute; a share of the time would be all of that."""
    costs = {name: ModelCost(10, 0.002, 0.01) for name in "abcdefg"}
    memory = Site(budget_bytes=50, costs=costs, audit=0.05, compute_cores=0.02, weights=Weights(least_every_s=0.0))
    memory.run(120.0, dict.fromkeys(costs, 0.3))
    compared_s = sum(costs[found.model].load_s for _, found in memory.loads if found.compares)
    assert compared_s <= 0.1 * 0.02 * 120.0
    assert memory.schedule.stats().load_s <= 0.5 * memory.schedule.spent_s


def test_a_pair_whose_model_is_away_has_it_loaded_when_it_may_wait_no_longer() -> None:
    memory = Site(budget_bytes=20, weights=Weights(least_every_s=10.0))
    memory.run(60.0, {"a": 0.5, "b": 0.5, "c": 0.0})
    assert memory.runs["c"] >= 4 * len(memory.streams)


def test_a_model_that_tells_of_others_is_worth_what_it_tells() -> None:
    """The links' problem: one model's output says what the others would; memory for one of them."""
    ran = {}
    for tells in (False, True):
        memory = Site(budget_bytes=10, streams=0)
        memory.streams = ["x"]
        linked = {"b": dict.fromkeys(("a", "c"), (0.0,) * 9)} if tells else None
        memory.schedule.join("x", linked=linked)
        memory.run(60.0, {"a": 0.5, "b": 0.2, "c": 0.5})
        ran[tells] = memory.runs["b"]
    assert ran[True] > 2 * ran[False] and ran[True] > 100


@pytest.mark.parametrize("load_s", [0.0, 0.2, 2.0])
def test_it_is_the_same_every_time(load_s: float) -> None:
    found = []
    for _ in range(2):
        costs = {name: replace(cost, load_s=load_s) for name, cost in COSTS.items()}
        memory = Site(budget_bytes=20, costs=costs, audit=0.02, seed=5)
        memory.run(20.0, {"a": 0.3, "b": 0.2, "c": 0.1})
        found.append((memory.loads, memory.runs))
    assert found[0] == found[1]


def test_a_model_that_looks_at_no_stream_is_neither_loaded_nor_late() -> None:
    """Models `a` and `b` look at pictures, `c` at texts: only texts are sent."""
    weights = Weights(least_every_s=0.5)
    memory = Site(budget_bytes=20, streams=0, weights=weights, audit=0.2)
    memory.streams = ["texts"]
    memory.schedule.join("texts", name="texts", models=["c"])
    memory.run(20.0, {"c": 0.5})
    assert memory.loaded == {"c"} and set(memory.runs) == {"c"}
    assert list(memory.schedule.stats().pairs["texts"]) == ["c"]


def test_streams_of_two_kinds_share_the_memory_and_each_model_serves_its_own() -> None:
    memory = Site(budget_bytes=20, streams=0)
    memory.streams = ["pictures", "texts"]
    memory.schedule.join("pictures", models=["a", "b"])
    memory.schedule.join("texts", models=["c"])
    memory.run(60.0, dict.fromkeys(COSTS, 0.3))
    pairs = memory.schedule.stats().pairs
    assert set(pairs["pictures"]) == {"a", "b"} and set(pairs["texts"]) == {"c"}
    assert all(pair.runs for of in pairs.values() for pair in of.values())
