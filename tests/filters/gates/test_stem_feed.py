"""A filter with a stem at work: one forward pass an input, its features given on, its head's weights replaceable."""

import numpy as np
import pytest
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.gates.stem_feed import BIAS, WEIGHTS, StemFeed
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ..conftest import train
from ..stems import SPEC, write_stem


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture(scope="module")
def path(stem, short_trace_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("filter") / "filter.onnx"
    train(short_trace_path, out, "value < 1", models=("squares",), candidates=("stem",), stem=stem)
    return out


def test_the_gate_gives_the_features_of_its_stem(path, stem, trace):
    gate = FilterRuntime(path)
    assert gate.spec.stem is not None
    assert (gate.spec.stem.spec, gate.spec.stem.digest) == (SPEC, stem.digest)
    for frame, at in zip(trace.part(0, 5).frames(), trace.captured_s, strict=False):
        found = gate.decide(frame, float(at))
        assert found.features == pytest.approx(stem.see(frame).features, abs=1e-5)


def test_what_is_no_picture_is_kept_and_has_no_features(path):
    gate = FilterRuntime(path)
    found = gate.decide(np.zeros((3, 3), np.float32), 0.0)
    assert found.keep and found.features is None and gate.stats().failed == 1


def test_the_weights_of_its_head_can_be_replaced(path, trace):
    gate = FilterRuntime(path)
    assert isinstance(gate.feed, StemFeed)
    frame = next(trace.frames())
    gate.feed.weights = {WEIGHTS: np.zeros((SPEC.length, 1), np.float32), BIAS: np.asarray([60.0], np.float32)}
    assert gate.decide(frame, 0.0).score == pytest.approx(1.0, abs=1e-3)
    gate.feed.weights[BIAS] = np.asarray([-60.0], np.float32)
    assert gate.decide(frame, 0.1).score == pytest.approx(0.0, abs=1e-3)


def test_a_trace_is_judged_with_it(path, short_trace_path):
    from infilink.filters.evaluation.evaluate import evaluate_filter

    with Trace(short_trace_path) as trace:
        found = evaluate_filter(path, trace)
    assert found.accuracy >= 0.8 and found.rate > 0.2
