"""The live audit: it judges blocks, sees a filter break, and lets one alone whose errors only come together."""

import numpy as np
import pytest
from infilink.filters.gates.audit import LEAST_BLOCK, Audit

TARGET = 0.1


def in_scenes(random, inputs, *, chance, length):
    """Bool (inputs,): scene by scene true with this chance."""
    return np.repeat(random.random(inputs // length + 1) < chance, length)[:inputs]


def run(audit, losses, *, unsent=None, until_alarm=False):
    """Has it watch a stream, with every drawn input answered at once; returns the input at which it changed, or -1."""
    dropped = np.ones(len(losses), bool) if unsent is None else unsent
    for i, (loss, drop) in enumerate(zip(losses.tolist(), dropped.tolist(), strict=True)):
        draw = audit.take(unsent=drop)
        changed = draw is not None and audit.settle(draw, float(loss) if drop else 0.0)
        if changed and until_alarm:
            return i
    return -1


def test_before_the_first_draw_nothing_is_known():
    report = Audit(TARGET, share=0.01).report()
    assert report.error is None and report.upper_bound == 1.0
    assert not report.broken and report.blocks == report.audited == 0


def test_one_input_of_every_stretch_is_drawn_wherever_it_lies():
    places = []
    for seed in range(200):
        audit = Audit(TARGET, share=0.1, seed=seed)
        drawn = [i for i in range(30) if audit.take(unsent=True) is not None]
        assert [i // 10 for i in drawn] == [0, 1, 2]
        places += [i % 10 for i in drawn]
    assert np.bincount(places).min() > 30, "each place of a stretch comes up about 60 times"


def test_the_mean_over_draws_is_that_over_all_inputs():
    """Kept ones lose nothing, and lossy stretches weigh as much as they are long."""
    random = np.random.default_rng(3)
    unsent, lossy = in_scenes(random, 4000, chance=0.6, length=40), in_scenes(random, 4000, chance=0.3, length=25)
    found = []
    for seed in range(30):
        audit = Audit(0.9, share=0.05, seed=seed)
        run(audit, lossy, unsent=unsent)
        found.append(audit.report().error)
    assert np.mean(found) == pytest.approx((unsent & lossy).mean(), abs=0.01)


def test_what_no_model_had_time_for_makes_no_filter_look_better():
    random = np.random.default_rng(5)
    unsent, lossy = in_scenes(random, 20_000, chance=0.6, length=40), in_scenes(random, 20_000, chance=0.3, length=25)
    audit = Audit(0.1, share=0.2, run_inputs=20.0)
    for loss, drop in zip(lossy.tolist(), unsent.tolist(), strict=True):
        draw = audit.take(unsent=drop)
        if draw is not None:
            seen = not drop or random.random() < 0.2
            audit.settle(draw, float(loss and drop) if seen else None)
    report = audit.report()
    assert report.error == pytest.approx((unsent & lossy).mean(), abs=0.03)
    assert report.alarms == 1, "it loses .18, and promised .1"
    nothing = Audit(0.1, share=0.5)
    for draw in filter(None, (nothing.take(unsent=True) for _ in range(1000))):
        nothing.settle(draw, None)
    assert nothing.report().error is None and nothing.report().blocks == 0


def test_a_block_is_longer_than_the_runs_that_calibration_counted_and_than_those_that_ended_here():
    audit = Audit(TARGET, share=0.1, run_inputs=200.0)
    assert audit.report().block_inputs == 800
    assert Audit(TARGET, share=0.1, run_inputs=2.0).report().block_inputs == LEAST_BLOCK
    audit = Audit(0.9, share=0.1, run_inputs=2.0)
    run(audit, np.concatenate([np.zeros(200), np.ones(300)]))
    assert audit.report().block_inputs == LEAST_BLOCK, "what has not ended is no scene yet"
    run(audit, np.zeros(400))
    assert audit.report().block_inputs == pytest.approx(600, abs=40)


@pytest.mark.parametrize("length", [5, 200])
def test_scenes_of_errors_within_the_promise_are_no_break(length):
    alarms = 0
    for seed in range(15):
        audit = Audit(TARGET, share=0.01, run_inputs=length, seed=seed)
        run(audit, in_scenes(np.random.default_rng(seed), 20_000, chance=0.8 * TARGET, length=length))
        alarms += audit.report().alarms
    assert alarms <= 1


def test_a_filter_that_breaks_is_caught_within_some_blocks():
    for seed in range(10):
        audit = Audit(TARGET, share=0.01, run_inputs=20, seed=seed)
        random = np.random.default_rng(seed)
        run(audit, in_scenes(random, 10_000, chance=0.04, length=20))
        before = audit.report().blocks
        assert run(audit, in_scenes(random, 20_000, chance=0.6, length=20), until_alarm=True) >= 0
        assert audit.broken and audit.report().blocks - before <= 15


def test_while_the_alarm_is_on_everything_is_drawn_and_a_block_is_one_sample_still():
    audit = Audit(TARGET, share=0.1, run_inputs=20)
    run(audit, np.ones(10_000), until_alarm=True)
    blocks, size = audit.report().blocks, audit.report().block_inputs
    draws = [audit.take(unsent=True) for _ in range(3 * size + 1)]
    assert None not in draws and {draw.inputs for draw in draws} == {1}
    for draw in draws:
        audit.settle(draw, 1.0)
    assert audit.report().blocks - blocks <= 3


def test_a_filter_that_is_good_again_is_trusted_again_and_one_that_is_not_is_not():
    for good in (True, False):
        audit = Audit(TARGET, share=0.1, run_inputs=20)
        run(audit, np.ones(10_000), until_alarm=True)
        random = np.random.default_rng(4)
        run(audit, in_scenes(random, 20_000, chance=0.01 if good else 0.4, length=20))
        assert audit.broken is not good


def test_blocks_are_judged_in_order_and_late_answers_are_waited_for_so_long():
    audit = Audit(TARGET, share=0.01, run_inputs=1)
    draws = [draw for _ in range(3 * LEAST_BLOCK) if (draw := audit.take(unsent=True)) is not None]
    for draw in draws[2:]:
        audit.settle(draw, 0.0)
    assert audit.report().blocks == 0, "the first block waits"
    audit.settle(draws[0], 0.0)
    audit.settle(draws[1], None)
    # What nobody will ever know is left out.
    audit.take(unsent=True)
    assert audit.report().blocks == 2 and audit.report().audited == 5


def test_an_answer_that_never_comes_does_not_stop_the_audit():
    audit = Audit(TARGET, share=0.01, run_inputs=1)
    first = next(draw for _ in range(100) if (draw := audit.take(unsent=True)) is not None)
    for _ in range(20 * LEAST_BLOCK):
        draw = audit.take(unsent=True)
        if draw is not None:
            audit.settle(draw, 0.0)
    assert audit.report().blocks >= 10
    assert not audit.settle(first, 1.0), "too late"
    assert audit.report().error == 0.0


def test_a_rate_far_from_calibration_is_audited_more_and_opens_nothing():
    audit = Audit(TARGET, share=0.01, run_inputs=1, rate=(0.3, 0.5))
    run(audit, np.zeros(10_000))
    assert audit.rate_far == "above" and not audit.broken
    draws = [draw for _ in range(1000) if (draw := audit.take(unsent=True)) is not None]
    assert len(draws) == pytest.approx(40, abs=1), "four times as many"
    for draw in draws:
        audit.settle(draw, 0.0)
    usual = in_scenes(np.random.default_rng(1), 20_000, chance=0.4, length=10)
    run(audit, np.zeros(20_000), unsent=usual)
    assert audit.rate_far == ""


def test_the_upper_bound_holds_at_every_moment_in_all_but_few_streams():
    wrong = 0
    for seed in range(40):
        audit = Audit(0.9, share=0.5, run_inputs=1, seed=seed)
        losses = np.random.default_rng(seed).random(3000) < 0.1
        for part in np.array_split(losses, 5):
            run(audit, part)
            if audit.report().upper_bound < 0.1:
                wrong += 1
                break
    assert wrong <= 4
