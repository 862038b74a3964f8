"""A gate that is to keep fewer for a while: the threshold of a lower accuracy, and its own again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.filters.gates.base import Gate
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.gates.tasks import TasksRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import Level
from infilink.filters.stricter import stricter_of

from .made import write_frames, write_tasks

TABLE = (
    Level(threshold=0.3, rate=0.2, error=0.01, upper_bound=0.05),
    Level(threshold=0.5, rate=0.4, error=0.05, upper_bound=0.1),
    Level(threshold=0.7, rate=0.6, error=0.12, upper_bound=0.19),
    Level(threshold=0.9, rate=0.8, error=0.18, upper_bound=0.3),
)


def inputs(count: int) -> Iterator[np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return (random.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count))


def kept(gate: Gate, count: int = 200) -> int:
    return sum(gate.decide(value, index / 10).keep for index, value in enumerate(inputs(count)))


@pytest.mark.parametrize(("text", "full", "fewer"), [("all", 200, 100), ("every:4", 50, 25), ("random:0.5", 92, 45)])
def test_a_free_gate_keeps_about_half_and_then_as_many_as_before(text: str, full: int, fewer: int) -> None:
    gate = open_gate(text)
    found = stricter_of(gate)
    assert found is not None and not found.certified
    assert kept(gate) == pytest.approx(full, rel=0.1)
    found.apply(True)
    gate.reset()
    assert kept(gate) == pytest.approx(fewer, rel=0.2)
    found.apply(False)
    gate.reset()
    assert kept(gate) == pytest.approx(full, rel=0.1)


def test_a_filter_takes_the_threshold_that_is_proven_for_twice_the_loss(tmp_path: Path) -> None:
    gate = FilterRuntime(write_frames(tmp_path / "f.onnx", table=TABLE, threshold=0.5, accuracy=0.9))
    own = (gate.threshold, gate.certified, gate._error)
    found = stricter_of(gate)
    assert found is not None and found.certified == gate.certified
    assert "0.8" in found.text
    found.apply(True)
    assert (gate.threshold, gate._error) == (0.7, 0.12)
    found.apply(True)
    found.apply(False)
    assert (gate.threshold, gate.certified, gate._error) == own


def test_where_none_is_proven_it_takes_the_measured_one_and_says_so(tmp_path: Path) -> None:
    gate = FilterRuntime(write_frames(tmp_path / "f.onnx", table=TABLE[:2] + TABLE[3:], threshold=0.5, accuracy=0.9))
    found = stricter_of(gate)
    assert found is not None and not found.certified and "not certified" in found.text
    found.apply(True)
    assert (gate.threshold, gate.certified) == (0.9, False)


def test_a_filter_whose_file_states_no_threshold_above_its_own_has_none(tmp_path: Path) -> None:
    gate = FilterRuntime(write_frames(tmp_path / "f.onnx", table=TABLE, threshold=0.95, accuracy=0.9))
    assert stricter_of(gate) is None
    assert stricter_of(gate, accuracy=0.5) is None
    assert stricter_of(open_gate("first")) is None


def test_a_filter_for_several_models_has_one_where_a_task_has(tmp_path: Path) -> None:
    gate = TasksRuntime(write_tasks(tmp_path / "t.onnx"))
    before = gate._thresholds.copy()
    found = stricter_of(gate, accuracy=0.01)
    if found is not None:
        found.apply(True)
        assert (gate._thresholds >= before).all()
        found.apply(False)
    assert (gate._thresholds == before).all()
