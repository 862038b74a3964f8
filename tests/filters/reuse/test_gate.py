"""Learned reuse at work: repeats, far inputs, failures, versions, restarts, threads."""

import threading

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.reuse.gate import ReuseRuntime

from .conftest import make, say


@pytest.fixture
def filled(learnt, tmp_path):
    """A runtime that has met a hundred inputs."""
    runtime, random = ReuseRuntime(learnt.path, tmp_path / "reuse.cache"), np.random.default_rng(11)
    for i in range(100):
        decision = runtime.decide(make("signal", i % 4, random), float(i))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, say(i % 4), float(i))
    return runtime


def test_an_exact_repeat_is_reused_even_of_an_input_like_no_other(filled):
    random = np.random.default_rng(0)
    for i in range(20):
        value = random.normal(0, 50, (64, 3)).astype(np.float32)
        first = filled.decide(value, 200.0)
        if first.keep:
            assert filled.learn(first.ticket, say(i % 4), 200.0)
            again = filled.decide(value, 201.0)
            assert not again.keep and again.hit.distance == 0 and np.argmax(again.answer) == i % 4
            assert again.origin == "reused" and again.trusted and again.confidence > 0.85


def test_inputs_from_far_outside_are_never_reused(filled):
    random = np.random.default_rng(1)
    for scale in (20.0, 100.0, 1e4):
        for offset in (0.0, 30.0, 1e3):
            for _ in range(25):
                value = (random.normal(0, scale, (64, 3)) + offset).astype(np.float32)
                assert filled.decide(value, 300.0).keep


@pytest.mark.parametrize("wrong", [np.zeros((64, 5)), np.full((64, 3), np.nan), np.zeros(3), None, "text"])
def test_an_input_it_fails_on_is_kept(filled, wrong, caplog):
    decision = filled.decide(wrong, 300.0)
    assert decision.keep and decision.answer is None and decision.ticket is None
    assert filled.stats().failed == 1 and "keeps it" in caplog.text
    assert not filled.learn(wrong, say(0), 300.0)


def test_a_result_that_is_none_is_not_learnt(filled, caplog):
    value = make("signal", 0, np.random.default_rng(5)) * 100
    decision = filled.decide(value, 300.0)
    assert not filled.learn(decision.ticket, np.zeros(9), 300.0) and "can't learn" in caplog.text
    assert filled.learn(value, say(0), 300.0) and not filled.decide(value, 300.0).keep


def test_another_version_of_the_model_is_not_answered_by_the_old_ones_results(filled):
    value = make("signal", 1, np.random.default_rng(6))
    late = filled.decide(value * 100, 300.0).ticket
    filled.use_model("d1")
    decision = filled.decide(value, 300.0)
    assert decision.keep and len(filled.cache) == 0
    assert not filled.learn(late, say(1), 300.0)
    assert filled.learn(decision.ticket, say(2), 300.0)
    again = filled.decide(value, 300.0)
    assert np.argmax(again.answer) == 2 and not again.trusted


def test_a_restart_goes_on_where_it_stopped(filled, learnt):
    held = len(filled.cache)
    filled.close()
    filled.close()
    again = ReuseRuntime(learnt.path, filled.cache_path)
    random = np.random.default_rng(12)
    assert len(again.cache) == held > 0
    assert np.mean([again.decide(make("signal", i % 4, random), 200.0).keep for i in range(40)]) < 0.3


def test_a_damaged_cache_and_what_is_no_reuse_file_are_refused(learnt, tmp_path, filled):
    filled.cache_path.write_bytes(b"no cache")
    with pytest.raises(InvalidInput, match="damaged or no result cache"):
        ReuseRuntime(learnt.path, filled.cache_path)
    with pytest.raises(InvalidInput, match="no such file"):
        ReuseRuntime(tmp_path / "none.onnx")


def test_many_threads_decide_and_learn_at_once(learnt):
    runtime, wrong = ReuseRuntime(learnt.path), []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for i in range(60):
            decision = runtime.decide(make("signal", i % 4, random), float(i))
            if decision.ticket is not None:
                runtime.learn(decision.ticket, say(i % 4), float(i))
            elif np.argmax(decision.answer) != i % 4:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = runtime.stats()
    assert stats.seen == 240 and stats.failed == 0 and stats.reused > 120 and len(wrong) < 240 * 0.15
