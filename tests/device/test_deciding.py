"""Deciding on inputs: a gate that fails keeps them, and one whose camera changed is not asked until it is stable."""

import numpy as np
import pytest
from infilink.device.camera.watch import Condition
from infilink.device.deciding import Decider, OpenShare
from infilink.device.promise import Promise
from infilink.device.sources.base import Input
from infilink.filters.gates.base import Decision, Substitute
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")
MOVED, STABLE, NEW = Condition("moved", "panned"), Condition(), Condition(view=1)


class Encoder:
    def gate_input(self, value):
        return value


class Gate:
    """Skips everything but the first, and fails where it is told to."""

    name, accuracy = "made.onnx", 0.9

    def __init__(self):
        self.fails = False
        self.began = []
        self.seen = self.learnt = 0

    def decide(self, value, captured_s):
        if self.fails:
            raise self.fails
        self.seen += 1
        return Decision(self.seen == 1, 0.5, learn=self._learn)

    def _learn(self, outputs):
        self.learnt += 1

    def substitute(self, model, output):
        return Substitute("skipped", output.empty(), 0.9, True)

    def lost(self, answers, exact, outputs):
        return 0.0

    def reset(self):
        self.began.append("reset")

    def rebase(self):
        self.began.append("rebase")

    def close(self):
        pass


class Camera:
    """In what it is told to be in."""

    def __init__(self):
        self.condition, self.doubted = STABLE, False

    def see(self, picture, captured_s):
        return self.condition


class Run:
    """A decider with all that it needs, and its next input."""

    def __init__(self, share=0.5, **options):
        self.gate, self.camera = Gate(), Camera()
        self.promise = Promise(self.gate, "made.onnx", audit=0.0)
        self.decider = Decider(
            self.gate, self.promise, Encoder(), open_share=share, camera=self.camera, clock_ns=lambda: 0, **options
        )
        self.decider.serve({"m": COUNT})
        self.sequence = 0

    def next(self, count=1):
        found = [
            self.decider.decide(Input(self.sequence + i, float(i), np.zeros((4, 4, 3), np.uint8)), None)
            for i in range(count)
        ]
        self.sequence += count
        return found if count > 1 else found[0]


@pytest.mark.parametrize(
    "error", [ValueError("NaN"), RuntimeError("onnxruntime"), IndexError("shape"), MemoryError(), TypeError()]
)
def test_an_input_on_which_the_gate_fails_is_kept_told_once_and_tried_again(error, caplog):
    run = Run()
    run.next(3)
    run.gate.fails = error
    assert all(each.kept is not None and each.row.kept for each in run.next(5))
    assert len(caplog.records) == 1 and "failed on an input" in caplog.text and run.decider.failed == 5
    run.gate.fails = False
    assert run.next().kept is None, "it decides again"
    assert not run.decider.failing


def test_a_gate_that_always_fails_lets_pass_a_share_and_the_rest_is_not_certified(caplog):
    run = Run(share=0.25)
    run.gate.fails = ValueError("it")
    run.next(90)
    assert run.decider.failing and "up to 25 % of the inputs" in caplog.text
    found = run.next(200)
    assert sum(each.kept is not None for each in found) == 50
    skipped = next(each for each in found if each.kept is None)
    (answer,) = skipped.answers
    assert (answer.origin, answer.trusted, answer.confidence, answer.value) == ("reused", False, 0.0, None)
    assert answer.reference is not None
    run.gate.fails = False
    run.gate.seen = 1
    assert run.next().kept is None and "decides again" in caplog.text


def test_a_gate_that_fails_inside_is_counted_just_so():
    run = Run()
    run.gate.decide = lambda value, captured_s: Decision(True, failed=True)
    run.next(30)
    assert run.decider.failed == 30 and run.decider.failing


def test_while_the_camera_is_not_stable_inputs_pass_up_to_a_share_and_nothing_is_certified():
    run = Run(share=0.5)
    run.next(3)
    run.camera.condition = MOVED
    found = run.next(300)
    assert all(each.kept is not None for each in found[:50])
    assert sum(each.kept is not None for each in found[100:]) == 100
    assert {each.row.camera for each in found} == {"moved"} and run.gate.seen == 3
    assert not any(answer.trusted for each in found for answer in each.answers)
    assert all(each.kept.learn is None for each in found if each.kept is not None)
    assert run.decider.unsure == 300 and run.decider.changes == 1


@pytest.mark.parametrize(("after", "began", "moved"), [(STABLE, "reset", False), (NEW, "rebase", True)])
def test_once_it_is_stable_the_gate_starts_anew_and_in_another_view_is_not_certified(after, began, moved):
    run = Run()
    run.next(3)
    run.camera.condition = MOVED
    run.next(10)
    run.camera.condition = after
    run.gate.seen = 1
    (answer,) = run.next().answers
    assert run.gate.began == [began]
    assert answer.trusted is not moved and run.promise.moved is moved


def test_what_is_answered_once_the_camera_may_have_changed_is_not_learnt():
    run = Run()
    kept = run.next().kept
    run.camera.doubted = True
    kept.learn({})
    assert run.gate.learnt == 0
    run.camera.doubted = False
    kept.learn({})
    run.camera.condition = MOVED
    run.next()
    kept.learn({})
    assert run.gate.learnt == 1


def test_a_share_is_kept_over_any_stretch_after_the_burst():
    share = OpenShare(0.1, burst=5)
    assert [share.takes() for _ in range(5)] == [True] * 5
    assert sum(share.takes() for _ in range(1000)) == pytest.approx(100, abs=1)
    share.refill()
    assert share.takes()
