import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.cli import evaluate_links_command, plan_command, train_links_command
from infilink.links.evaluation.evaluate import COLUMNS, evaluate_links
from infilink.links.training.train import LinksTraining
from infilink.traces.trace import Trace

MIB = 2**20


def test_links_beat_what_is_free_on_inputs_they_never_saw(
    training: LinksTraining, later_trace_path: Path, tmp_path: Path
) -> None:
    decisions = tmp_path / "decisions.csv"
    with Trace(later_trace_path) as trace:
        # Room for "vehicles", which tells all of "scene" and of "standing", and for another beside it.
        done = evaluate_links(training.folder, trace, budget_bytes=150 * MIB, decisions=decisions)
        answers = len(trace) * len(trace.models)
    assert (done.inputs, done.left_out) == (150, 0)
    assert "vehicles" in done.plan.resident
    assert all(done.models[name].predicted_agreement == 1.0 for name in ("scene", "standing"))
    assert done.agreement > max(done.baselines.values())
    assert done.skill is not None
    assert done.skill > 0.2
    assert 0.0 < done.executions_saved < 1.0
    assert 0.0 < done.region_share <= 1.0
    assert done.region_coverage is not None
    assert 0.7 < done.region_coverage <= 1.0
    assert done.audited > 0
    with decisions.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == answers
    mean = sum(float(row["agreement"]) for row in rows) / answers
    assert mean == pytest.approx(done.agreement, abs=1e-4)
    assert all((row["decision"] == "run") == (row["origin"] == "executed") for row in rows)
    assert {row["trust"] for row in rows} <= {"exact", "certified", "unsure", "uncalibrated", "revoked"}
    assert all((row["trust"] == "exact") == (row["origin"] == "executed") for row in rows)
    assert not any(row["region"] for row in rows if row["origin"] == "executed")
    assert any(row["region"] for row in rows)
    assert list(tmp_path.iterdir()) == [decisions]


def test_what_is_trusted_stands_on_runs(long_training: LinksTraining, later_trace_path: Path) -> None:
    with Trace(later_trace_path) as trace:
        done = evaluate_links(long_training.folder, trace, budget_bytes=150 * MIB, compute_cores=0.05)
    assert 0.0 < done.trusted_share <= 1.0
    assert done.trusted_agreement is not None and done.trusted_bound is not None
    assert 1.0 - done.trusted_agreement < done.trusted_bound < 1.0
    assert 0 < done.trusted_runs < done.inputs
    assert done.certified_runs["standing"] >= 29 and done.certified_runs["people"] == 0


def test_of_their_own_recording_only_the_unseen_end_counts(training: LinksTraining, trace_path: Path) -> None:
    with Trace(trace_path) as trace:
        done = evaluate_links(training.folder, trace, budget_bytes=100 * MIB)
        (first,) = done.first_sequence.values()
        assert first > 250
        assert done.inputs == len(trace) - first
        assert done.left_out == first
        with pytest.raises(InvalidInput, match="learnt from all"):
            evaluate_links(training.folder, trace.part(0, 100), budget_bytes=100 * MIB)


def test_with_room_for_all_everything_is_executed(training: LinksTraining, later_trace_path: Path) -> None:
    with Trace(later_trace_path) as trace:
        done = evaluate_links(training.folder, trace, budget_bytes=1000 * MIB)
    assert done.agreement == 1.0
    assert done.predicted_agreement is None
    assert done.skill is None
    assert done.executions_saved == 0.0


def test_the_commands_print_one_json_object(
    training: LinksTraining, later_trace_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command(training.folder, "50%", as_json=True)
    plan = json.loads(capsys.readouterr().out)
    assert plan["memory_bytes"] <= plan["budget_bytes"]
    assert plan["expected_agreement"] >= plan["without_links"]
    assert plan["what_if"]
    evaluate_links_command(training.folder, "50%", [later_trace_path], as_json=True)
    done = json.loads(capsys.readouterr().out)
    assert 0.5 < done["agreement"] <= 1.0
    assert done["events"]["scene"]["ways"]["links"]["events"] > 0 and "events: of" in done["verdict"]


def test_the_commands_print_tables(
    training: LinksTraining, later_trace_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command(training.folder, "50%")
    evaluate_links_command(training.folder, "50%", [later_trace_path], out=tmp_path / "page.html")
    out = capsys.readouterr().out
    assert "expected by the plan" in out
    assert "hold + round-robin" in out
    assert "coverage of the regions" in out
    assert "answers audited" in out
    assert "events: of " in " ".join(out.split()) and "round robin" in out
    page = (tmp_path / "page.html").read_text()
    assert "events: of " in page and "every K-th" in page


def test_training_from_the_command_line(
    new_trace: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What never changes needs no network: here only the command counts.
    rows = [{name: np.asarray([2.0], np.float32) for name in ("cars", "seats")}] * 80
    trace = new_trace(tmp_path / "counts.trace", rows, {"cars": {"kind": "count"}, "seats": {"kind": "count"}})
    train_links_command(tmp_path / "links", [trace], as_json=True)
    assert set(json.loads(capsys.readouterr().out)["targets"]) == {"cars", "seats"}
    train_links_command(tmp_path / "links", [trace])
    assert "seats" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["links"]


def test_a_site_of_cameras_shares_memory_and_compute(
    training: LinksTraining, later_trace_path: Path, tmp_path: Path
) -> None:
    decisions = tmp_path / "decisions.csv"
    with Trace(later_trace_path) as one, Trace(later_trace_path) as other:
        cameras = {"door": one.part(0, 60), "yard": other.part(60, 150)}
        full = sum(cost.infer_s for cost in one.info.costs.values()) * 2 * 2.0
        done = evaluate_links(
            training.folder, cameras, budget_bytes=1000 * MIB, compute_cores=0.3 * full, decisions=decisions
        )
    assert done.inputs == 150 and done.cameras.keys() == {"door", "yard"} and not done.known
    assert done.first_sequence == {"door": 0, "yard": 60}
    assert done.spent_s <= 0.5 * done.full_s and done.loads.keys() == one.models.keys()
    assert done.agreement > done.baselines["constant"]
    with decisions.open() as file:
        assert {row["camera"] for row in csv.DictReader(file)} == {"door", "yard"}
