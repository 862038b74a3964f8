"""What holds for every site: budgets are kept, nobody starves, more compute runs no less, and twice is the same."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.scheduling.weights import Weights
from infilink.models.cost import ModelCost

SECONDS = 40.0


@dataclass(frozen=True)
class Drawn:
    """A site, and how it goes."""

    costs: dict[str, ModelCost]
    every_s: tuple[float, ...]
    share: float
    budget_bytes: int | None
    least_every_s: float
    audit: float
    seed: int

    @property
    def full(self) -> float:
        """The cores that running everything takes."""
        return sum(cost.infer_s for cost in self.costs.values()) * sum(1.0 / each for each in self.every_s)


@st.composite
def sites(draw, *, memory: bool = True) -> Drawn:
    count = draw(st.integers(1, 4))
    costs = {
        f"m{at}": ModelCost(draw(st.integers(1, 10)), draw(st.floats(0.002, 0.05)), draw(st.floats(0.0, 1.0)))
        for at in range(count)
    }
    every_s = tuple(draw(st.lists(st.sampled_from([0.1, 0.2, 0.5, 1.0]), min_size=1, max_size=4)))
    budget = draw(st.one_of(st.none(), st.integers(1, 25))) if memory else None
    share, audit = draw(st.floats(0.05, 1.5)), draw(st.sampled_from([0.0, 0.02]))
    return Drawn(costs, every_s, share, budget, draw(st.sampled_from([0.0, 10.0])), audit, draw(st.integers(0, 99)))


@dataclass(frozen=True)
class Went:
    """What came of it.

    Attributes:
        spent: what runs and loads had taken after each input, by time: (seconds, seconds).
        runs: how often each pair ran: (streams, models).
        longest_s: how long each pair waited at most.
    """

    spent: tuple[tuple[float, float], ...]
    runs: tuple[tuple[int, ...], ...]
    longest_s: tuple[tuple[float, ...], ...]


def went(site: Drawn, cores: float) -> Went:
    schedule = SiteSchedule(
        site.costs,
        compute_cores=cores,
        budget_bytes=site.budget_bytes,
        weights=Weights(least_every_s=site.least_every_s),
        audit=site.audit,
        seed=site.seed,
    )
    rng, names = np.random.default_rng(site.seed), list(site.costs)
    streams = range(len(site.every_s))
    level = rng.uniform(0.0, 0.8, (len(streams), len(names)))
    loaded: set[str] = set() if site.budget_bytes is not None else set(names)
    loading: tuple[str, float] | None = None
    runs, ran_s, longest = np.zeros(level.shape, int), np.zeros(level.shape), np.zeros(level.shape)
    spent = []
    inputs = sorted(
        (step * each + 0.01 * at, at) for at, each in enumerate(site.every_s) for step in range(int(SECONDS / each))
    )
    for at in streams:
        schedule.join(at, name=f"s{at}")
    for now_s, at in inputs:
        if loading is not None and loading[1] <= now_s:
            loaded.add(loading[0])
            loading = None
        losses = dict(zip(names, np.clip(level[at] + rng.normal(0, 0.1, len(names)), 0, 1), strict=True))
        choice = schedule.choose(at, now_s, losses, loaded=loaded)
        assert set(choice.run) <= loaded and choice.audits <= set(choice.run)
        longest[at] = np.maximum(longest[at], now_s - ran_s[at])
        for name in choice.run:
            schedule.ran(at, name, now_s, site.costs[name].infer_s)
            runs[at, names.index(name)] += 1
            ran_s[at, names.index(name)] = now_s
        if loading is None and (found := schedule.load(now_s, loaded=loaded)) is not None:
            loaded -= set(found.unload)
            loading = found.model, now_s + site.costs[found.model].load_s
        taken = [*loaded, *([loading[0]] if loading else [])]
        if site.budget_bytes is not None:
            assert sum(site.costs[name].memory_bytes for name in taken) <= site.budget_bytes
        spent.append((now_s, schedule.spent_s))
    return Went(tuple(spent), tuple(map(tuple, runs.tolist())), tuple(map(tuple, longest.tolist())))


@settings(max_examples=40)
@given(sites())
def test_no_more_is_spent_in_any_time_than_is_earned_and_was_saved(site: Drawn) -> None:
    cores = site.share * site.full
    dearest_s = max(cost.infer_s for cost in site.costs.values())
    load_s = max(cost.load_s for cost in site.costs.values())
    saved_s = max(2.0 * cores, 4.0 * dearest_s, 2.0 * load_s)
    times, spent = np.asarray(went(site, cores).spent).T
    # Of what was spent until then less what was earned, the greatest rise from any time to any later one.
    beyond = spent - cores * times
    before = np.concatenate([[0.0], beyond[:-1]])
    assert (beyond - np.minimum.accumulate(before)).max() <= saved_s + load_s + dearest_s + 1e-6


@settings(max_examples=25)
@given(sites(memory=False))
def test_nobody_starves(site: Drawn) -> None:
    """A pair waits as long as it may, and as long as the others take that wait, too, if there are seconds for these."""
    least_s, cores = 5.0, max(site.share, 0.3) * site.full
    site = Drawn(site.costs, site.every_s, site.share, None, least_s, site.audit, site.seed)
    all_s = len(site.every_s) * sum(cost.infer_s for cost in site.costs.values())
    longest = np.asarray(went(site, cores).longest_s)
    assert longest.max() <= least_s + 4.0 * (all_s / cores + max(site.every_s))


@settings(max_examples=20)
@given(sites(memory=False))
def test_twice_the_compute_runs_no_less(site: Drawn) -> None:
    half, full = (sum(map(sum, went(site, share * site.share * site.full).runs)) for share in (1.0, 2.0))
    assert full >= 0.95 * half


@settings(max_examples=15)
@given(sites())
def test_twice_is_the_same(site: Drawn) -> None:
    assert went(site, site.share * site.full) == went(site, site.share * site.full)
