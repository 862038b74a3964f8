"""What runs under a budget of compute: what is worth most, and nobody waits for ever."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from infilink.links.scheduling.schedule import Choice, SiteSchedule
from infilink.links.scheduling.weights import Weights
from infilink.models.cost import ModelCost

COSTS = {"small": ModelCost(10, 0.01, 0.1), "large": ModelCost(30, 0.04, 0.4)}
FULL = 5 * 0.05
"""Cores that one stream of five inputs a second takes."""


def site(streams: Iterable[str], cores: float, **options: object) -> SiteSchedule:
    schedule = SiteSchedule(COSTS, compute_cores=cores, **options)  # type: ignore[arg-type]
    for name in streams:
        schedule.join(name, name=name)
    return schedule


def give(
    schedule: SiteSchedule, stream: str, now_s: float, losses: Mapping[str, float] | float, **options: object
) -> Choice:
    """One input on which everything that is chosen runs and takes what it costs."""
    lost = losses if isinstance(losses, Mapping) else dict.fromkeys(schedule.names, losses)
    choice = schedule.choose(stream, now_s, lost, **{"loaded": schedule.names, **options})  # type: ignore[arg-type]
    for name in choice.run:
        schedule.ran(stream, name, now_s, COSTS[name].infer_s)
    return choice


def runs(schedule: SiteSchedule, losses: Mapping[str, float], *, seconds: float, start_s: float = 0.0) -> Counter[str]:
    """How many runs each stream had: all of them have five inputs a second."""
    counted: Counter[str] = Counter()
    for step in range(int(seconds * 5)):
        for stream, loss in losses.items():
            counted[stream] += len(give(schedule, stream, start_s + step * 0.2, loss).run)
    return counted


def test_with_compute_to_spare_everything_runs() -> None:
    schedule = site("ab", 3 * FULL)
    counted = runs(schedule, {"a": 0.0, "b": 1e-6}, seconds=60)
    assert counted == {"a": 600, "b": 600}


def test_without_limit_everything_runs() -> None:
    schedule = site("ab", math.inf)
    assert runs(schedule, {"a": 0.0, "b": 0.5}, seconds=10) == {"a": 100, "b": 100}
    assert schedule.price == 0.0


def test_what_is_lost_most_for_its_cost_runs_and_the_budget_is_met() -> None:
    schedule = site("ab", 0.5 * FULL, weights=Weights(least_every_s=0.0))
    counted = runs(schedule, {"a": 0.4, "b": 0.02}, seconds=120)
    assert counted["a"] > 3 * counted["b"]
    assert schedule.spent_s == pytest.approx(0.5 * FULL * 120, rel=0.05)


def test_weights_of_streams_models_and_answers_count() -> None:
    schedule = site(("door", "yard"), 0.5 * FULL, weights=Weights(streams={"d*": 5.0}, least_every_s=0.0))
    counted = runs(schedule, {"door": 0.2, "yard": 0.2}, seconds=60)
    assert counted["door"] > 2 * counted["yard"]
    schedule = site("a", 0.3 * FULL, weights=Weights(models={"small": 0.0}, least_every_s=0.0))
    for step in range(300):
        assert "small" not in give(schedule, "a", step * 0.2, 0.3).run
    schedule = site("a", 0.3 * FULL, weights=Weights(least_every_s=0.0))
    chosen: Counter[str] = Counter()
    for step in range(600):
        chosen.update(give(schedule, "a", step * 0.2, {"small": 0.2, "large": 0.2}, factors={"small": 0.01}).run)
    assert chosen["large"] > chosen["small"]


def test_a_site_that_grows_pays_more_within_seconds() -> None:
    schedule = site("a", FULL, weights=Weights(least_every_s=0.0))
    assert runs(schedule, {"a": 0.3}, seconds=20)["a"] == 200
    many = [f"b{at}" for at in range(9)]
    for name in many:
        schedule.join(name, name=name)
    before_s = schedule.spent_s
    counted = runs(schedule, dict.fromkeys(["a", *many], 0.3), seconds=20, start_s=20.0)
    assert schedule.spent_s - before_s <= FULL * 20 + 2 * FULL + 0.05
    assert min(counted[name] for name in many) > 0
    for name in many:
        schedule.leave(name)
    assert runs(schedule, {"a": 0.3}, seconds=20, start_s=45.0)["a"] == 200


def test_a_pair_runs_at_least_every_so_often_whatever_it_is_worth() -> None:
    schedule = site("ab", 0.4 * FULL, weights=Weights(least_every_s=10.0))
    last = dict.fromkeys(schedule.names, 0.0)
    for step in range(5 * 100):
        now_s = step * 0.2
        give(schedule, "a", now_s, 0.9)
        choice = give(schedule, "b", now_s, 0.0)
        for name in choice.run:
            last[name] = now_s
        assert now_s - min(last.values()) <= 12.0
        assert set(choice.run) <= choice.audits or not choice.run or now_s < 10.0


def test_what_ran_whatever_it_is_worth_is_marked() -> None:
    schedule = site("a", 0.5 * FULL, audit=0.03, seed=3, weights=Weights(least_every_s=0.0))
    ran, marked = 0, 0
    for step in range(2000):
        choice = give(schedule, "a", step * 0.2, 0.0)
        assert choice.audits <= set(choice.run)
        ran, marked = ran + len(choice.run), marked + len(choice.audits)
    assert 0 < marked <= ran
    # Of 4000 pairs so many are drawn, and there are seconds for them.
    assert 90 <= marked <= 150


def test_audits_take_a_tenth_of_the_compute_at_most() -> None:
    schedule = site("a", 0.1 * FULL, audit=0.2, seed=3, weights=Weights(least_every_s=0.0))
    audited_s = 0.0
    for step in range(2000):
        audited_s += sum(COSTS[name].infer_s for name in give(schedule, "a", step * 0.2, 0.3).audits)
    assert 0.05 * 0.1 * FULL * 400 <= audited_s <= 0.1 * 0.1 * FULL * 400


def test_audits_that_are_short_of_compute_are_so_for_dear_models_as_for_cheap_ones() -> None:
    schedule = site("a", 0.1 * FULL, audit=0.2, seed=3, weights=Weights(least_every_s=0.0))
    audited: Counter[str] = Counter()
    for step in range(20_000):
        audited.update(give(schedule, "a", step * 0.2, 0.3).audits)
    assert 0.7 <= audited["large"] / audited["small"] <= 1.4


def test_what_must_run_leaves_something_to_others() -> None:
    schedule = site(("loud", "other"), 0.5 * FULL, weights=Weights(least_every_s=10.0))
    counted: Counter[str] = Counter()
    for step in range(5 * 100):
        give(schedule, "loud", step * 0.2, 0.3, must=schedule.names)
        counted.update(give(schedule, "other", step * 0.2, 0.3).run)
    assert min(counted[name] for name in schedule.names) >= 8
    assert schedule.spent_s <= 0.5 * FULL * 100 + 2 * 0.5 * FULL


def test_what_did_not_run_is_given_back() -> None:
    schedule = site("a", FULL)
    full_s = schedule.stats().bank_s
    choice = schedule.choose("a", 0.0, {"small": 0.9, "large": 0.9}, loaded=schedule.names, frame_s=0.01)
    assert set(choice.run) == {"small", "large"} and choice.index["small"] > choice.index["large"] > 0.0
    assert schedule.stats().bank_s == pytest.approx(full_s - 0.06)
    for name in choice.run:
        schedule.skipped("a", name)
    assert schedule.stats().bank_s == pytest.approx(full_s) and schedule.spent_s == pytest.approx(0.0)
    schedule.choose("a", 0.0, {"small": 0.9}, loaded=schedule.names)
    schedule.leave("a")
    assert schedule.stats().bank_s == pytest.approx(full_s)


def test_a_load_that_took_less_of_the_processors_than_of_time_gives_the_rest_back() -> None:
    schedule = site("a", FULL, budget_bytes=30)
    schedule.choose("a", 0.0, dict.fromkeys(COSTS, 1.0), loaded=())
    load = schedule.load(0.0, loaded=())
    assert load is not None and schedule.spent_s == COSTS[load.model].load_s
    schedule.loaded(load.model, 0.02)
    assert schedule.spent_s == pytest.approx(0.02)
    schedule.loaded(load.model, 9.0)
    assert schedule.spent_s == pytest.approx(0.02), "it was loaded once"


def test_compute_is_short_until_enough_is_saved() -> None:
    schedule = site("a", FULL, weights=Weights(least_every_s=0.0))
    assert not schedule.is_short(0.0)
    for _ in range(20):
        give(schedule, "a", 0.0, 1.0)
    assert schedule.is_short(0.0) and schedule.is_short(0.1) and not schedule.is_short(60.0)


def test_what_runs_take_is_learnt() -> None:
    schedule = site("a", 0.5 * FULL, weights=Weights(least_every_s=0.0))
    for step in range(5 * 60):
        choice = schedule.choose("a", step * 0.2, dict.fromkeys(schedule.names, 0.3), loaded=schedule.names)
        for name in choice.run:
            schedule.ran("a", name, step * 0.2, 3 * COSTS[name].infer_s)
    assert schedule.spent_s <= 0.5 * FULL * 60 + 4 * FULL


def test_an_input_that_costs_by_itself_is_asked_for_only_if_its_models_pay_for_it() -> None:
    asked = []
    for frame_s in (0.0, 0.2):
        schedule = site("a", 0.5 * FULL, weights=Weights(least_every_s=0.0))
        asked.append(sum(bool(give(schedule, "a", step * 0.2, 0.3, frame_s=frame_s).run) for step in range(500)))
        assert schedule.spent_s <= 0.5 * FULL * 100 + 2 * FULL
    assert 0 < asked[1] < asked[0]


def test_a_loss_that_is_not_known_counts_as_one() -> None:
    schedule = site("a", 10.0)
    assert give(schedule, "a", 0.0, math.nan).run
    assert sum(bool(give(schedule, "a", 0.2 * step, 0.5).run) for step in range(1, 50)) == 49
    schedule.load(20.0, loaded=schedule.names)
    stats = schedule.stats()
    assert all(math.isfinite(value) for value in (*stats.waiting.values(), *stats.keeping.values()))


def test_it_says_why() -> None:
    schedule = site("a", 0.1 * FULL)
    runs(schedule, {"a": 0.3}, seconds=20)
    stats = schedule.stats()
    assert stats.streams == 1 and stats.price > 0.0 and stats.runs["small"] + stats.runs["large"] > 0
    pair = stats.pairs["a"]["large"]
    assert pair.runs == stats.runs["large"] and f"{pair.price:.3g} it has to" in pair.why
