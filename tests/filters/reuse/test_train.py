"""Learning reuse from a trace: what comes of it, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.filters.reuse.gate import ReuseRuntime
from infilink.filters.reuse.spec import load_reuse
from infilink.filters.reuse.train import train_reuse
from infilink.filters.rules.parser import parse_rule
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..conftest import write_trace
from .conftest import make, say


def run(path, kind: str, *, inputs: int = 200, seed: int = 7) -> tuple[float, float]:
    """Rate and accuracy over inputs it has not seen."""
    runtime, random, reused, wrong = ReuseRuntime(path), np.random.default_rng(seed), 0, 0
    for i in range(inputs):
        label = int(random.integers(0, 4))
        decision = runtime.decide(make(kind, label, random), float(i))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, say(label), float(i))
        else:
            reused += 1
            wrong += int(np.argmax(decision.answer) != label)
    return reused / inputs, 1.0 - wrong / inputs


def test_it_reuses_what_it_should_and_keeps_the_accuracy_on_new_inputs(learnt):
    rate, accuracy = run(learnt.path, "signal")
    assert rate > 0.7 and accuracy >= 0.85
    assert learnt.spec.certificate.certified and learnt.results == 4
    assert learnt.break_even == pytest.approx(learnt.decide_s / 0.02)


def test_what_is_free_stands_beside_it(learnt):
    found = learnt.spec.competitors
    assert set(found) == {"learned", "majority", "last value", "random", "nearest raw input", "oracle"}
    assert found["learned"].rate >= learnt.spec.certificate.rate > found["random"].rate + 0.2
    assert found["learned"].rate > found["majority"].rate + 0.2


def test_texts_are_learnt_as_well_and_a_rule_shares_the_pass(write, tmp_path):
    with Trace(write("text")) as trace:
        rule = parse_rule("label in (walk, run)")
        done = train_reuse(trace, model="h", accuracy=0.85, out=tmp_path / "r.onnx", modality="text", rule=rule, seed=2)
    _, session = load_reuse(done.path)
    assert [output.name for output in session.get_outputs()] == ["embedding", "score"]
    prepared = np.stack([done.spec.modality.prepare(make("text", i % 4, np.random.default_rng(i))) for i in range(5)])
    embedding, score = session.run(None, {"input": prepared})
    assert embedding.shape == (5, done.spec.dims) and score.shape == (5, 1)
    assert done.spec.rule == rule.text and done.spec.skip_answer in ("walk", "run")
    runtime, random = ReuseRuntime(done.path), np.random.default_rng(3)
    for i in range(120):
        label = i % 4
        decision = runtime.decide(make("text", label, random), float(i))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, say(label), float(i))
    stats = runtime.stats()
    assert stats.reused + stats.skipped > 70
    if done.spec.skip_threshold is not None:
        assert stats.skipped > 20


def test_counts_are_reused_as_well(write, tmp_path):
    with Trace(write("signal", inputs=200, output=OutputSpec(kind="count"))) as trace:
        done = train_reuse(trace, model="h", accuracy=0.85, out=tmp_path / "r.onnx", modality="signal")
    assert done.results == 4 and done.spec.certificate.rate > 0.5


def test_the_same_seed_learns_the_same(write, tmp_path):
    with Trace(write("signal", inputs=110)) as trace:
        specs = [
            train_reuse(trace, model="h", accuracy=0.6, out=tmp_path / f"{i}.onnx", modality="signal", seed=5).spec
            for i in range(2)
        ]
    assert specs[0].model_dump_json() == specs[1].model_dump_json()
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


def test_what_is_trivial_is_refused_with_its_share(write, tmp_path):
    with (
        Trace(write("signal", inputs=120, chances=[0.02, 0.94, 0.02, 0.02])) as trace,
        pytest.raises(InvalidInput, match=r"trivial at accuracy 0.8: its commonest result, run 1.00, .*right for 0\.9"),
    ):
        train_reuse(trace, model="h", accuracy=0.8, out=tmp_path / "r.onnx", modality="signal")


def test_what_can_not_be_certified_is_refused_and_nothing_is_written(write, tmp_path):
    with (
        Trace(write("signal", inputs=90)) as trace,
        pytest.raises(InvalidInput, match=r"no reuse .* accuracy of 0\.999"),
    ):
        train_reuse(trace, model="h", accuracy=0.999, out=tmp_path / "r.onnx", modality="signal")
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_are_refused(write, tmp_path):
    with Trace(write("signal", inputs=80)) as trace:

        def train(model="h", modality="signal", accuracy=0.8, **options):
            train_reuse(trace, model=model, accuracy=accuracy, out=tmp_path / "r.onnx", modality=modality, **options)

        with pytest.raises(UnknownModel, match="known models: h"):
            train(model="g")
        with pytest.raises(InvalidInput, match="accuracy must be above 0"):
            train(accuracy=1.0)
        with pytest.raises(InvalidInput, match="modality 'smell' is not known"):
            train(modality="smell")
        with pytest.raises(InvalidInput, match="unchanged"):
            train(rule=parse_rule("unchanged"))
        with pytest.raises(InvalidInput, match="capacity must be at least 1"):
            train(capacity=0)


def test_deciding_loads_nothing_heavy(learnt):
    code = (
        "import sys, numpy as np; from infilink.filters.reuse.gate import ReuseRuntime; "
        f"r = ReuseRuntime({str(learnt.path)!r}); d = r.decide(np.zeros((64, 3), np.float32), 0.0); "
        "assert r.learn(d.ticket, np.eye(4)[0], 0.0); r.decide(np.zeros((64, 3), np.float32), 0.0); "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'onnx') if m in sys.modules], r.stats().reused)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] 1"


def test_windows_of_frames_are_refused(tmp_path):
    path, says = write_trace(tmp_path / "drawn.trace", inputs=80), "a cache is asked about one picture at a time"
    with Trace(path) as trace, pytest.raises(InvalidInput, match=says):
        train_reuse(trace, model="scene", accuracy=0.9, out=tmp_path / "r.onnx", modality="video")
