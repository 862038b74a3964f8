"""Reuse at work, by a file that is made: repeats, far inputs, failures, versions, restarts, threads."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.gates.base import ModelOutput, Substitute
from infilink.filters.modalities import fit_modality
from infilink.filters.open_gate import open_gate
from infilink.filters.reuse.gate import ReuseRuntime
from infilink.outputs import OutputSpec

from ..made import ERROR, write_reuse
from .conftest import CLASSES, make, say

LABEL = OutputSpec(kind="label", classes=CLASSES)


def level(label: int, random: np.random.Generator) -> np.ndarray:
    """Those of one label are within the gate of each other, others are far."""
    return make("level", label, random)


@pytest.fixture(scope="module")
def modality():
    random = np.random.default_rng(0)
    return fit_modality("signal", [level(i % 4, random) for i in range(40)])


@pytest.fixture(scope="module")
def path(modality, tmp_path_factory):
    return write_reuse(tmp_path_factory.mktemp("made") / "reuse.onnx", modality, LABEL)


@pytest.fixture
def filled(path, tmp_path):
    """A runtime that has met a hundred inputs."""
    runtime, random = ReuseRuntime(path, tmp_path / "reuse.cache"), np.random.default_rng(11)
    for i in range(100):
        decision = runtime.decide(level(i % 4, random), float(i))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, say(i % 4), float(i))
    return runtime


def test_what_is_near_a_known_input_is_reused_and_what_is_far_is_kept(filled):
    random = np.random.default_rng(1)
    stats = filled.stats()
    assert (stats.seen, stats.reused, stats.skipped, stats.failed) == (100, 96, 0, 0)
    for label in range(4):
        decision = filled.decide(level(label, random), 200.0)
        assert not decision.keep and decision.origin == "reused" and np.argmax(decision.answer) == label
        assert (decision.confidence, decision.trusted) == (1.0 - ERROR, True)
        assert 0 < decision.found.distance < 0.5 and decision.found.theta == 1.0
    for far in (-100.0, 5.0, 45.0, 1e4):
        decision = filled.decide(np.full((64, 3), far, np.float32), 200.0)
        assert decision.keep and decision.answer is None and decision.ticket is not None


def test_an_exact_repeat_is_reused_even_of_an_input_like_no_other(filled):
    for i, value in enumerate(np.arange(100, 900, 40)):
        far = np.full((64, 3), value, np.float32)
        first = filled.decide(far, 200.0)
        assert first.keep and filled.learn(first.ticket, say(i % 4), 200.0)
        again = filled.decide(far, 201.0)
        assert again.found.distance == 0 and np.argmax(again.answer) == i % 4


def test_what_the_rule_skips_is_answered_by_its_class_and_does_not_reach_the_cache(modality, tmp_path):
    spec = {"rule": "label in (walk)", "skip_threshold": -0.9, "skip_answer": "walk"}
    runtime, random = ReuseRuntime(write_reuse(tmp_path / "r.onnx", modality, LABEL, **spec)), np.random.default_rng(2)
    # By the file, the score is the level, about 0 and scaled: of the first label it is the lowest.
    decision = runtime.decide(level(0, random), 0.0)
    assert (decision.keep, decision.origin, decision.trusted) == (False, "skipped", True)
    assert decision.answer.tolist() == say(0).tolist() and decision.score <= -0.9
    assert runtime.decide(level(1, random), 0.0).keep
    assert runtime.stats().skipped == 1 and len(runtime.cache) == 0


@pytest.mark.parametrize("wrong", [np.zeros((64, 5)), np.full((64, 3), np.nan), np.zeros(3), None, "text"])
def test_an_input_it_fails_on_is_kept(filled, wrong, caplog):
    decision = filled.decide(wrong, 300.0)
    assert decision.keep and decision.answer is None and decision.ticket is None
    assert filled.stats().failed == 1 and "keeps it" in caplog.text
    assert not filled.learn(wrong, say(0), 300.0)


def test_a_result_that_is_none_is_not_learnt(filled, caplog):
    value = np.full((64, 3), 500, np.float32)
    decision = filled.decide(value, 300.0)
    assert not filled.learn(decision.ticket, np.zeros(9), 300.0) and "can't learn" in caplog.text
    assert filled.learn(value, say(0), 300.0) and not filled.decide(value, 300.0).keep


def test_another_version_of_the_model_is_not_answered_by_the_old_ones_results(filled):
    value = level(1, np.random.default_rng(6))
    late = filled.decide(value * 100, 300.0).ticket
    filled.use_model("d1")
    decision = filled.decide(value, 300.0)
    assert decision.keep and len(filled.cache) == 0
    assert not filled.learn(late, say(1), 300.0)
    assert filled.learn(decision.ticket, say(2), 300.0)
    again = filled.decide(value, 300.0)
    assert np.argmax(again.answer) == 2 and not again.trusted


def test_a_restart_goes_on_where_it_stopped(filled, path):
    held = len(filled.cache)
    filled.close()
    filled.close()
    again, random = ReuseRuntime(path, filled.cache_path), np.random.default_rng(12)
    assert len(again.cache) == held == 4
    assert not any(again.decide(level(i % 4, random), 200.0).keep for i in range(40))


def test_a_damaged_cache_and_what_is_no_reuse_file_are_refused(path, tmp_path, filled):
    filled.cache_path.write_bytes(b"no cache")
    with pytest.raises(InvalidInput, match="damaged or no result cache"):
        ReuseRuntime(path, filled.cache_path)
    with pytest.raises(InvalidInput, match="no such file"):
        ReuseRuntime(tmp_path / "none.onnx")


def test_as_a_gate_it_answers_for_its_model_and_learns_what_that_returned(path):
    gate, random = open_gate(path), np.random.default_rng(3)
    first = gate.decide(level(2, random), 0.0)
    assert first.keep and first.score is None and not first.answers
    first.learn({"another": ModelOutput(say(1), "d0")})
    assert gate.decide(level(2, random), 1.0).keep
    first.learn({"h": ModelOutput(say(2), "d0")})
    again = gate.decide(level(2, random), 2.0)
    assert not again.keep and again.score < again.threshold == 1.0
    far, farther = (gate.decide(level(label, random), 3.0) for label in (1, 0))
    assert far.keep and farther.keep and 1.0 < far.score < farther.score < np.inf
    assert np.array_equal(again.answers["h"].value, say(2)) and again.answers["h"].trusted
    assert gate.substitute("h", LABEL) == Substitute("reused", None, 1.0 - ERROR, True)
    assert gate.substitute("another", LABEL) == Substitute()


def test_a_gate_whose_model_has_another_version_forgets_the_old_ones_results(path):
    gate, random = open_gate(path), np.random.default_rng(3)
    gate.decide(level(2, random), 0.0).learn({"h": ModelOutput(say(2), "d0")})
    gate.decide(level(1, random), 1.0).learn({"h": ModelOutput(say(1), "d1")})
    assert gate.decide(level(2, random), 2.0).keep
    answer = gate.decide(level(1, random), 3.0).answers["h"]
    assert np.array_equal(answer.value, say(1)) and not answer.trusted


def test_many_threads_decide_and_learn_at_once(path):
    runtime, wrong = ReuseRuntime(path), []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for i in range(60):
            decision = runtime.decide(level(i % 4, random), float(i))
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
    # A thread keeps each label at most once.
    assert (stats.seen, stats.failed, wrong) == (240, 0, []) and stats.reused >= 240 - 4 * 4


def test_deciding_loads_nothing_heavy(path):
    code = (
        "import sys, numpy as np; from infilink.filters.reuse.gate import ReuseRuntime; "
        f"r = ReuseRuntime({str(path)!r}); d = r.decide(np.zeros((64, 3), np.float32), 0.0); "
        "assert r.learn(d.ticket, np.eye(4)[0], 0.0); r.decide(np.zeros((64, 3), np.float32), 0.0); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'onnx') if m in sys.modules], r.stats().reused)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] 1"
