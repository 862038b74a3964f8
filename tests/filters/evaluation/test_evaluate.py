"""Judging a gate on a trace: of filters that are made, all that is said follows from where the square is."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.cli import evaluate_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.spec import FloorResult
from infilink.filters.training.free_gates import LAST_KEPT, PREVIOUS
from infilink.traces.trace import Trace

from ...certificates import event_promise
from .. import arrays
from ..conftest import draw, write_trace
from ..made import FRAMES, write_frames, write_repeats, write_tasks

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


def test_keeping_everything_is_always_right_and_never_late(later):
    found = evaluate_filter("all", later)
    assert (found.rate, found.accuracy, found.accuracy_skipped) == (0.0, 1.0, None)
    assert found.skill is None and found.contract == "none" and found.ahead == ()
    assert found.events.recall == 1.0 and found.events.delay_p95_s == 0.0


def test_every_third_is_judged_by_what_it_repeats(later):
    found = evaluate_filter("every:3", later)
    right = np.mean([PLACES[i] == PLACES[i - i % 3] for i in range(INPUTS)])
    assert found.rate == pytest.approx(2 / 3)
    assert found.per_model["scene"] == pytest.approx(right)
    assert baselines(found)["every K-th"] == pytest.approx(found.accuracy)


@pytest.mark.parametrize("kind", ["audio", "signal", "text"])
def test_free_gates_are_judged_on_inputs_that_are_no_pictures(tmp_path, kind):
    with arrays.write(tmp_path / "a.trace", kind, inputs=60, seed=0) as trace:
        found = evaluate_filter("every:3", trace)
        assert found.rate == pytest.approx(2 / 3) and set(baselines(found)) == {"random", "every K-th", "constant"}
        assert baselines(found)["every K-th"] == pytest.approx(found.accuracy)
        with pytest.raises(InvalidInput, match=r"compares pictures, and .* holds none: use every:K"):
            evaluate_filter("difference:0.1", trace)


def test_free_gates_send_as_much_as_the_filter(later, tmp_path):
    found = evaluate_filter(write_frames(tmp_path / "f.onnx"), later)
    for each in found.baselines[:-1]:
        # In closed loop not every number of frames has a threshold; rather some more are sent.
        few = 0.03 if each.name == LAST_KEPT else 0.0
        assert found.rate - few - 1e-9 <= each.rate <= found.rate + 1e-9, each.name
    assert set(baselines(found)) == {"random", "every K-th", LAST_KEPT, PREVIOUS, "background", "constant"}


def test_a_filter_that_drops_what_is_redundant_and_no_more_knows_all_there_is_to_know(later, tmp_path):
    found = evaluate_filter(write_frames(tmp_path / "f.onnx"), later)
    dropped = (NOWHERE * INPUTS - (PLACES[0] == 0)) / INPUTS
    assert found.models == ("squares",) and found.rate == pytest.approx(dropped)
    assert (found.accuracy, found.accuracy_skipped) == (1.0, 1.0)
    # How few runs some seconds are is the evidence's to say.
    assert found.contract in ("kept", "not proven") and "on" in found.promises[0].text
    assert found.promised == 0.9 and found.certified
    assert found.skill == pytest.approx(1.0, abs=0.01)
    assert baselines(found)["random"] == pytest.approx(1 - found.rate * (1 - NOWHERE), abs=0.05)
    assert baselines(found)["constant"] == pytest.approx(NOWHERE, abs=0.01)
    assert found.events.recall == 1.0 and found.events.delay_p95_s == found.events.false_minutes == 0.0


def test_a_filter_that_drops_what_is_needed_breaks_its_contract(later, tmp_path):
    path = write_frames(tmp_path / "f.onnx", rule="label in (left)", models={"scene": "d0"}, answers={"scene": "left"})
    found = evaluate_filter(path, later)
    # None of what it drops was on the left.
    assert found.accuracy == pytest.approx(1.0 - found.rate) and found.accuracy_skipped == 0.0
    assert found.contract == "broken" and found.skill is not None and -1.0 <= found.skill < 0.0
    # Whoever sends as much and looks at nothing is right more often.
    assert "every K-th" in found.ahead


def test_what_repeats_the_last_kept_frame_is_judged_against_its_answer(later, tmp_path):
    found = evaluate_filter(write_repeats(tmp_path / "f.onnx"), later)
    changes = np.mean(PLACES[1:] != PLACES[:-1])
    # The blocks change when the square comes, goes or has moved by some: never is a place held that it has left.
    assert 0.2 < found.rate <= 1 - changes
    assert found.accuracy == 1.0 > baselines(found)["random"]
    # Per model and class: "something" of the one that counts, three places of the other.
    assert set(found.by_thing) == {"scene: nothing", "scene: left", "scene: right", "squares: something"}


def test_a_missed_visit_is_never_found(later, tmp_path):
    found = evaluate_filter("first", later)
    assert found.events.found < found.events.events and math.isinf(found.events.delay_p95_s)


def test_a_few_inputs_prove_nothing(tmp_path):
    with Trace(write_trace(tmp_path / "t", inputs=20, seed=SEED)) as short:
        found = evaluate_filter(write_frames(tmp_path / "f.onnx"), short)
    assert found.accuracy == 1.0 and found.contract == "not proven"
    assert "only: not proven" in found.promises[0].text


def test_kept_means_all_that_is_promised(make_trace, tmp_path):
    floor = FloorResult(name="recall of right", least=0.9, inputs=100, accuracy=0.95, lower_bound=0.91)
    path = write_frames(
        tmp_path / "f.onnx",
        rule="label in (nothing)",
        models={"scene": "d0"},
        answers={"scene": "nothing"},
        floors=(floor,),
        # No pixel is brighter: all but the first input are dropped.
        threshold=0.95,
    )
    said = [2 * (i % 50 in (20, 21)) for i in range(400)]
    with Trace(make_trace(inputs=400, said=said, still=True)) as trace:
        found = evaluate_filter(path, trace)
    accuracy, recall = found.promises
    assert accuracy.found == pytest.approx(0.96) and accuracy.verdict in ("kept", "not proven")
    assert (recall.name, recall.found, recall.verdict) == ("recall of right", 0.0, "broken")
    assert found.contract == "broken"


def test_what_is_promised_of_a_class_that_is_not_here_is_undecided(later, tmp_path):
    floor = FloorResult(name="recall of zebra", least=0.9, inputs=100, accuracy=0.95, lower_bound=0.91)
    found = evaluate_filter(write_frames(tmp_path / "f.onnx", floors=(floor,)), later)
    assert found.promises[1].found is None and found.contract == "undecided"


def test_the_trace_that_it_was_learnt_from_is_told(later, tmp_path):
    spec = {"learnt_from": LearntFrom.of(later)}
    with Trace(later.path) as again:
        found = evaluate_filter(write_frames(tmp_path / "f.onnx", **spec), again)
    assert any("learnt from this trace" in warning for warning in found.warnings)


def test_a_share_far_from_the_calibrated_one_is_told(later, tmp_path):
    low = FRAMES.certificate.model_copy(update={"rate": 0.05, "rate_interval": (0.02, 0.1)})
    found = evaluate_filter(write_frames(tmp_path / "f.onnx", certificate=low), later)
    assert any("2% to 10% when it was calibrated" in warning for warning in found.warnings)
    assert evaluate_filter(write_frames(tmp_path / "g.onnx"), later).warnings == ()


def test_invented_times_are_told(later_path, tmp_path):
    with Trace(later_path) as trace:
        trace.info = replace(trace.info, times="invented")
        found = evaluate_filter(write_frames(tmp_path / "f.onnx"), trace)
    assert any("are invented" in warning for warning in found.warnings)


def test_the_free_gate_has_its_threshold_from_what_the_filter_was_learnt_from(later, make_trace, tmp_path):
    known = evaluate_filter(write_frames(tmp_path / "f.onnx", free={"difference": 0.5}), later)
    fitted = next(each for each in known.baselines if each.name == "difference:0.5")
    assert fitted.rate == pytest.approx(1 - 1 / INPUTS) and "learnt from" in fitted.note
    with Trace(make_trace(inputs=80)) as earlier:
        found = evaluate_filter(write_frames(tmp_path / "f.onnx"), later, trained_on=earlier)
    assert any(each.name.startswith("difference:") for each in found.baselines)


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


def test_what_answers_in_another_way_is_judged_elsewhere(later, tmp_path):
    with pytest.raises(InvalidInput, match=r"one at a time: .*#squares"):
        evaluate_filter(write_tasks(tmp_path / "both.onnx"), later)


def test_the_command_prints_tables_a_page_or_json(make_trace, tmp_path, capsys):
    filter_path, path = write_repeats(tmp_path / "f.onnx"), make_trace(inputs=80)
    evaluate_filter_command(str(filter_path), path, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["inputs"] == 80 and said["events"]["by_length"] and said["promises"][0]["unit"] == "runs"
    page = tmp_path / "page.html"
    evaluate_filter_command(str(filter_path), path, report=page)
    shown = capsys.readouterr().out
    assert "accuracy contract" in shown and LAST_KEPT in shown
    assert LAST_KEPT in page.read_text() and "accuracy contract" in page.read_text()


def test_what_never_came_is_null_in_json(make_trace, capsys):
    evaluate_filter_command("first", make_trace(inputs=80), as_json=True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["events"]["delay_p95_s"] is None


def test_what_is_promised_of_events_is_judged_by_the_inputs_that_are_sent(later, tmp_path):
    promise = event_promise(agreement=0.99)
    found = evaluate_filter(write_frames(tmp_path / "f.onnx", events=promise), later)
    # It promises events, so of its accuracy nothing.
    (events,) = found.promises
    assert (events.name, events.found, events.unit) == ("events sent within 2 s", 1.0, "events")
    assert events.verdict == found.contract == "not proven" and events.worth < 29
    # Brighter than .95 is nothing: but for the first input nothing is sent.
    missing = evaluate_filter(write_frames(tmp_path / "g.onnx", events=promise, threshold=0.95), later)
    assert missing.promises[0].found < 0.9 and missing.contract in ("undecided", "broken")
