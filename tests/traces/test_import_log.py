"""Logged outputs as a trace: what is written, what is refused, and what is learnt from it."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput, UnknownModel
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.links.training.samples import Samples
from infilink.models.cost import ModelCost
from infilink.models.spec import digest
from infilink.traces.import_log import ASSUMED_COST, LoggedModels, import_outputs
from infilink.traces.log_table import Logged
from infilink.traces.trace import Trace

COUNT = {"output": {"kind": "count"}}
MODELS = LoggedModels.of({"a": COUNT, "b": COUNT})


def logged(a: list[Any], b: list[Any], captured_s: list[float] | None = None) -> Logged:
    return Logged("log.csv", captured_s or [0.5 * i for i in range(len(a))], {"a": a, "b": b})


def test_outputs_become_a_trace_that_links_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, 80).tolist()
    done = import_outputs(logged(values, [value + 1 for value in values]), MODELS, tmp_path / "a.trace")
    assert (done.inputs, done.dropped, done.constant, done.assumed) == (80, 0, (), ("a", "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.trace"]
    with Trace(tmp_path / "a.trace") as trace:
        assert (trace.info.input, trace.info.fps, trace.info.source) == ("none", 2.0, "log.csv")
        assert trace.info.costs["a"] == ASSUMED_COST
        assert trace.info.notes == {"costs assumed": "a, b"}
        assert list(trace.payloads()) == [b""] * 80
        assert [float(value[0]) for value in trace.part(3, 6).outputs("a")] == values[3:6]
        assert len(Samples.read(trace)) == 80


def test_a_filter_can_not_learn_from_outputs_alone(tmp_path: Path) -> None:
    values = [i // 7 % 2 for i in range(120)]
    import_outputs(logged(values, values), MODELS, tmp_path / "a.trace")
    with Trace(tmp_path / "a.trace") as trace:
        for rule in ("value <= 0", "unchanged"):
            with pytest.raises(InvalidInput, match="holds outputs only: links learn from it, filters need the inputs"):
                train_filter(trace, models=["a"], rule=parse_rule(rule), accuracy=0.9, out=tmp_path / "f.onnx")
        for read in (trace.inputs, trace.frames):
            with pytest.raises(InvalidInput, match="holds outputs only"):
                next(read())


def test_inputs_that_were_logged_are_kept(tmp_path: Path) -> None:
    frames = [np.full((8, 8, 3), 40 * i, np.uint8) for i in range(3)]
    sounds = [np.full(16, i, np.int16) for i in range(3)]
    for kind, inputs in (("image", frames), ("array", sounds)):
        rows = Logged("x", [0.0, 1.0, 2.0], {"a": [1, 2, 3], "b": [1, 2, 3]}, inputs)
        import_outputs(rows, MODELS, tmp_path / kind)
        with Trace(tmp_path / kind) as trace:
            assert trace.info.input == kind
            assert [round(float(each.mean())) for each in trace.inputs()] == [round(float(i.mean())) for i in inputs]


@pytest.mark.parametrize("nothing", [None, "NA", "null", float("nan"), np.asarray([np.nan])])
def test_whatever_stands_for_nothing_is_counted_as_such(tmp_path: Path, nothing: object) -> None:
    done = import_outputs(logged([1, nothing, 3], [1, 2, 3]), MODELS, tmp_path / "a.trace", missing="drop")
    assert (done.inputs, done.dropped) == (2, 1)


def test_rows_that_lack_an_output_are_named_or_left_out(tmp_path: Path) -> None:
    rows = logged([1, None, 3, "", 5], [1, 2, 3, 4, 5])
    complaint = r"model 'a' has no output in 2 of 5 rows \(row 1, row 3\); leave such rows out with --missing drop \(3"
    with pytest.raises(InvalidInput, match=complaint):
        import_outputs(rows, MODELS, tmp_path / "a.trace")
    assert list(tmp_path.iterdir()) == []
    done = import_outputs(rows, MODELS, tmp_path / "a.trace", missing="drop")
    assert (done.inputs, done.dropped) == (3, 2)
    with Trace(tmp_path / "a.trace") as trace:
        assert trace.sequences.tolist() == [0, 2, 4]
        assert trace.captured_s.tolist() == [0.0, 1.0, 2.0]
        assert [float(value[0]) for value in trace.outputs("b")] == [1, 3, 5]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (logged([1, 2], [1]), "b has 1 rows and captured_s has 2: they are not of the same inputs"),
        (logged([1, None], [None, 1]), "no row has an output of every model"),
        (
            logged([1, 2, 3], [1, 2, 3], [0.0, 2.0, 1.0]),
            "row 2 has time 1 s, which does not come after the 2 s of row 1",
        ),
        (logged([1, 2], [1, 2], [1.0, 1.0]), "row 1 has the time of row 0, 1 s: one row an input"),
        (
            logged([1, 2, 3], [1, 2, 3], [1793000000.0, 1793000060.0, 1793000000.0]),
            "2026-10-26 .*:20.000 UTC, which does not come after the 2026-10-26 .*:20.000 UTC of row 1: sort the log",
        ),
        (
            logged([1, 2, 3], [1, 2, 3], [1793000000.0, 1793000060.0, 1792996520.0]),
            "does not come after the .* UTC of row 1: it falls back by about an hour, .*: log UTC, or write the zone",
        ),
        (logged([1, 2, 3], [1, 2, 3], [9000.0, 9060.0, 5460.0]), "5460 s, .* the 9060 s of row 1: sort the log"),
        (logged([1, 2], [1, 2], [1.0, float("nan")]), "row 1: time nan is not finite"),
        (logged([1, np.asarray([np.inf])], [1, 2]), "row 1: a: .*NaN or infinity"),
        (logged([1, "x"], [1, 2]), "row 1: a: 'x' can't be read as a count"),
        (logged([], []), "holds no row"),
        (Logged("x", [0.0], {"a": [1]}), "holds no outputs of model 'b'"),
    ],
)
def test_what_is_not_aligned_or_does_not_fit_is_refused(tmp_path: Path, rows: Logged, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        import_outputs(rows, MODELS, tmp_path / "a.trace")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_never_changes_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        done = import_outputs(logged([2, 2, 2], [1, 2, 3]), MODELS, tmp_path / "a.trace")
    assert done.constant == ("a",)
    assert "model 'a' gives the same output on all 3 inputs: nothing can be learnt of it" in caplog.text


def test_a_trace_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a.trace").write_text("mine")
    with pytest.raises(InvalidInput, match="is there already"):
        import_outputs(logged([1], [1]), MODELS, tmp_path / "a.trace")
    assert (tmp_path / "a.trace").read_text() == "mine"


def test_models_in_python_know_their_names_and_costs() -> None:
    cost = ModelCost(5, 0.1, 0.2)
    models = LoggedModels.of({"b": COUNT, "a": MODELS.models["a"]}, {"a": cost})
    assert (list(models.models), models.costs["a"], models.assumed) == (["a", "b"], cost, ("b",))
    newer = LoggedModels.of({"a": {**COUNT, "version": "2"}})
    assert newer.digests["a"] != models.digests["a"] == MODELS.digests["a"]
    with pytest.raises(UnknownModel, match="'c'"):
        LoggedModels.of({"a": COUNT}, {"c": cost})
    with pytest.raises(InvalidInput, match="given as 'x' is called 'a'"):
        LoggedModels.of({"x": MODELS.models["a"]})
    with pytest.raises(InvalidInput, match=r"output: .*needs `classes`"):
        LoggedModels.of({"x": {"output": {"kind": "label"}}})
    with pytest.raises(InvalidInput, match="no model"):
        LoggedModels.of({})


def test_specs_are_read_with_their_costs_and_the_model_beside(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('output = {kind = "count"}\ncost = {memory = "1.5GiB", infer_s = 0.2}')
    (tmp_path / "b.toml").write_text('output = {kind = "count"}')
    (tmp_path / "b.onnx").write_text("weights")
    models = LoggedModels.read(tmp_path)
    assert models.costs["a"] == ModelCost(3 << 29, 0.2, ASSUMED_COST.load_s)
    assert models.assumed == ("b",)
    assert models.digests["b"] == digest(tmp_path / "b.onnx")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('output = {kind = "count"}\ncost = {memory = "much"}', r"a\.toml: cost: memory 'much': write a size"),
        ('output = {kind = "count"}\ncost = {memory = "40%"}', "must be a size above 0"),
        ('output = {kind = "count"}\ncost = {ram = "1GiB"}', "there is no such key"),
        ('output = {kind = "number"}', r"a\.toml: output\.kind"),
        ("output =", "can't be read as TOML"),
        ('name = "b"\noutput = {kind = "count"}', "another spec is called 'b' too"),
    ],
)
def test_specs_that_are_wrong_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    (tmp_path / "b.toml").write_text('output = {kind = "count"}')
    with pytest.raises(InvalidInput, match=complaint):
        LoggedModels.read(tmp_path)


def test_folders_without_specs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no spec"):
        LoggedModels.read(tmp_path)
    with pytest.raises(InvalidInput, match="no such folder"):
        LoggedModels.read(tmp_path / "specs")


def test_the_command_imports_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text('output = {kind = "count"}')
    (tmp_path / "log.csv").write_text("time,a\n0,1\n1,\n2,2\n")
    words = ["import", str(tmp_path / "log.csv"), "--spec", str(tmp_path), "--missing", "drop", "--out"]
    first = [*words, str(tmp_path / "a.trace")]
    build_app(first)(first, standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "2 inputs of a, 1 rows left out" in said
    assert "add [cost] with memory" in said
    second = [*words, str(tmp_path / "b.trace"), "--json"]
    build_app(second)(second, standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert (told["inputs"], told["dropped"], told["assumed"]) == (2, 1, ["a"])
