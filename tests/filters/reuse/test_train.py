"""Learning reuse from a trace: what comes of it, and what is refused."""

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.filters.reuse.gate import ReuseRuntime, ReuseStats
from infilink.filters.reuse.spec import load_reuse
from infilink.filters.reuse.train import train_reuse
from infilink.filters.rules.parser import parse_rule
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..conftest import write_trace
from .conftest import make, say


def run(path, kind: str, *, inputs: int = 200, seed: int = 7) -> tuple[ReuseStats, float]:
    """Over inputs that it has not seen: what it did, and how many of its answers are right."""
    runtime, random, wrong = ReuseRuntime(path), np.random.default_rng(seed), 0
    for i in range(inputs):
        label = int(random.integers(0, 4))
        decision = runtime.decide(make(kind, label, random), float(i))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, say(label), float(i))
        else:
            wrong += int(np.argmax(decision.answer) != label)
    stats = runtime.stats()
    return stats, 1.0 - wrong / max(1, stats.reused + stats.skipped)


def test_it_reuses_nearly_all_of_what_can_be_told_apart(learnt):
    stats, right = run(learnt.path, "signal")
    # A quarter is chance; with every seed 0.97 and all are reached.
    assert stats.reused > 0.8 * 200 and right > 0.9
    assert learnt.spec.certificate.certified and learnt.results == 4
    assert learnt.break_even == pytest.approx(learnt.decide_s / 0.02)


def test_it_does_not_reuse_for_inputs_that_are_like_none_it_was_trained_on(learnt):
    runtime, random = ReuseRuntime(learnt.path), np.random.default_rng(1)
    for i in range(100):
        ticket = runtime.decide(make("signal", i % 4, random), 0.0).ticket
        if ticket is not None:
            runtime.learn(ticket, say(i % 4), 0.0)
    far = [
        (random.normal(0, scale, (64, 3)) + offset).astype(np.float32)
        for scale in (20.0, 100.0, 1e4)
        for offset in (0.0, 30.0, 1e3)
        for _ in range(10)
    ]
    assert sum(runtime.decide(value, 0.0).keep for value in far) > 0.9 * len(far)


def test_what_needs_no_training_stands_beside_it(learnt):
    found = learnt.spec.competitors
    assert set(found) == {"learned", "majority", "last value", "random", "nearest raw input", "oracle"}
    assert found["learned"].rate >= learnt.spec.certificate.rate > found["random"].rate + 0.2
    assert found["learned"].rate > found["majority"].rate + 0.2


def test_a_rule_shares_the_pass_and_skips_what_it_names(write, tmp_path):
    rule = parse_rule("label in (walk, run)")
    with Trace(write("text", inputs=160)) as trace:
        done = train_reuse(trace, model="h", accuracy=0.85, out=tmp_path / "r.onnx", modality="text", rule=rule, seed=2)
    _, session = load_reuse(done.path)
    assert [output.name for output in session.get_outputs()] == ["embedding", "score"]
    prepared = np.stack([done.spec.modality.prepare(make("text", i % 4, np.random.default_rng(i))) for i in range(5)])
    embedding, score = session.run(None, {"input": prepared})
    assert embedding.shape == (5, done.spec.dims) and score.shape == (5, 1)
    assert done.spec.rule == rule.text and done.spec.skip_answer in ("walk", "run")
    assert done.spec.skip_threshold is not None
    stats, _ = run(done.path, "text", inputs=120)
    assert stats.skipped > 0 and stats.skipped + stats.reused > 100


def test_counts_are_reused_as_well(write, tmp_path):
    with Trace(write("text", inputs=110, output=OutputSpec(kind="count"))) as trace:
        done = train_reuse(trace, model="h", accuracy=0.85, out=tmp_path / "r.onnx", modality="text")
    assert done.results == 4 and done.spec.output.kind == "count" and done.spec.certificate.certified


def test_the_same_seed_learns_the_same(write, tmp_path):
    with Trace(write("text", inputs=100)) as trace:
        specs = [
            train_reuse(trace, model="h", accuracy=0.6, out=tmp_path / f"{i}.onnx", modality="text", seed=5).spec
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
        Trace(write("text", inputs=90)) as trace,
        pytest.raises(InvalidInput, match=r"no reuse .* accuracy of 0\.999"),
    ):
        train_reuse(trace, model="h", accuracy=0.999, out=tmp_path / "r.onnx", modality="text")
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


def test_windows_of_frames_are_refused(tmp_path):
    path, says = write_trace(tmp_path / "drawn.trace", inputs=80), "a cache is asked about one picture at a time"
    with Trace(path) as trace, pytest.raises(InvalidInput, match=says):
        train_reuse(trace, model="scene", accuracy=0.9, out=tmp_path / "r.onnx", modality="video")
