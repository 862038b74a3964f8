"""Gates that learn at work: from what comes by, no worse than before, and over a restart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.gates.base import ModelOutput
from infilink.filters.local.learning_filter import LearningFilter
from infilink.filters.local.learning_heads import LearningHeads
from infilink.filters.local.sample import FairSample
from infilink.filters.modalities.signal import Signal
from infilink.filters.open_gate import open_gate
from infilink.filters.terms import terms_of
from infilink.outputs import OutputSpec

from ..conftest import SPECS, draw
from ..made import write_frames, write_reuse
from .made import write_heads, write_presence

OUTPUTS = {name: spec.output for name, spec in SPECS.items()}
Learning = LearningFilter | LearningHeads


def filter_of(folder: Path) -> Learning:
    return LearningFilter(write_presence(folder / "f.onnx"), folder / "learnt.npz")


def heads_of(folder: Path) -> Learning:
    return LearningHeads(write_heads(folder / "h.onnx"), folder / "learnt.npz")


KINDS: dict[str, Callable[[Path], Learning]] = {"filter": filter_of, "heads": heads_of}


@pytest.fixture(params=KINDS)
def begin(request) -> Callable[[Path], Learning]:
    def open_one(folder: Path) -> Learning:
        gate = KINDS[request.param](folder)
        for name, output in OUTPUTS.items():
            gate.substitute(name, output)
        return gate

    return open_one


def said(place: int) -> dict[str, ModelOutput]:
    return {
        "squares": ModelOutput(np.asarray([place > 0], np.float32), "d0"),
        "scene": ModelOutput(np.eye(3, dtype=np.float32)[place], "d0"),
    }


def run(gate: Learning, count: int, *, seed: int, start: int = 0, turned: bool = False, drawn: int = 10) -> list[bool]:
    """Sends frames through a gate; one of so many is drawn by the audit. Whether it was right each time.

    Args:
        gate: the gate.
        count: how many frames.
        seed: of what is drawn on them.
        start: the first one's number.
        turned: whether the camera gives negatives.
        drawn: one of how many.
    """
    frames, places = draw(count, seed)
    right = []
    for i, (frame, place) in enumerate(zip(frames, places, strict=True), start=start):
        decision = gate.decide(255 - frame if turned else frame, i / 10)
        assert decision.learn is not None
        exact = said(place)
        if isinstance(gate, LearningFilter):
            right.append(decision.keep or place == 0)
        else:
            agreed = [OUTPUTS[name].agreement(each.value, exact[name].value) for name, each in decision.answers.items()]
            right.append(min(agreed, default=1.0) > 0.5)
        left = {name: each for name, each in exact.items() if name not in decision.answers and decision.keep}
        if i % drawn == 0:
            left = exact
        if left:
            decision.learn(left)
    return right


def test_it_learns_from_what_comes_by_and_is_then_not_trusted(begin, tmp_path):
    gate = begin(tmp_path)
    model = next(name for name, output in OUTPUTS.items() if gate.substitute(name, output).confidence)
    assert gate.substitute(model, OUTPUTS[model]).trusted and not gate.changed
    run(gate, 60, seed=5)
    assert gate.learnt().inputs > 5 and gate.changed
    assert not gate.substitute(model, OUTPUTS[model]).trusted
    answered = [gate.decide(frame, 9.0).answers for frame in draw(40, seed=5)[0]]
    assert any(answered) and not any(each.trusted for answers in answered for each in answers.values() if each)
    terms = terms_of(gate)
    assert terms is not None and terms.accuracy == gate.accuracy and terms.rate is None


def test_without_evidence_it_decides_as_its_file_does(begin, tmp_path):
    """Nobody audits, and no model ever answers."""
    gate = begin(tmp_path)
    plain = open_gate(gate.path)
    for name, output in OUTPUTS.items():
        plain.substitute(name, output)
    for i, frame in enumerate(draw(120, seed=9)[0]):
        learning, as_trained = gate.decide(frame, i / 10), plain.decide(frame, i / 10)
        assert (learning.keep, learning.threshold) == (as_trained.keep, as_trained.threshold)


def test_another_camera_is_learnt(begin, tmp_path):
    learning = begin(tmp_path)
    before = run(learning, 200, seed=7, turned=True, drawn=5)[-100:]
    after = run(learning, 400, seed=8, start=200, turned=True, drawn=5)[-200:]
    assert learning.learnt().inputs > 60
    assert np.mean(after) >= max(0.85, np.mean(before) - 0.05)
    # It still answers: what is always asked is always right.
    decisions = [learning.decide(255 - frame, 100.0 + i / 10) for i, frame in enumerate(draw(200, seed=8)[0])]
    assert any(each.answers or not each.keep for each in decisions)


def test_a_restart_goes_on_where_it_was(begin, tmp_path):
    gate = begin(tmp_path)
    run(gate, 80, seed=5)
    gate.close()
    gate.close()
    again = begin(tmp_path)
    assert again.changed and again.learnt().inputs == 0
    for i, frame in enumerate(draw(30, seed=6)[0]):
        first, second = gate.decide(frame, 20 + i / 10), again.decide(frame, 20 + i / 10)
        assert (first.keep, first.score) == pytest.approx((second.keep, second.score), abs=1e-5)


def test_what_a_kill_loses_is_a_minute(begin, tmp_path):
    gate = begin(tmp_path)
    run(gate, 40, seed=5)
    assert not (tmp_path / "learnt.npz").exists()
    run(gate, 40, seed=6, start=700)
    assert (tmp_path / "learnt.npz").stat().st_size < 4 << 20
    assert begin(tmp_path).changed


def test_a_state_of_another_file_or_a_damaged_one_is_refused(tmp_path):
    gate = filter_of(tmp_path)
    gate.substitute("squares", OUTPUTS["squares"])
    run(gate, 20, seed=5)
    gate.close()
    with pytest.raises(InvalidInput, match="learnt by another file than this gate's"):
        heads_of(tmp_path)
    (tmp_path / "learnt.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InvalidInput, match="holds nothing that was learnt at work: delete it"):
        filter_of(tmp_path)


def test_what_is_of_another_version_is_not_learnt_from(begin, tmp_path):
    gate = begin(tmp_path)
    for frame in draw(10, seed=5)[0]:
        learn = gate.decide(frame, 0.0).learn
        assert learn is not None
        learn({name: ModelOutput(each.value, "d9") for name, each in said(0).items()})
    assert not gate.changed


@pytest.mark.parametrize("bad", [np.zeros((2, 2), np.float32), np.asarray([np.nan], np.float32)])
def test_an_output_that_does_not_fit_is_not_learnt_from(tmp_path, bad, caplog):
    gate = heads_of(tmp_path)
    for frame in draw(3, seed=5)[0]:
        learn = gate.decide(frame, 0.0).learn
        assert learn is not None
        learn({"scene": ModelOutput(bad, "d0")})
    assert not gate.changed and len(caplog.records) == 1


def test_a_disk_that_is_full_ends_no_stream(tmp_path, caplog):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    gate = LearningHeads(write_heads(tmp_path / "h.onnx"), tmp_path / "blocked" / "learnt.npz")
    run(gate, 30, seed=5)
    run(gate, 30, seed=5, start=700)
    gate.close()
    assert sum("can't be saved" in record.message for record in caplog.records) == 1


def test_only_heads_and_stem_filters_learn_on(tmp_path):
    state = tmp_path / "learnt.npz"
    with pytest.raises(InvalidInput, match="train a stem filter"):
        open_gate(write_frames(tmp_path / "f.onnx"), update=state)
    signal = Signal(steps=16, mean=(0.0, 0.0), scale=(1.0, 1.0))
    reuse = write_reuse(tmp_path / "r.onnx", signal, OutputSpec(kind="label", classes=("a", "b")))
    with pytest.raises(InvalidInput, match="train a stem filter"):
        open_gate(reuse, update=state)
    with pytest.raises(InvalidInput, match="goes with the path of a filter"):
        open_gate("every:2", update=state)


def test_a_sample_stands_for_the_whole_stream():
    random, sample = np.random.default_rng(0), FairSample()
    taken = {"known": 0, "drawn": 0}
    for i in range(20_000):
        if random.random() < 0.3:
            taken["known"] += sample.takes()
            continue
        sample.pass_by()
        if i % 50 == 0:
            sample.drawn()
            taken["drawn"] += 1
    assert taken["drawn"] / sum(taken.values()) == pytest.approx(0.7, abs=0.1)
