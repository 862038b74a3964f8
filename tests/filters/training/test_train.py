"""Learning a filter from a trace: what is written, that it can be repeated, and what is refused."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput, NotCertified, UnknownModel
from infilink.filters.cli import print_training, train_filter_command
from infilink.filters.evaluation.pages import write_training_page
from infilink.filters.open_gate import open_gate
from infilink.filters.training.workload import split_of
from infilink.traces.trace import Trace
from rich.console import Console

from ..conftest import draw, train

SKIP = {"rule": "value < 1", "models": ("squares",)}


def refused(path, tmp_path, says: str, **options) -> None:
    with pytest.raises(InvalidInput) as error:
        train(path, tmp_path / "filter.onnx", **{**SKIP, **options})
    assert says in str(error.value)
    assert not (tmp_path / "filter.onnx").exists()


def test_a_filter_for_what_a_model_never_sees(skip_filter, short_trace_path):
    with Trace(short_trace_path) as trace:
        split = split_of(trace)
    needed = np.asarray(draw(split.stop, seed=0)[1]) > 0
    assert (skip_filter.trained, skip_filter.calibrated) == (split.trained, split.stop - split.calibrated)
    assert skip_filter.redundant == pytest.approx(1 - needed.mean())
    # The square is in sight or it is not: all that is redundant is dropped, and nothing else.
    spec = skip_filter.spec
    assert spec.kind == "network"
    # The square comes and goes a few times in 30 inputs: too few runs for a proof.
    assert not spec.certificate.certified and spec.certificate.lost == 0 and spec.certificate.more_runs > 0
    assert spec.certificate.rate == pytest.approx(1 - needed[split.calibrated :].mean(), abs=0.04)
    assert spec.certificate.error == 0.0
    assert spec.certificate.rate == spec.candidates["network"].rate
    assert set(spec.candidates) == {"network", "random", "every K-th"}


def test_a_filter_for_what_does_not_change(reuse_filter, trace):
    split = split_of(trace)
    places = np.asarray(draw(split.stop, seed=0)[1])[split.calibrated :]
    # Pictures show where the square is, so hardly more is kept than the frames in which that changes.
    spec = reuse_filter.spec
    assert spec.certificate.rate == pytest.approx(np.mean(places[1:] == places[:-1]), abs=0.1)
    assert spec.longest_s is not None
    assert set(spec.candidates) == {"blend", "random", "every K-th"}


def test_all_candidates_stand_in_one_table(trace_path, tmp_path):
    names = ("background", "pixel", "difference", "age", "random")
    done = train(trace_path, tmp_path / "f.onnx", **SKIP, candidates=names)
    assert set(done.spec.candidates) == {*names, "every K-th"}
    assert done.spec.kind in names
    assert set(done.decision_s) == set(names) and not done.curves


def test_the_same_seed_makes_the_same_filter_also_by_the_command(short_trace_path, tmp_path, capsys):
    first = train(short_trace_path, tmp_path / "first.onnx", **SKIP, candidates=("network", "background"))
    again = tmp_path / "again.onnx"
    train_filter_command(
        traces=[short_trace_path],
        rule=SKIP["rule"],
        out=again,
        model=list(SKIP["models"]),
        candidate=["network", "background"],
        uncertified=True,
        accuracy=0.8,
        seed=3,
        as_json=True,
    )
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(again) and found["spec"] == first.spec.model_dump(mode="json")
    assert again.read_bytes() == first.path.read_bytes()


def test_an_interrupted_training_goes_on_and_leaves_nothing_behind(short_trace_path, tmp_path):
    def stop(done: float, doing: str) -> None:
        if "validation" in doing and done > 0.4:
            raise KeyboardInterrupt

    whole = train(short_trace_path, tmp_path / "whole.onnx", **SKIP, candidates=("network",))
    folder = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        train(short_trace_path, folder / "f.onnx", **SKIP, candidates=("network",), progress=stop)
    assert [path.name for path in folder.iterdir()] == ["f.onnx.network.training"]
    train(short_trace_path, folder / "f.onnx", **SKIP, candidates=("network",))
    assert [path.name for path in folder.iterdir()] == ["f.onnx"]
    assert (folder / "f.onnx").read_bytes() == whole.path.read_bytes()


def test_without_a_certificate_nothing_is_written(short_trace_path, tmp_path):
    # 33 inputs of one scene prove no accuracy of .99.
    options = {**SKIP, "accuracy": 0.99, "candidates": ("network",)}
    out = tmp_path / "filter.onnx"
    with pytest.raises(NotCertified, match=r"accuracy of 0\.99.* --uncertified"):
        train(short_trace_path, out, **options, uncertified=False)
    assert not out.exists()
    assert not train(short_trace_path, out, **options).spec.certificate.certified


def test_a_small_file_decides_as_well(short_trace_path, tmp_path):
    done = train(short_trace_path, tmp_path / "f.onnx", **SKIP, candidates=("network",), int8=True)
    assert done.path.stat().st_size < 50_000
    gate = open_gate(done.path)
    with Trace(short_trace_path) as trace:
        assert gate.decide(next(trace.frames()), 0.0).keep


def test_a_training_is_shown_as_tables(reuse_filter, capsys):
    print_training(reuse_filter, Console(width=120))
    shown = capsys.readouterr().out
    assert "blend" in shown and "certified" in shown and "unchanged at accuracy 0.8" in shown


def test_the_page_of_a_training_shows_who_won(skip_filter, tmp_path):
    write_training_page(skip_filter, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<tr class=won><td>network</td>" in page
    assert page.count("<svg") == 2 and 'src="' not in page and 'href="http' not in page


def test_progress_rises_to_its_end(reuse_filter, reuse_progress):
    shares = [done for done, _ in reuse_progress]
    assert shares == sorted(shares)
    assert shares[0] >= 0 and 0.9 < shares[-1] <= 1.0
    assert {"reading the trace", "calibrating: blend", "choosing"} <= {doing for _, doing in reuse_progress}


def test_the_parts_do_not_touch_in_time(trace):
    split = split_of(trace)
    assert 0 < split.trained < split.calibrated < split.stop == len(trace)
    assert trace.captured_s[split.calibrated] - trace.captured_s[split.trained - 1] > 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rule": "value > 7"}, "never fires: none of 260 inputs"),
        ({"rule": "value < 7"}, "is trivial: all 260 inputs are redundant"),
        ({"rule": "label in (left)"}, "this model's kind is count"),
        ({"rule": "label not in (left)", "models": ("scene",), "accuracy": 0.5}, "to skip everything is right for 0."),
        ({"accuracy": 1.0}, "accuracy must be above 0 and below 1"),
        ({"modality": "image"}, "its inputs are pictures; leave out the modality 'image'"),
    ],
)
def test_a_useless_filter_is_refused_with_the_reason(trace_path, tmp_path, options, says):
    refused(trace_path, tmp_path, says, **options)


def test_too_few_inputs_are_refused(make_trace, tmp_path):
    refused(make_trace(inputs=10), tmp_path, "10 inputs are too few to learn a filter from: record at least 50")


def test_a_model_that_the_trace_does_not_have(trace_path, tmp_path):
    with pytest.raises(UnknownModel, match="known models: scene, squares"):
        train(trace_path, tmp_path / "f.onnx", **{**SKIP, "models": ("cars",)})


def test_outputs_that_never_change_are_refused(make_trace, tmp_path):
    still = make_trace(inputs=70, said=[1] * 70)
    refused(still, tmp_path, "no output ever changes", rule="unchanged", models=())


def test_the_command_wants_a_model_for_a_rule_on_one_input(trace_path, tmp_path):
    with pytest.raises(InvalidInput, match="say which with --model NAME"):
        train_filter_command(traces=[trace_path], rule="empty", out=tmp_path / "f.onnx")
    with pytest.raises(InvalidInput, match=r"ends in \.onnx"):
        train_filter_command(traces=[trace_path], rule="unchanged", out=tmp_path / "f.bin")
