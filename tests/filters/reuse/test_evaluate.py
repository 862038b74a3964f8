"""A reuse file over another trace, live, and its commands."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.modalities import fit_modality
from infilink.filters.reuse.cli import evaluate_reuse_command, train_reuse_command
from infilink.filters.reuse.evaluate import evaluate_reuse
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..made import write_reuse
from .conftest import CLASSES


@pytest.fixture(scope="module")
def path(write, tmp_path_factory):
    """A file that tells the labels of `level` signals by their level."""
    with Trace(write("level", inputs=40)) as trace:
        modality = fit_modality("signal", list(trace.inputs()))
    return write_reuse(tmp_path_factory.mktemp("made") / "r.onnx", modality, OutputSpec(kind="label", classes=CLASSES))


def test_it_answers_all_but_the_first_of_each_result(path, write):
    with Trace(write("level", seed=9, inputs=200)) as other:
        found = evaluate_reuse(path, other)
        labels = np.bincount([int(output.argmax()) for output in other.outputs("h")])
    assert (found.inputs, found.rate, found.promised) == (200, 196 / 200, 0.9)
    assert (found.accuracy, found.accuracy_answered) == (1.0, 1.0)
    assert found.majority_accuracy == pytest.approx(labels.max() / 200)
    (promise,) = found.promises
    assert found.certified and (promise.name, promise.asked, promise.found) == ("accuracy", 0.9, 1.0)
    # The labels are drawn one by one: each input is a run of its own.
    assert promise.verdict == found.contract == "kept" and promise.worth > 50


def test_the_trace_that_it_was_learnt_from_is_told(write, tmp_path):
    with Trace(write("level", seed=9, inputs=60)) as trace:
        modality = fit_modality("signal", list(trace.inputs()))
        label = OutputSpec(kind="label", classes=CLASSES)
        path = write_reuse(tmp_path / "r.onnx", modality, label, learnt_from=LearntFrom.of(trace))
        assert "learnt from this trace" in evaluate_reuse(path, trace).warnings[0]


def test_wrong_answers_count_where_it_answered(write, tmp_path):
    with Trace(write("level", seed=9, inputs=200)) as other:
        modality = fit_modality("signal", list(other.inputs()))
        label = OutputSpec(kind="label", classes=CLASSES)
        # So far away is near that every input is answered by the first one's result.
        found = evaluate_reuse(write_reuse(tmp_path / "r.onnx", modality, label, gate=1e3, theta=0.0), other)
        first, *rest = (int(output.argmax()) for output in other.outputs("h"))
    right = rest.count(first)
    assert found.rate == 199 / 200 and found.contract == "broken"
    assert found.accuracy == pytest.approx((1 + right) / 200)
    assert found.accuracy_answered == pytest.approx(right / 199)


def test_another_version_of_the_model_is_refused(path, write):
    with Trace(write("level", seed=9, inputs=60)) as trace:
        trace.info.digests["h"] = "older"
        with pytest.raises(InvalidInput, match="another version of h"):
            evaluate_reuse(path, trace)


def test_the_commands_print_tables_and_json(path, write, tmp_path, capsys):
    out = tmp_path / "r.onnx"
    train_reuse_command(write("text", inputs=110), model="h", modality="text", out=out, accuracy=0.8)
    shown = capsys.readouterr().out
    assert "the cache, certified" in shown and "majority" in shown
    other = write("level", seed=4, inputs=80)
    evaluate_reuse_command(path, other, as_json=True)
    assert json.loads(capsys.readouterr().out)["inputs"] == 80
    evaluate_reuse_command(path, other)
    assert "answered without the model" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match=r"ends in \.onnx"):
        train_reuse_command(other, model="h", modality="signal", out=tmp_path / "r.bin")
