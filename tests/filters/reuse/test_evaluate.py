"""A reuse file over another trace, live, and its commands."""

import json

import pytest
from infilink.errors import InvalidInput
from infilink.filters.reuse.cli import evaluate_reuse_command, train_reuse_command
from infilink.filters.reuse.evaluate import evaluate_reuse
from infilink.traces.trace import Trace


def test_it_answers_on_another_trace_better_than_the_commonest_answer(learnt, write):
    with Trace(write(seed=9, inputs=200)) as other:
        found = evaluate_reuse(learnt.path, other)
    assert found.inputs == 200 and found.rate > 0.3
    assert found.accuracy > 0.85 and found.accuracy_answered is not None
    assert found.accuracy == pytest.approx(1 - found.rate * (1 - found.accuracy_answered))
    assert 0.2 < found.majority_accuracy < 0.5


def test_another_model_is_refused(learnt, write):
    other = learnt.spec.model_copy(update={"digest": "older"})
    with Trace(write(seed=9, inputs=60)) as trace:
        trace.info.digests["h"] = other.digest
        with pytest.raises(InvalidInput, match="another version of h"):
            evaluate_reuse(learnt.path, trace)


def test_the_commands_print_tables_and_json(write, tmp_path, capsys):
    out = tmp_path / "r.onnx"
    train_reuse_command(write(), model="h", modality="signal", out=out, accuracy=0.8)
    shown = capsys.readouterr().out
    assert "the cache, certified" in shown and "majority" in shown
    evaluate_reuse_command(out, write(seed=4, inputs=80), as_json=True)
    assert json.loads(capsys.readouterr().out)["inputs"] == 80
    evaluate_reuse_command(out, write(seed=4, inputs=80))
    assert "answered without the model" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match=r"must end in \.onnx"):
        train_reuse_command(write(), model="h", modality="signal", out=tmp_path / "r.bin")
