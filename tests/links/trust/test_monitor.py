"""A way to answer, watched: revoked when it drifts, regained when it is good again, certified live."""

from dataclasses import replace

import numpy as np
import pytest
from infilink.links.answer import Answer
from infilink.links.trust.calibration import Calibration
from infilink.links.trust.monitor import GAMMA, HIGHEST_LEVEL, UNIT_RUNS, WINDOW, AdaptiveLevel, Monitor, Unit
from infilink.outputs import OutputSpec

OUTPUT = OutputSpec(kind="count")
CALIBRATION = Calibration.of(np.linspace(0.0, 1.0, 100))
SURE = Answer(
    np.asarray([2.0]), 0.97, "linked", ("s",), "certified", output=OUTPUT, calibration=CALIBRATION, calibrated_s=5.0
)
UNSURE = replace(SURE, confidence=0.6, trust="unsure")
AGE = 3


def feed(monitor: Monitor, answer: Answer, rate: float, count: int, seed: int = 0, *, distance: float = 0.2):
    """Audited samples that disagree at a rate; what they changed, and after how many."""
    changes = []
    for index, wrong in enumerate(np.random.default_rng(seed).random(count) < rate):
        agreement = 1.0 - float(wrong)
        at_s = 100.0 + index
        change = monitor.observe(
            answer, AGE, agreement=agreement, distance=distance, captured_s=monitor.audited * 1.0, now_s=at_s
        )
        if change is not None:
            changes.append((change, index))
    return changes


def test_an_untouched_monitor_changes_nothing() -> None:
    assert Monitor(0.1).apply(SURE, AGE) == SURE


def test_a_certificate_that_holds_stays() -> None:
    monitor = Monitor(0.1)
    assert feed(monitor, SURE, 0.05, 1000) == []
    assert monitor.apply(SURE, AGE).trust == "certified"


def test_drift_revokes_and_recovery_regains() -> None:
    monitor = Monitor(0.1)
    feed(monitor, SURE, 0.03, 300)
    ((change, at),) = feed(monitor, SURE, 0.4, 200, seed=1)
    assert change == "revoked" and at < 150
    assert monitor.apply(SURE, AGE).trust == "revoked"
    assert not monitor.apply(SURE, AGE).trusted
    assert monitor.apply(UNSURE, AGE).trust == "unsure"
    assert feed(monitor, SURE, 0.25, 400, seed=2) == [], "not while it is still bad"
    ((change, at),) = feed(monitor, SURE, 0.0, 300)
    assert change == "regained" and at >= 28
    again = monitor.apply(SURE, AGE)
    assert again.trust == "certified" and again.calibrated_s > 100.0
    assert monitor.apply(SURE, AGE + 1).trust == "uncalibrated", "older than anything that was audited since"
    ((change, _),) = feed(monitor, SURE, 0.5, 100, seed=3)
    assert change == "revoked", "a second time, too"


def test_doubtful_answers_are_no_evidence_against_the_sure_ones() -> None:
    monitor = Monitor(0.1)
    assert feed(monitor, UNSURE, 0.9, 300) == []
    assert monitor.apply(SURE, AGE).trust == "certified"


def test_what_the_recording_could_not_certify_the_stream_can() -> None:
    monitor = Monitor(0.1)
    few = Calibration.of(np.zeros(5), run_s=0.5)
    held = Answer(np.asarray([2.0]), 0.8, "held", (), "uncalibrated", output=OUTPUT, calibration=few)
    assert held.region is None
    ((change, at),) = feed(monitor, held, 0.0, 80)
    assert change == "regained" and at >= 28
    answer = monitor.apply(held, AGE)
    assert answer.trusted
    assert answer.calibration_count == 80
    assert answer.region is not None
    assert answer.region.bounds[0] < 2.0 < answer.region.bounds[1]


def test_regions_follow_the_stream() -> None:
    monitor = Monitor(0.1)
    before = monitor.apply(SURE, AGE).region
    feed(monitor, SURE, 0.0, 150, distance=50.0)
    after = monitor.apply(SURE, AGE).region
    assert before is not None and after is not None
    assert after.bounds[1] > before.bounds[1]


@pytest.mark.parametrize("length", [5, 40])
def test_a_hard_stretch_is_not_taken_for_many_accidents(length: int) -> None:
    rng, revoked = np.random.default_rng(length), 0
    answer = replace(SURE, calibration=replace(CALIBRATION, run_s=float(length)))
    for _ in range(20):
        monitor = Monitor(0.1)
        for index, wrong in enumerate(np.repeat(rng.random(4000 // length) < 0.08, length)):
            agreement = 1.0 - float(wrong)
            change = monitor.observe(answer, AGE, agreement=agreement, distance=0.0, captured_s=index, now_s=0.0)
            revoked += change == "revoked"
    assert revoked <= 2


def test_what_is_audited_within_one_run_is_one_look() -> None:
    answer = replace(SURE, trust="unsure", calibration=replace(CALIBRATION, run_s=100.0))
    monitor = Monitor(0.1)
    assert feed(monitor, answer, 0.0, 3000) == [], "3000 answers that agree, of 30 runs"
    assert monitor.apply(answer, AGE).trust == "unsure"


def test_memory_is_bounded() -> None:
    monitor = Monitor(0.1)
    feed(monitor, SURE, 0.2, 3 * WINDOW)
    assert len(monitor._distances) == WINDOW


@pytest.mark.parametrize("growth", [1.0, 3.0, 100.0])
def test_regions_cover_though_the_stream_gets_worse(growth: float) -> None:
    rng = np.random.default_rng(4)
    calibration = Calibration.of(rng.exponential(size=200))
    level, outside, count = AdaptiveLevel(0.1), 0, 1500
    for step in range(count):
        distance = rng.exponential() * (growth if step > 300 else 1.0)
        missed = distance > calibration.radius(level.level)
        outside += missed
        level.update(outside=missed)
    assert outside / count <= 0.1 + (0.1 + GAMMA) / (GAMMA * count)


def test_an_easy_stream_does_not_make_regions_empty() -> None:
    level = AdaptiveLevel(0.1)
    for _ in range(10_000):
        level.update(outside=False)
    assert level.level == HIGHEST_LEVEL


def test_a_unit_is_the_mean_of_its_stretch() -> None:
    unit = Unit()
    assert [unit.add(value, at_s, lasts_s=10.0) for value, at_s in ((1.0, 0.0), (0.0, 4.0), (0.5, 9.9))] == [None] * 3
    assert unit.add(1.0, 10.0, lasts_s=10.0) == 0.5
    assert unit.add(1.0, 12.0, lasts_s=60.0) is None, "of answers whose runs are longer it lasts as long"
    assert unit.add(0.0, 69.0, lasts_s=10.0) is None
    assert unit.add(0.0, 70.0, lasts_s=10.0) == pytest.approx(2 / 3)
    assert unit.add(1.0, 3.0, lasts_s=10.0) == 0.0, "the clock was set back"
    again = Unit()
    again.restore(unit.as_list())
    assert again.add(0.0, 13.0, lasts_s=1.0) == unit.add(0.0, 13.0, lasts_s=1.0) == 1.0
    with pytest.raises(ValueError, match="unpack"):
        again.restore([1.0])


def test_where_no_run_was_measured_a_minute_is_assumed() -> None:
    unknown = replace(SURE, trust="unsure", calibration=None)
    monitor = Monitor(0.1)
    assert feed(monitor, unknown, 0.0, 100) == []
    assert UNIT_RUNS >= 2
