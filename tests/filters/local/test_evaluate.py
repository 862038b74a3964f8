"""Light answers judged on another trace, and their commands."""

import csv
import json

import pytest
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.evaluation.cli import evaluate_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.local.cli import train_heads_command
from infilink.filters.local.evaluate import evaluate_heads
from infilink.filters.local.gate import LocalGate
from infilink.traces.trace import Trace

from ..conftest import write_trace
from .mixed import write_mixed


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return write_mixed(tmp_path_factory.mktemp("other") / "other.trace", inputs=120, seed=3)


def test_it_is_ahead_of_what_holds_the_last_answer(learnt, other, tmp_path):
    with Trace(other) as trace:
        found = evaluate_heads(LocalGate(learnt.path), trace, decisions=tmp_path / "d.csv")
    assert found.models == ("squares",) and found.certified and found.promised == 0.9
    assert found.rate > 0.8 and found.accuracy > 0.9 and found.skill is not None
    held = next(each for each in found.baselines if each.name == "every K-th")
    assert held.accuracy < found.accuracy - 0.1
    assert [each.name for each in found.promises] == ["agreement with squares"]
    assert found.accuracy_skipped == pytest.approx(1 - (1 - found.accuracy) / found.rate)
    with (tmp_path / "d.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120 and sum(row["origin"] == "local" for row in rows) == round(120 * found.rate)
    assert sum(float(row["agreement"]) for row in rows) == pytest.approx(120 * found.accuracy, abs=0.1)


def test_a_trace_of_other_models_is_refused(learnt, tmp_path):
    path = write_trace(tmp_path / "newer.trace", inputs=60, digest="d1")
    with Trace(path) as trace, pytest.raises(InvalidInput, match="other versions of squares"):
        evaluate_heads(LocalGate(learnt.path), trace)
    with Trace(path) as trace, pytest.raises(InvalidInput, match="holds heads: judge it with"):
        evaluate_filter(LocalGate(learnt.path), trace)


def test_the_commands(mixed_path, stem_path, other, tmp_path, capsys):
    out = tmp_path / "heads.onnx"
    train_heads_command(mixed_path, out, stem=stem_path, accuracy=0.9)
    said = capsys.readouterr().out
    assert "never" in said and "asked of the coordinator on every input" in said
    evaluate_filter_command(str(out), other, report=tmp_path / "page.html", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["rule"] == "light answers" and found["contract"] in ("kept", "not proven")
    assert "light answers" in (tmp_path / "page.html").read_text()
    with pytest.raises(InvalidInput, match="there is no stem beside the trace: make one"):
        train_heads_command(mixed_path, out)
    with pytest.raises(InvalidInput, match=r"ends in \.onnx"):
        train_heads_command(mixed_path, tmp_path / "heads.npz", stem=stem_path)
    with pytest.raises(NotCertified):
        train_heads_command(mixed_path, out, stem=stem_path, model=["scene"], accuracy=0.9)
