"""Filters on inputs that are no pictures: each modality learns what it can see, and refuses what it can't read."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.codec import pack
from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.modalities import MODALITIES, fit_modality
from infilink.filters.modalities.text import Text
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

SPEC = ModelSpec(name="h", output=OutputSpec(kind="label", classes=("dull", "news")))
RULE = parse_rule("label in (dull)")
RNG = np.random.default_rng(0)
WORDS = ("the cat sat on a mat and the dog ran away from it all".split(), "win prize free call now claim cash".split())


def make(kind: str, label: int, rng: np.random.Generator) -> Array:
    """An input whose label can be told from it, but not from its size or mean."""
    if kind == "text":
        return np.frombuffer(" ".join(rng.choice(WORDS[label], 12)).encode(), np.uint8)
    if kind == "signal":
        time = np.arange(64)[:, None] / 10
        return (np.sin(time * (6 if label else 1.5) + rng.uniform(0, 6, 3)) + rng.normal(0, 0.3, (64, 3))).astype("f4")
    if kind == "audio":
        tone = np.sin(np.arange(2000) * (1.2 if label else 0.25)) * 8000
        return (tone + rng.normal(0, 2000, 2000)).astype(np.int16)
    if kind in ("image", "video"):
        frames = rng.integers(90, 130, (4, 60, 80, 3)).astype(np.uint8)
        row, column = rng.integers(5, 30, 2)
        frames[:, row : row + 16, column : column + 16] = (40, 40, 220) if label else (220, 40, 40)
        return frames if kind == "video" else frames[0]
    image = rng.normal(0, 1, (4, 12, 12)).astype(np.float32)
    image[1, 3:6, 3:6] += 4.0 if label else 0.0
    image[2, 8:11, 8:11] += 0.0 if label else 4.0
    return image


def write(path: Path, kind: str, *, inputs: int, seed: int, tells: bool = True) -> Trace:
    """A trace whose inputs tell the labels, or have nothing to do with them."""
    rng = np.random.default_rng(seed)
    info = TraceInfo("made up", 1.0, {"h": SPEC}, {"h": "d"}, {"h": ModelCost(1 << 20, 0.01, 0.1)}, input="array")
    with TraceWriter(path, info) as writer:
        for index in range(inputs):
            label = int(rng.random() < 0.5)
            made = make(kind, label if tells else int(rng.random() < 0.5), rng)
            writer.append(index, float(index), pack(made), {"h": np.eye(2, dtype="f4")[label]})
    return Trace(path)


def test_a_filter_that_is_no_better_than_a_lot_is_not_handed_over(tmp_path: Path) -> None:
    out = tmp_path / "f.onnx"
    with write(tmp_path / "learn", "signal", inputs=300, seed=1, tells=False) as trace:
        with pytest.raises(InvalidInput, match=r"what was learnt is useless: .* for nothing; .* --candidate network"):
            train_filter(trace, rule=RULE, accuracy=0.6, out=out, modality="signal")
        assert not out.exists()
        train_filter(trace, rule=RULE, accuracy=0.6, out=out, modality="signal", candidates=["network"])
    assert out.exists()


@pytest.mark.parametrize("kind", MODALITIES)
def test_a_filter_learns_what_its_modality_shows_and_the_file_decides_alike(kind: str, tmp_path: Path) -> None:
    with write(tmp_path / "learn", kind, inputs=300, seed=1) as trace:
        done = train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality=kind)
        assert done.spec.modality is not None and done.spec.modality.kind == kind
    assert (tmp_path / "f.onnx").stat().st_size < 250_000
    with write(tmp_path / "other", kind, inputs=150, seed=2) as other:
        found = evaluate_filter(tmp_path / "f.onnx", other)
        assert found.contract == "kept" and found.rate > 0.4
        assert {baseline.name for baseline in found.baselines} == {"random", "every K-th", "constant"}
        assert found.accuracy > max(b.accuracy for b in found.baselines if b.name != "constant") + 0.1
    gate = open_gate(tmp_path / "f.onnx")
    dull, news = (np.mean([gate.decide(make(kind, label, RNG), 0.0).keep for _ in range(30)]) for label in (0, 1))
    assert dull < 0.4
    assert news > 0.8


@pytest.mark.parametrize("kind", MODALITIES)
def test_what_is_no_such_input_is_kept_and_told_when_training(kind: str, tmp_path: Path) -> None:
    fitted = fit_modality(kind, [make(kind, i % 2, RNG) for i in range(20)])
    for wrong in (np.zeros((2, 2, 2, 2, 2), np.float32), np.full((5, 77), np.nan, np.float32)):
        with pytest.raises(InvalidInput, match="must"):
            fitted.prepare(wrong)


@pytest.mark.parametrize("kind", MODALITIES)
def test_what_is_prepared_has_one_shape_and_no_nan(kind: str) -> None:
    fitted = fit_modality(kind, [make(kind, i % 2, RNG) for i in range(20)])
    for _ in range(20):
        prepared = fitted.prepare(make(kind, 1, RNG))
        assert prepared.shape == fitted.shape and np.isfinite(prepared).all()
        batch = fitted.augment(np.stack([prepared] * 4), RNG)
        assert batch.shape == (4, *fitted.shape) and batch.dtype == prepared.dtype == np.dtype(fitted.dtype)


@given(st.text(max_size=400), st.integers(2, 64))
def test_any_text_becomes_buckets_there_are(text: str, length: int) -> None:
    modality = Text(length=length, buckets=100)
    prepared = modality.prepare(np.frombuffer(text.encode(), np.uint8))
    assert prepared.shape == (length,) and prepared.min() >= 0 and prepared.max() < 100
    assert np.array_equal(prepared, modality.prepare(np.frombuffer(text.upper().lower().encode(), np.uint8))) or (
        text.upper().lower() != text.lower()
    )


def test_windows_of_another_length_are_stretched() -> None:
    fitted = fit_modality("signal", [np.linspace(0, 1, 32)[:, None] * np.ones((1, 2)) for _ in range(3)])
    assert np.allclose(
        fitted.prepare(np.linspace(0, 1, 95)[:, None] * np.ones((1, 2)))[0],
        fitted.prepare(np.linspace(0, 1, 32)[:, None] * np.ones((1, 2)))[0],
        atol=1e-3,
    )


def test_a_wrong_modality_or_rule_is_refused(tmp_path: Path) -> None:
    with write(tmp_path / "t", "signal", inputs=80, seed=1) as trace:
        with pytest.raises(InvalidInput, match="there are text, image, video, audio, signal, map"):
            train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality="smell")
        with pytest.raises(InvalidInput, match="unchanged"):
            train_filter(trace, rule=parse_rule("unchanged"), accuracy=0.9, out=tmp_path / "f.onnx", modality="signal")
        with pytest.raises(InvalidInput, match="a text must"):
            train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality="text")
        with pytest.raises(InvalidInput, match="not pictures"):
            next(trace.frames())
    assert not (tmp_path / "f.onnx").exists()
