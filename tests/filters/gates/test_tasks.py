"""One filter for several models: each keeps its own promise, and an input is kept if any needs it."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.cli import train_tasks_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.gates.tasks import TasksRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.training.train_tasks import parse_tasks, train_tasks
from infilink.traces.trace import Trace

TASKS = ("squares: value < 1", "scene: label not in (left)")


@pytest.fixture(scope="module")
def tasks_filter(trace_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("tasks") / "tasks.onnx"
    with Trace(trace_path) as trace:
        return train_tasks(trace, rules=parse_tasks(TASKS), accuracy=0.8, out=out)


def test_each_task_keeps_its_own_promise_on_another_trace(tasks_filter, make_trace):
    with Trace(make_trace(seed=5)) as other:
        for model in ("squares", "scene"):
            found = evaluate_filter(f"{tasks_filter.path}#{model}", other)
            assert found.models == (model,) and found.rate > 0.15
            assert found.accuracy > 0.75


def test_an_input_is_kept_if_any_model_needs_it(tasks_filter, trace_path):
    gate = open_gate(tasks_filter.path)
    assert isinstance(gate, TasksRuntime) and gate.spec.models == ("squares", "scene")
    each = [open_gate(f"{tasks_filter.path}#{model}") for model in gate.spec.models]
    seen = set()
    with Trace(trace_path) as trace:
        for frame in trace.frames():
            decision = gate.decide(frame, 0.0)
            alone = tuple(
                model for model, one in zip(gate.spec.models, each, strict=True) if one.decide(frame, 0.0).keep
            )
            assert tuple(decision.answers) == tuple(model for model in gate.spec.models if model not in alone)
            assert decision.keep == bool(alone)
            seen.add(alone)
    assert () in seen and len(seen) >= 3


def test_what_is_not_kept_is_answered_model_by_model(tasks_filter, trace_path):
    gate = open_gate(tasks_filter.path)
    with Trace(trace_path) as trace:
        unsent = gate.substitute("scene", trace.models["scene"].output)
        assert unsent.origin == "skipped" and unsent.value is not None and unsent.value.argmax() in (0, 2)
        assert 0.7 < unsent.confidence <= 1.0
        assert gate.substitute("other", trace.models["scene"].output).confidence == 0.0


def test_an_input_that_it_fails_on_is_kept_for_every_model(tasks_filter):
    gate = open_gate(tasks_filter.path)
    decision = gate.decide(np.zeros((3, 3), np.float64), 0.0)
    assert decision.keep and not decision.answers


def test_a_task_must_be_named_and_be_there(tasks_filter):
    with pytest.raises(InvalidInput, match=r"tasks\.onnx#squares, tasks\.onnx#scene"):
        open_gate(f"{tasks_filter.path}#cars")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("squares: value < 1",), "1 task: a filter for one model is `infilink train filter`"),
        (("squares: unchanged", "scene: label in (left)"), "give rules on one input's output"),
        (("squares value < 1", "scene: label in (left)"), "the form is MODEL: RULE"),
        (("squares: value < 1", "squares: value < 2"), "each model once"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(texts, says, trace, tmp_path):
    with pytest.raises(InvalidInput, match=says):
        train_tasks(trace, rules=parse_tasks(texts), accuracy=0.8, out=tmp_path / "f.onnx")


def test_the_command_prints_json(trace_path, tmp_path, capsys):
    train_tasks_command(trace_path, task=list(TASKS), out=tmp_path / "f.onnx", accuracy=0.8, int8=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [task["models"] for task in found["spec"]["tasks"]] == [{"squares": "d0"}, {"scene": "d0"}]
    assert (tmp_path / "f.onnx").stat().st_size < 80_000
