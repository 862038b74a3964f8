"""Judging a gate on a trace: of filters that are made, all that is said follows from where the square is."""

import csv
import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.cli import evaluate_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.traces.trace import Trace

from ..conftest import draw, write_trace
from ..made import write_frames, write_repeats

INPUTS = 150
SEED = 5
PLACES = np.asarray(draw(INPUTS, SEED)[1])
NOWHERE = float(np.mean(PLACES == 0))
"""The share of the frames without a square, which is what `write_frames` drops. Then there is one at first."""


@pytest.fixture(scope="module")
def later_path(tmp_path_factory):
    return write_trace(tmp_path_factory.mktemp("later") / "later.trace", inputs=INPUTS, seed=SEED)


@pytest.fixture
def later(later_path):
    with Trace(later_path) as opened:
        yield opened


def baselines(found) -> dict[str, float]:
    return {baseline.name: baseline.accuracy for baseline in found.baselines}


def test_keeping_everything_is_always_right(later):
    found = evaluate_filter("all", later)
    assert (found.rate, found.accuracy, found.accuracy_skipped) == (0.0, 1.0, None)
    assert found.skill is None and found.contract == "none"


def test_every_third_is_judged_by_what_it_repeats(later):
    found = evaluate_filter("every:3", later)
    right = np.mean([PLACES[i] == PLACES[i - i % 3] for i in range(INPUTS)])
    assert found.rate == pytest.approx(2 / 3)
    assert found.per_model["scene"] == pytest.approx(right)
    assert baselines(found)["every K-th"] == pytest.approx(found.accuracy, abs=1e-6)


def test_a_filter_that_drops_what_is_redundant_and_no_more_knows_all_there_is_to_know(later, tmp_path):
    found = evaluate_filter(write_frames(tmp_path / "f.onnx"), later)
    dropped = (NOWHERE * INPUTS - (PLACES[0] == 0)) / INPUTS
    assert found.models == ("squares",) and found.rate == pytest.approx(dropped)
    assert (found.accuracy, found.accuracy_skipped, found.contract) == (1.0, 1.0, "kept")
    assert found.promised == 0.9 and found.certified
    assert found.skill == pytest.approx(1.0, abs=0.01)
    assert baselines(found)["random"] == pytest.approx(1 - found.rate * (1 - NOWHERE), abs=0.05)
    assert baselines(found)["constant"] == pytest.approx(NOWHERE, abs=0.01)
    assert set(baselines(found)) == {"random", "every K-th", "difference", "background", "constant"}


def test_a_filter_that_drops_what_is_needed_breaks_its_contract(later, tmp_path):
    path = write_frames(tmp_path / "f.onnx", rule="label in (left)", models={"scene": "d0"}, answers={"scene": "left"})
    found = evaluate_filter(path, later)
    # None of what it drops was on the left.
    assert found.accuracy == pytest.approx(1.0 - found.rate) and found.accuracy_skipped == 0.0
    assert found.contract == "broken" and found.skill is not None and found.skill < 0.0


def test_what_repeats_the_last_kept_frame_is_judged_against_its_answer(later, tmp_path):
    found = evaluate_filter(write_repeats(tmp_path / "f.onnx"), later)
    changes = np.mean(PLACES[1:] != PLACES[:-1])
    # The blocks change when the square comes, goes or has moved by some: never is a place held that it has left.
    assert 0.2 < found.rate <= 1 - changes
    assert found.accuracy == 1.0 > baselines(found)["random"]


def test_the_decisions_are_written_row_by_row(later, tmp_path):
    out = tmp_path / "decisions.csv"
    found = evaluate_filter(write_repeats(tmp_path / "f.onnx"), later, decisions=out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * INPUTS
    assert rows[0]["decision"] == "keep" and rows[0]["origin"] == "executed"
    assert np.mean([float(row["agreement"]) for row in rows]) == pytest.approx(found.accuracy, abs=1e-4)
    dropped = [row for row in rows if row["decision"] == "drop"]
    assert len(dropped) == pytest.approx(2 * INPUTS * found.rate)
    assert {row["origin"] for row in dropped} == {"reused"}
    assert all((row["served"] == row["true"]) == (row["agreement"] == "1.0000") for row in rows)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_other_models_are_refused(make_trace, tmp_path):
    path = write_frames(tmp_path / "f.onnx")
    with Trace(make_trace(inputs=70, digest="d1")) as other, pytest.raises(InvalidInput, match="their digests differ"):
        evaluate_filter(path, other)


def test_the_command_prints_tables_or_json(make_trace, tmp_path, capsys):
    filter_path, path = write_repeats(tmp_path / "f.onnx"), make_trace(inputs=80)
    evaluate_filter_command(str(filter_path), path, as_json=True)
    assert json.loads(capsys.readouterr().out)["inputs"] == 80
    evaluate_filter_command(str(filter_path), path)
    assert "accuracy contract" in capsys.readouterr().out
