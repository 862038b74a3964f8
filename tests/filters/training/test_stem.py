"""Filters with a stem beside what is there without: several tasks on one stem, few labelled inputs, events."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.cli import print_training, train_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.event_selection import EventTarget
from infilink.filters.training.stem_events import There
from infilink.filters.training.train_events import train_event_filter
from infilink.filters.training.train_tasks import parse_tasks, train_tasks
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace, TraceWriter
from rich.console import Console

from ..conftest import train, write_trace
from ..stems import write_stem

TASKS = ("squares: value < 1", "scene: label not in (left)")


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


def test_it_is_tried_first_and_fifty_labelled_inputs_do(stem, tmp_path):
    few = tmp_path / "few.trace"
    with (
        Trace(write_trace(tmp_path / "all.trace", inputs=500, seed=4)) as whole,
        TraceWriter(few, whole.info) as writer,
    ):
        said = {model: whole.outputs(model) for model in whole.models}
        for i, payload in enumerate(whole.payloads()):
            if i % 10 == 0:
                writer.append(i, float(whole.captured_s[i]), payload, {model: each[i] for model, each in said.items()})
    done = train(
        few,
        tmp_path / "f.onnx",
        "value < 1",
        models=("squares",),
        candidates=("stem",),
        stem=stem,
    )
    assert done.spec.kind == "stem" and not done.spec.certificate.certified
    with Trace(write_trace(tmp_path / "later.trace", inputs=120, seed=5)) as later:
        found = evaluate_filter(done.path, later)
    assert found.accuracy >= 0.85 and (found.skill or 0.0) >= 0.75


def test_a_stem_beside_the_trace_is_found(stem, short_trace_path, tmp_path, capsys):
    trace = tmp_path / "drawn.trace"
    trace.write_bytes(short_trace_path.read_bytes())
    options = {"rule": "value < 1", "out": tmp_path / "f.onnx", "model": ["squares"], "accuracy": 0.8}
    options |= {"uncertified": True, "candidate": ["stem"]}
    with pytest.raises(InvalidInput, match="give one with --stem"):
        train_filter_command(traces=[trace], **options)
    (tmp_path / "stem.onnx").write_bytes(stem.path.read_bytes())
    train_filter_command(traces=[trace], **options, as_json=True)
    assert json.loads(capsys.readouterr().out)["spec"]["stem"]["digest"] == stem.digest


def test_several_tasks_are_heads_on_one_stem(stem, trace, tmp_path):
    rules = parse_tasks(TASKS)
    done = train_tasks(trace, rules=rules, accuracy=0.8, out=tmp_path / "t.onnx", stem=stem, uncertified=True)
    assert [task.kind for task in done.spec.tasks] == ["stem", "stem"] and not done.curve
    gate = open_gate(done.path)
    decision = gate.decide(next(trace.frames()), 0.0)
    assert decision.features == pytest.approx(stem.see(next(trace.frames())).features, abs=1e-5)
    for model in ("squares", "scene"):
        assert evaluate_filter(f"{done.path}#{model}", trace).accuracy >= 0.75


@pytest.mark.parametrize("name", ["stem-blend", "stem-flip", "stem-kept"])
def test_events_are_found_within_a_budget_that_is_held(name, stem, trace, tmp_path, capsys):
    target = EventTarget(0.0, budget=0.2, window_s=4.0)
    out = tmp_path / "f.onnx"
    done = train_event_filter(
        trace, models=("squares",), rule=parse_rule("value < 1"), target=target, out=out, candidates=(name,), stem=stem
    )
    spec = done.spec
    assert spec.kind == name and spec.budget is not None and spec.events is not None
    assert spec.budget.share == 0.2 and spec.budget.reserve == pytest.approx(8.0)
    assert spec.events.found >= 0.8 * spec.events.events
    print_training(done, Console(width=200))
    assert "0.2 of the inputs are sent, and in no stretch more than 8 beyond" in " ".join(
        capsys.readouterr().out.split()
    )
    gate = FilterRuntime(out)
    sent = [gate.decide(frame, float(at)).keep for frame, at in zip(trace.frames(), trace.captured_s, strict=True)]
    assert np.mean(sent) <= 0.2 + 8.0 / len(trace)


def test_a_budget_must_be_a_share(stem, trace, tmp_path):
    for target, says in (
        (EventTarget(0.0, budget=1.5), "a budget must be above 0 and below 1, not 1.5"),
        (EventTarget(0.0, budget=0.1, window_s=0.0), "window must be above 0 s"),
        (EventTarget(0.0), "event recall must be above 0"),
    ):
        with pytest.raises(InvalidInput, match=says):
            train_event_filter(
                trace, models=("squares",), rule=parse_rule("value < 1"), target=target, out=tmp_path / "f.onnx"
            )


def test_the_least_of_any_stretch():
    random = np.random.default_rng(0)
    values = random.random((2, 37))
    there = There(values)
    for kept in range(36):
        for current in range(kept + 1, 37):
            found = there.least(np.asarray([kept]), np.asarray([current]))[:, 0]
            assert np.array_equal(found, values[:, kept:current].min(axis=1))
    seen = There(np.asarray([[1, 0, 1, 1]]))
    assert seen.news(np.asarray([0, 2]), np.asarray([2, 3])).tolist() == [1.0, 0.0]


def test_what_is_asked_of_events_by_the_command_must_fit_together(short_trace_path, tmp_path):
    options = {"rule": "value < 1", "out": tmp_path / "f.onnx", "model": ["squares"]}
    for given, says in (
        ({"window": "5m"}, "give --budget SHARE, too"),
        ({"within": "2s"}, "--event-recall SHARE or --budget SHARE"),
        ({"budget": 0.1, "accuracy": 0.9}, "--budget asks for events"),
    ):
        with pytest.raises(InvalidInput, match=says):
            train_filter_command(traces=[short_trace_path], **options, **given)
