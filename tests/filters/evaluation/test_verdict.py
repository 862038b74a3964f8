"""A promise is kept, broken, or there are too few runs to tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.evaluation.verdict import judge_events, judge_losses, worst_of


def independent(errors: int, inputs: int) -> np.ndarray:
    """So many errors, spread at random."""
    return np.random.default_rng(0).permutation(np.arange(inputs) < errors).astype(float)


@pytest.mark.parametrize(
    ("errors", "inputs", "verdict"),
    [(20, 1000, "kept"), (5, 60, "not proven"), (7, 60, "undecided"), (300, 1000, "broken")],
)
def test_the_whole_interval_decides(errors, inputs, verdict):
    found = judge_losses("accuracy", 0.9, independent(errors, inputs))
    assert found.verdict == verdict
    assert found.found == pytest.approx(1 - errors / inputs)
    assert found.interval[0] < found.found < found.interval[1]
    assert 0 < found.worth <= inputs


def test_errors_that_come_together_are_few_runs():
    scenes = np.repeat(independent(4, 60), 50)
    spread = independent(200, 3000)
    assert scenes.mean() == spread.mean()
    together, alone = (judge_losses("accuracy", 0.9, losses) for losses in (scenes, spread))
    assert together.worth < 120 < alone.worth
    assert (together.verdict, alone.verdict) == ("not proven", "kept")
    assert together.text.endswith(f"kept, on {together.worth:.0f} runs only: not proven")


def test_where_nothing_is_lost_what_could_be_lost_shows_the_runs():
    needed = np.repeat(independent(20, 40), 50)
    found = judge_losses("accuracy", 0.9, np.zeros(2000), dropped=needed)
    assert found.found == 1.0 and 0 < found.worth < 200


def test_of_a_part_of_the_inputs_its_visits_count_if_all_or_nothing_is_lost():
    where = np.zeros(1000, bool)
    where[100:110] = where[112:120] = where[500:510] = where[800:810] = True
    for lost, verdict in ((1.0, "broken"), (0.0, "not proven")):
        found = judge_losses("recall of car", 0.8, np.full(1000, lost) * where, dropped=where * 1.0, where=where)
        # The first two are one: what lies between is shorter than they are.
        assert (found.found, found.worth, found.verdict) == (1.0 - lost, 3.0, verdict)


def test_of_what_is_not_here_nothing_is_said():
    for found in (
        judge_losses("recall of car", 0.8, np.zeros(100), where=np.zeros(100, bool)),
        judge_events("events", 0.9, 0, 0, 0.0),
    ):
        assert found.found is None and found.verdict == "undecided" and "nothing of it here" in found.text


@pytest.mark.parametrize(
    ("hits", "events", "verdict"),
    [(100, 100, "kept"), (9, 9, "not proven"), (8, 9, "undecided"), (20, 60, "broken")],
)
def test_events_are_counted(hits, events, verdict):
    found = judge_events("events", 0.95, hits, events, float(events))
    assert (found.verdict, found.unit, found.worth) == (verdict, "events", events)


def test_events_that_come_in_bunches_are_fewer():
    assert judge_events("events", 0.95, 100, 100, 10.0).verdict == "not proven"


def test_the_worst_of_all_promises_stands():
    kept, unproven = judge_events("a", 0.9, 100, 100, 100.0), judge_events("b", 0.9, 9, 9, 9.0)
    missed, broken = judge_events("c", 0.9, 8, 9, 9.0), judge_events("d", 0.9, 20, 60, 60.0)
    assert worst_of([]) == "none"
    assert [worst_of(all_) for all_ in ([kept], [kept, unproven], [unproven, missed], [missed, broken, kept])] == [
        "kept",
        "not proven",
        "undecided",
        "broken",
    ]


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.05, 0.95))
def test_the_verdict_never_contradicts_what_was_found(hits, more, asked):
    found = judge_events("events", asked, hits, hits + more, float(hits + more))
    assert found.found is not None and found.interval[0] <= found.found <= found.interval[1]
    assert (found.verdict in ("kept", "not proven")) == (found.found >= asked - 1e-9)
