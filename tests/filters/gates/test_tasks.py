"""One filter for several models: each keeps its own promise, and an input is kept if any needs it."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.cli import train_tasks_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.gates.base import Substitute
from infilink.filters.gates.tasks import TasksRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.training.train_tasks import parse_tasks, train_tasks
from infilink.outputs import OutputSpec

from ..conftest import SPECS, draw
from ..made import ERROR, write_tasks

TASKS = ("squares: value < 1", "scene: label not in (left)")


@pytest.fixture(scope="module")
def tasks_filter(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks") / "tasks.onnx")


def test_each_task_is_judged_by_its_own_scores(tasks_filter, trace):
    places = [int(output.argmax()) for output in trace.outputs("scene")]
    for model, redundant in (("squares", places.count(0)), ("scene", len(places) - places.count(1))):
        found = evaluate_filter(f"{tasks_filter}#{model}", trace)
        assert found.models == (model,) and found.accuracy == 1.0
        assert found.rate == pytest.approx(redundant / len(places))


def test_an_input_is_kept_if_any_model_needs_it(tasks_filter):
    gate = open_gate(tasks_filter)
    assert isinstance(gate, TasksRuntime) and gate.spec.models == ("squares", "scene")
    answered = {0: ["squares", "scene"], 1: [], 2: ["scene"]}
    for frame, place in zip(*draw(60, seed=1), strict=True):
        decision = gate.decide(frame, 0.0)
        assert list(decision.answers) == answered[place]
        assert decision.keep == (place > 0)


def test_what_is_not_kept_is_answered_model_by_model(tasks_filter):
    gate = open_gate(tasks_filter)
    scene = gate.substitute("scene", SPECS["scene"].output)
    assert (scene.origin, scene.confidence, scene.trusted) == ("skipped", 1.0 - ERROR, True)
    assert scene.value is not None and scene.value.tolist() == [1.0, 0.0, 0.0]
    squares = gate.substitute("squares", OutputSpec(kind="count"))
    assert squares.value is not None and squares.value.tolist() == [0.0]
    assert gate.substitute("other", OutputSpec(kind="count")) == Substitute()


def test_an_input_that_it_fails_on_is_kept_for_every_model(tasks_filter):
    gate = open_gate(tasks_filter)
    decision = gate.decide(np.zeros((3, 3), np.float64), 0.0)
    assert decision.keep and not decision.answers


def test_a_task_must_be_named_and_be_there(tasks_filter):
    with pytest.raises(InvalidInput, match=r"tasks\.onnx#squares, tasks\.onnx#scene"):
        open_gate(f"{tasks_filter}#cars")


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


def test_the_command_trains_one_file_for_all_models_and_prints_json(trace_path, tmp_path, capsys):
    out = tmp_path / "f.onnx"
    train_tasks_command(trace_path, task=list(TASKS), out=out, accuracy=0.8, int8=True, uncertified=True, as_json=True)
    tasks = json.loads(capsys.readouterr().out)["spec"]["tasks"]
    assert [task["models"] for task in tasks] == [{"squares": "d0"}, {"scene": "d0"}]
    assert [task["rule"] for task in tasks] == ["value < 1", "label not in (left)"]
    assert all(task["certificate"]["error"] <= 0.2 for task in tasks)
    assert out.stat().st_size < 80_000
    gate = open_gate(out)
    assert isinstance(gate, TasksRuntime) and gate.spec.models == ("squares", "scene")
    assert np.isfinite(gate.decide(draw(1, seed=0)[0][0], 0.0).score)
