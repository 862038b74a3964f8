"""A cache whose key is read off a stem: learnt in closed form, one file, exact repeats at distance 0."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.reuse.cache import Hit
from infilink.filters.reuse.evaluate import evaluate_reuse
from infilink.filters.reuse.gate import ReuseGate, ReuseRuntime
from infilink.filters.reuse.spec import load_reuse
from infilink.filters.reuse.stem_key import fit_key
from infilink.filters.reuse.train import train_reuse
from infilink.filters.rules.parser import parse_rule
from infilink.models.stem.stem import Stem
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..conftest import write_trace
from ..stems import write_stem


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture(scope="module")
def path(stem, trace_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("reuse") / "reuse.onnx"
    with Trace(trace_path) as trace:
        train_reuse(trace, model="scene", accuracy=0.8, out=out, modality="image", stem=stem, uncertified=True)
    return out


def test_the_file_holds_the_stem_and_names_it(path, stem):
    spec, session = load_reuse(path)
    assert spec.stem is not None and spec.stem.digest == stem.digest
    assert spec.dims == 3 and [each.name for each in session.get_inputs()] == ["picture"]


def test_an_exact_repeat_is_its_own_nearest(path, trace):
    runtime, outputs = ReuseRuntime(path), trace.outputs("scene")
    frames = list(trace.part(0, 40).frames())
    for i, frame in enumerate(frames):
        decision = runtime.decide(frame, 0.1 * i)
        if decision.ticket is not None:
            runtime.learn(decision.ticket, outputs[i], 0.1 * i)
            repeated = runtime.decide(frame, 0.1 * i)
            assert isinstance(repeated.found, Hit) and repeated.found.distance == pytest.approx(0.0, abs=1e-5)
    assert runtime.stats().failed == 0 and runtime.stats().reused > len(frames) / 2


def test_what_comes_later_is_answered(path, tmp_path):
    with Trace(write_trace(tmp_path / "later", inputs=150, seed=5)) as later:
        found = evaluate_reuse(path, later)
    assert found.rate > 0.5 and found.accuracy > 0.7


def test_the_gate_keeps_what_is_no_picture(path):
    gate = ReuseGate(path)
    found = gate.decide(np.zeros((4, 4), np.float32), 0.0)
    assert found.keep and found.features is None


def test_the_gate_gives_the_features_of_its_stem(path, stem, trace):
    frame = next(trace.frames())
    assert ReuseGate(path).decide(frame, 0.0).features == pytest.approx(stem.see(frame).features, abs=1e-5)


def test_a_rule_is_scored_in_the_same_pass(stem, trace_path, tmp_path):
    with Trace(trace_path) as trace:
        done = train_reuse(
            trace,
            model="squares",
            accuracy=0.8,
            out=tmp_path / "r.onnx",
            modality="image",
            stem=stem,
            rule=parse_rule("value < 1"),
            uncertified=True,
        )
        frame = next(trace.frames())
    assert done.spec.rule == "value < 1"
    score = ReuseRuntime(tmp_path / "r.onnx").decide(frame, 0.0).score
    assert score is not None and 0.0 <= score <= 1.0


def test_a_stem_looks_at_pictures(stem, write, tmp_path):
    with (
        Trace(write("signal")) as trace,
        pytest.raises(InvalidInput, match=r"a stem looks at pictures.*--modality image"),
    ):
        train_reuse(trace, model="h", accuracy=0.8, out=tmp_path / "r.onnx", modality="signal", stem=stem)


def test_results_that_hardly_come_again_are_told_apart_by_their_numbers():
    random = np.random.default_rng(0)
    values = random.normal(0, 5, (80, 1)).astype(np.float32)
    features = np.concatenate([values, random.normal(0, 1, (80, 3))], axis=1)
    key = fit_key(features, np.arange(80), list(values), OutputSpec(kind="scalar", tolerance=0.1))
    assert key is not None
    near, far = (
        abs(key.predict(features[[0]]) - key.predict(features[[0]] + [step, 0, 0, 0]))[0, 0] for step in (1, 5)
    )
    assert far > near > 0
    tokens = [np.asarray([i]) for i in range(80)]
    assert fit_key(features, np.arange(80), tokens, OutputSpec(kind="tokens", length=4)) is None
