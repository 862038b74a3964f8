import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.open_gate import open_gate

FRAME = np.full((90, 160, 3), 90, np.uint8)


def kept(gate, frames) -> list[bool]:
    return [gate.decide(frame, i / 10).keep for i, frame in enumerate(frames)]


def test_all_keeps_everything():
    assert kept(open_gate("all"), [FRAME] * 4) == [True] * 4


def test_every_keeps_every_kth_and_starts_with_the_first():
    gate = open_gate("every:3")
    assert kept(gate, [FRAME] * 7) == [True, False, False, True, False, False, True]
    gate.reset()
    assert gate.decide(FRAME, 9.0).keep


def test_random_keeps_its_share_the_same_way_each_time():
    gate = open_gate("random:0.2:7")
    first = kept(gate, [FRAME] * 2000)
    gate.reset()
    assert first == kept(gate, [FRAME] * 2000)
    assert first[0] and np.mean(first) == pytest.approx(0.2, abs=0.03)
    assert first != kept(open_gate("random:0.2:8"), [FRAME] * 2000)


@pytest.mark.parametrize(("share", "expected"), [("0", 1), ("1", 50)])
def test_random_at_its_ends(share, expected):
    assert sum(kept(open_gate(f"random:{share}"), [FRAME] * 50)) == expected


def test_difference_compares_with_the_last_kept_frame():
    gate = open_gate("difference:0.1")
    steps = [FRAME, FRAME + 20, FRAME + 30, FRAME + 40, FRAME + 30]
    assert kept(gate, steps) == [True, False, True, False, False]
    decision = gate.decide(FRAME, 1.0)
    assert decision.score == pytest.approx(30 / 255, abs=1e-3)
    assert decision.keep and decision.threshold == 0.1


@pytest.mark.parametrize(
    "text", ["every:0", "every:x", "every", "random:2", "random:", "difference:-1", "difference:nan", "nothing", ""]
)
def test_a_gate_that_is_none_is_refused_with_the_forms(text):
    with pytest.raises(InvalidInput, match="the forms are: all, first"):
        open_gate(text)


def test_a_file_that_is_no_filter_is_refused(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        open_gate(path)


def test_the_first_input_alone_is_kept_and_again_after_a_reset():
    gate = open_gate("first")
    assert [gate.decide(FRAME, i / 10).keep for i in range(4)] == [True, False, False, False]
    gate.reset()
    assert gate.decide(FRAME, 1.0).keep
