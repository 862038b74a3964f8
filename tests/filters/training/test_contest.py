"""Everything that competes, by name, in one table; and the file of whatever wins decides as it was calibrated."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.evaluation.pages import write_training_page
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.contest import ARRAYS, SKIP, UNCHANGED, Contest
from infilink.filters.training.losses import Losses
from infilink.filters.training.train import train_filter
from infilink.filters.training.workload import Workload, read_inputs, split_of
from infilink.traces.trace import Trace

from ..conftest import QUICK
from ..modalities import test_modalities

CHEAP = ("image", "knn", "pixel", "area", "edge", "corner", "background", "difference", "age", "random")


@pytest.fixture(scope="module")
def competed(trace_path, tmp_path_factory):
    with Trace(trace_path) as trace:
        return train_filter(
            trace,
            models=["squares"],
            rule=parse_rule("value < 1"),
            accuracy=0.8,
            out=tmp_path_factory.mktemp("all") / "f.onnx",
            candidates=CHEAP,
        )


def test_all_stand_in_one_table(competed):
    assert set(competed.spec.candidates) == {*CHEAP, "every K-th"}
    assert competed.spec.kind in CHEAP
    assert set(competed.curves) == {"image"}


@pytest.mark.parametrize("name", [*(name for name in CHEAP if name != "age"), "video"])
def test_the_file_of_each_decides_as_it_was_calibrated(name, trace_path, tmp_path):
    out = tmp_path / "f.onnx"
    with Trace(trace_path) as trace:
        done = train_filter(
            trace, models=["squares"], rule=parse_rule("value < 1"), accuracy=0.7, out=out, candidates=[name]
        )
        assert done.spec.kind == name
        gate = open_gate(out)
        split = split_of(trace)
        kept = [gate.decide(frame, float(at)).keep for frame, at in zip(trace.frames(), trace.captured_s, strict=True)][
            split.calibrated :
        ]
    if name != "random":
        assert 1 - np.mean(kept) == pytest.approx(done.spec.certificate.rate, abs=0.03)


@pytest.mark.parametrize("name", ["pixel", "edge"])
def test_what_did_not_change_by_a_low_level_difference_is_reused(name, trace_path, tmp_path, make_trace):
    with Trace(trace_path) as trace:
        train_filter(trace, rule=parse_rule("unchanged"), accuracy=0.7, out=tmp_path / "f.onnx", candidates=[name])
    with Trace(make_trace(seed=5)) as other:
        found = evaluate_filter(tmp_path / "f.onnx", other)
    assert found.rate > 0.1


@pytest.mark.parametrize("names", [("network", "paper", "knn", "random"), ("filterforward",)])
def test_arrays_compete_too(names, tmp_path):
    kind = "map" if names == ("filterforward",) else "signal"
    with test_modalities.write(tmp_path / "t", kind, inputs=200, seed=1) as trace:
        done = train_filter(
            trace,
            rule=test_modalities.RULE,
            accuracy=0.9,
            out=tmp_path / "f.onnx",
            modality=kind,
            candidates=names,
        )
    assert set(done.spec.candidates) == {*names, "random", "every K-th"}
    assert done.spec.certificate.rate > 0.3


def test_a_name_that_is_not_there_is_refused_with_those_that_are(trace):
    for rule, there in (("value < 1", SKIP), ("unchanged", UNCHANGED)):
        losses = Losses(trace, ("squares",), parse_rule(rule))
        work = Workload(trace, losses, split_of(trace), read_inputs(trace, losses, "", inputs=0))
        contest = Contest(work)
        assert contest.names(["all"]) == tuple(there)
        with pytest.raises(InvalidInput, match=f"candidate best: .* all, {next(iter(there))}"):
            contest.names(["best"])
    assert "filterforward" in ARRAYS


def test_int8_is_a_quarter_of_the_size_and_as_good(trace_path, tmp_path, skip_filter):
    with Trace(trace_path) as trace:
        done = train_filter(
            trace,
            models=["squares"],
            rule=parse_rule("value < 1"),
            accuracy=0.8,
            out=tmp_path / "f.onnx",
            candidates=["network"],
            int8=True,
            seed=3,
        )
    assert done.path.stat().st_size < 50_000
    assert done.spec.candidates["network"].rate == pytest.approx(skip_filter.spec.candidates["network"].rate, abs=0.1)
    assert open_gate(done.path).decide(np.zeros((120, 160, 3), np.uint8), 0.0).keep


def test_an_interrupted_training_goes_on_and_leaves_nothing_behind(trace_path, tmp_path, skip_filter):
    def stop(done: float, doing: str) -> None:
        if "validation" in doing and done > 0.15:
            raise KeyboardInterrupt

    out = tmp_path / "f.onnx"
    rule = parse_rule("value < 1")
    options = {"models": ["squares"], "rule": rule, "accuracy": 0.8, "out": out, "seed": 3, "candidates": QUICK}
    with Trace(trace_path) as trace:
        with pytest.raises(KeyboardInterrupt):
            train_filter(trace, **options, progress=stop)
        assert [path.name for path in tmp_path.iterdir()] == ["f.onnx.network.training"]
        train_filter(trace, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["f.onnx"]
    assert out.read_bytes() == skip_filter.path.read_bytes()


def test_the_page_of_a_training_shows_who_won(competed, tmp_path):
    write_training_page(competed, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"<tr class=won><td>{competed.spec.kind}</td>" in page
    assert page.count("<svg") == 2 and 'src="' not in page and 'href="http' not in page
