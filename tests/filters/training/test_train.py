import json

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.filters.cli import print_training, train_filter_command
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.filters.training.workload import split_of
from infilink.traces.trace import Trace
from rich.console import Console

from ..conftest import QUICK


def train(trace, tmp_path, rule="value < 1", models=("squares",), accuracy=0.8, **options):
    out = tmp_path / "filter.onnx"
    return train_filter(trace, models=models, rule=parse_rule(rule), accuracy=accuracy, out=out, **options)


def refused(path, tmp_path, says: str, **options) -> None:
    with Trace(path) as trace, pytest.raises(InvalidInput) as error:
        train(trace, tmp_path, **options)
    assert says in str(error.value)
    assert not (tmp_path / "filter.onnx").exists()


def test_a_filter_for_what_a_model_never_sees(skip_filter):
    spec = skip_filter.spec
    assert spec.candidates["network"].rate > 0.2
    assert spec.certificate.rate == spec.candidates[spec.kind].rate
    assert spec.certificate.error <= 0.2
    assert spec.certificate.certified == (spec.certificate.upper_bound <= 0.2)
    assert skip_filter.redundant == pytest.approx(0.35, abs=0.15)
    assert set(spec.candidates) == {*QUICK, "random", "every K-th"}


def test_a_filter_for_what_does_not_change(reuse_filter):
    spec = reuse_filter.spec
    assert spec.certificate.rate > 0.3
    assert spec.longest_s is not None
    assert set(spec.candidates) == {"blend", "random", "every K-th"}


def test_the_same_seed_makes_the_same_filter_also_by_the_command(trace_path, tmp_path, skip_filter, capsys):
    out = tmp_path / "f.onnx"
    train_filter_command(
        trace_path,
        rule="value < 1",
        out=out,
        model=["squares"],
        candidate=list(QUICK),
        accuracy=0.8,
        seed=3,
        as_json=True,
    )
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == str(out) and found["spec"] == skip_filter.spec.model_dump(mode="json")
    assert out.read_bytes() == skip_filter.path.read_bytes()


def test_a_training_is_shown_as_tables(reuse_filter, capsys):
    print_training(reuse_filter, Console(width=120))
    shown = capsys.readouterr().out
    assert "blend" in shown and "certified" in shown and "unchanged at accuracy 0.8" in shown


def test_progress_rises_to_its_end(reuse_filter, reuse_progress):
    shares = [done for done, _ in reuse_progress]
    assert shares == sorted(shares)
    assert shares[0] >= 0 and 0.9 < shares[-1] <= 1.0
    assert {"reading the trace", "calibrating: blend"} <= {doing for _, doing in reuse_progress}


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
    ],
)
def test_a_useless_filter_is_refused_with_the_reason(trace_path, tmp_path, options, says):
    refused(trace_path, tmp_path, says, **options)


def test_too_few_inputs_are_refused(make_trace, tmp_path):
    refused(make_trace(inputs=10), tmp_path, "10 inputs are too few to learn a filter from: record at least 60")


def test_a_model_that_the_trace_does_not_have(trace, tmp_path):
    with pytest.raises(UnknownModel, match="known models: scene, squares"):
        train(trace, tmp_path, models=("cars",))


def test_outputs_that_never_change_are_refused(make_trace, tmp_path):
    with Trace(make_trace()) as trace:
        still = trace.part(0, 70)
        still.outputs = lambda model: [np.ones(1, np.float32)] * 70
        still.part = lambda start, stop: still
        with pytest.raises(InvalidInput, match="no output ever changes"):
            train(still, tmp_path, rule="unchanged")


def test_the_command_wants_a_model_for_a_rule_on_one_input(trace_path, tmp_path):
    with pytest.raises(InvalidInput, match="say which with --model NAME"):
        train_filter_command(trace_path, rule="empty", out=tmp_path / "f.onnx")
    with pytest.raises(InvalidInput, match=r"must end in \.onnx"):
        train_filter_command(trace_path, rule="unchanged", out=tmp_path / "f.bin")
