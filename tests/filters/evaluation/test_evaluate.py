import csv
import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.cli import evaluate_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.traces.trace import Trace


@pytest.fixture
def later(make_trace):
    with Trace(make_trace(inputs=150, seed=5)) as opened:
        yield opened


def baselines(found) -> dict[str, float]:
    return {baseline.name: baseline.accuracy for baseline in found.baselines}


def test_keeping_everything_is_always_right(later):
    found = evaluate_filter("all", later)
    assert (found.rate, found.accuracy, found.accuracy_skipped) == (0.0, 1.0, None)
    assert found.skill is None and found.contract == "none"


def test_every_third_is_judged_by_what_it_repeats(later):
    found = evaluate_filter("every:3", later)
    scene = [int(np.argmax(output)) for output in later.outputs("scene")]
    right = np.mean([scene[i] == scene[i - i % 3] for i in range(len(scene))])
    assert found.rate == pytest.approx(2 / 3, abs=0.01)
    assert found.per_model["scene"] == pytest.approx(right)
    assert baselines(found)["every K-th"] == pytest.approx(found.accuracy, abs=1e-6)


def test_a_skip_filter_on_another_trace(skip_filter, later):
    found = evaluate_filter(skip_filter.path, later)
    assert found.models == ("squares",)
    assert found.accuracy >= 0.7
    assert found.accuracy > baselines(found)["random"] + 0.05
    assert set(baselines(found)) == {"random", "every K-th", "difference", "background", "constant"}
    assert found.promised == 0.8 and found.contract in ("kept", "broken")
    assert found.skill is None or found.skill > 0.3


def test_a_reuse_filter_beats_dropping_at_random(reuse_filter, later):
    found = evaluate_filter(reuse_filter.path, later)
    assert found.rate > 0.2
    assert found.accuracy > baselines(found)["random"]


def test_the_decisions_are_written_row_by_row(reuse_filter, later, tmp_path):
    out = tmp_path / "decisions.csv"
    found = evaluate_filter(reuse_filter.path, later, decisions=out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(later)
    assert rows[0]["decision"] == "keep" and rows[0]["origin"] == "executed"
    assert np.mean([float(row["agreement"]) for row in rows]) == pytest.approx(found.accuracy, abs=1e-4)
    dropped = [row for row in rows if row["decision"] == "drop"]
    assert {row["origin"] for row in dropped} == {"reused"}
    assert all((row["served"] == row["true"]) == (row["agreement"] == "1.0000") for row in rows)


def test_other_models_are_refused(skip_filter, make_trace):
    with Trace(make_trace(inputs=70, digest="d1")) as other, pytest.raises(InvalidInput, match="their digests differ"):
        evaluate_filter(skip_filter.path, other)


def test_the_command_prints_tables_or_json(reuse_filter, make_trace, capsys):
    path = make_trace(inputs=80)
    evaluate_filter_command(str(reuse_filter.path), path, as_json=True)
    assert json.loads(capsys.readouterr().out)["inputs"] == 80
    evaluate_filter_command(str(reuse_filter.path), path)
    assert "accuracy contract" in capsys.readouterr().out
