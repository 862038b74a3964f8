"""A filter's file at work: what it keeps, how it answers for the rest, and that it fails open."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.filters.gates.base import Substitute
from infilink.filters.gates.learned import FilterRuntime, FilterStats
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import METADATA_KEY
from infilink.outputs import OutputSpec

from ..made import ERROR, FRAMES, REPEATS, brightest, write_filter, write_frames, write_repeats

EMPTY = np.full((90, 160, 3), 90, np.uint8)
SQUARE = EMPTY.copy()
SQUARE[30:60, 40:70] = 220


@pytest.fixture
def frames_filter(tmp_path):
    return write_frames(tmp_path / "frames.onnx")


@pytest.fixture
def repeats_filter(tmp_path):
    return write_repeats(tmp_path / "repeats.onnx")


def kept(gate, frames) -> list[bool]:
    return [gate.decide(frame, i / 10).keep for i, frame in enumerate(frames)]


def test_it_keeps_the_first_frame_and_those_that_score_above_the_threshold(frames_filter):
    gate = open_gate(frames_filter)
    stream = [EMPTY, EMPTY, SQUARE, SQUARE, EMPTY]
    assert kept(gate, stream) == [True, False, True, True, False]
    gate.reset()
    assert kept(gate, stream) == [True, False, True, True, False]
    assert gate.stats() == FilterStats(seen=10, kept=6, failed=0)


def test_what_repeats_the_last_kept_frame_is_dropped(repeats_filter):
    gate = open_gate(repeats_filter)
    assert kept(gate, [EMPTY, EMPTY, SQUARE, SQUARE, EMPTY, EMPTY]) == [True, False, True, False, True, False]


def test_a_still_picture_is_kept_again_after_the_longest_time(repeats_filter):
    gate = FilterRuntime(repeats_filter)
    times = [i * 0.5 for i in range(60)]
    assert [t for t in times if gate.decide(EMPTY, t).keep] == [0.0, 10.0, 20.0]
    assert gate.spec.longest_s == 10.0


def test_what_is_not_kept_is_answered_as_the_certificate_says(frames_filter, repeats_filter):
    output = OutputSpec(kind="boxes", classes=("car", "person"))
    skipped = FilterRuntime(frames_filter).substitute("squares", output)
    assert (skipped.origin, skipped.confidence, skipped.trusted) == ("skipped", 1.0 - ERROR, True)
    assert skipped.value is not None and skipped.value.shape == (0, 6)
    repeated = FilterRuntime(repeats_filter).substitute("scene", output)
    assert repeated == Substitute("reused", None, 1.0 - ERROR, True)
    for gate in (FilterRuntime(frames_filter), open_gate("every:3")):
        assert gate.substitute("stranger", output) == Substitute("reused", None, 0.0, False)


def test_a_label_rule_answers_by_the_class_that_it_names(tmp_path):
    rule = {"rule": "label not in (left)", "models": {"scene": "d0"}, "answers": {"scene": "nothing"}}
    gate = open_gate(write_frames(tmp_path / "f.onnx", **rule))
    output = OutputSpec(kind="label", classes=("left", "nothing"))
    assert gate.substitute("scene", output).value.tolist() == [0.0, 1.0]


def test_another_accuracy_needs_no_training_if_the_table_proves_it(frames_filter):
    for accuracy, threshold, error in ((0.95, FRAMES.threshold, ERROR), (0.97, 0.2, 0.0)):
        gate = open_gate(f"{frames_filter}@{accuracy}")
        assert (gate.accuracy, gate.threshold, gate.certified) == (accuracy, threshold, True)
        assert gate.decide(SQUARE, 0.0).threshold == threshold
        assert gate.substitute("squares", OutputSpec(kind="count")).confidence == 1.0 - error
    with pytest.raises(InvalidInput, match=r"the most that one is proven to keep is 0\.990"):
        open_gate(f"{frames_filter}@0.9999")
    for wrong in ("1.5", "often", "nan"):
        with pytest.raises(InvalidInput, match="PATH@ACCURACY"):
            open_gate(f"{frames_filter}@{wrong}")


def test_a_score_that_is_nan_keeps_the_frame(tmp_path):
    gate = FilterRuntime(write_filter(tmp_path / "nan.onnx", brightest(wrong=np.nan), FRAMES))
    assert kept(gate, [EMPTY] * 4) == [True] * 4
    assert gate.stats().failed == 4


def test_a_frame_that_the_filter_fails_on_is_kept_and_told_once(frames_filter, caplog):
    gate = FilterRuntime(frames_filter)
    for broken in (np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float64)):
        assert gate.decide(broken, 0.0).keep
    assert gate.stats().failed == 3
    assert len(caplog.records) == 1
    assert gate.decide(EMPTY, 1.0).score == pytest.approx(90 / 255, abs=1e-3)


def test_the_file_alone_says_what_it_is(frames_filter, repeats_filter):
    assert FilterRuntime(frames_filter).spec == FRAMES
    assert FilterRuntime(repeats_filter).spec == REPEATS


def test_a_filter_of_another_format_is_refused(frames_filter, tmp_path):
    model = onnx.load(str(frames_filter))
    for key, says in (('"format":5', "is a filter of format 9, and"), ('"rule"', "filter spec is not readable")):
        text = FRAMES.model_dump_json()
        assert key in text
        del model.metadata_props[:]
        model.metadata_props.add(key=METADATA_KEY, value=text.replace(key, '"format":9' if "format" in key else '"x"'))
        path = tmp_path / "other.onnx"
        onnx.save(model, str(path))
        with pytest.raises(InvalidInput, match=says):
            open_gate(path)


def test_deciding_needs_no_torch(frames_filter):
    code = (
        "import sys, numpy as np; from infilink.filters.open_gate import open_gate\n"
        f"gate = open_gate({str(frames_filter)!r})\n"
        "assert gate.decide(np.zeros((90, 160, 3), np.uint8), 0.0).keep and gate.stats().failed == 0\n"
        "print([name for name in ('torch', 'onnx', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_flip_of_the_learned_state_is_kept_soon_and_all_else_at_the_heartbeat(tmp_path):
    path = write_filter(
        tmp_path / "flip.onnx", brightest(), FRAMES, keeps="flip", state_weights=(6.0, 6.0), threshold=np.log(4.9)
    )
    gate = FilterRuntime(path)
    stream = [EMPTY] * 13 + [SQUARE] * 20 + [EMPTY] * 20
    times = [0.5 * i for i in range(len(stream))]
    sent = [time for time, frame in zip(times, stream, strict=True) if gate.decide(frame, time).keep]
    # Nothing new: every 5 s. The square comes at 6.5 s, is sent at once, and after 5 s again; then it is gone for good.
    assert sent == [0.0, 5.0, 6.5, 11.5]
    boxes = OutputSpec(kind="boxes", classes=("car", "person"))
    assert gate.spec.held and gate.substitute("squares", boxes).value is None
    gate.reset()
    assert gate.decide(SQUARE, 0.0).keep and not gate.decide(SQUARE, 0.1).keep
