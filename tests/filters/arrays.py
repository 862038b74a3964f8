"""Inputs that are no frames, of every modality, and traces of them: their labels can be told from them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from infilink.codec import pack
from infilink.filters.rules.parser import parse_rule
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

SPEC = ModelSpec(name="h", output=OutputSpec(kind="label", classes=("dull", "news")))
RULE = parse_rule("label in (dull)")
WORDS = ("the cat sat on a mat and the dog ran away from it all".split(), "win prize free call now claim cash".split())


def make(kind: str, label: int, random: np.random.Generator) -> Array:
    """An input whose label can be told from it, but not from its size or mean."""
    if kind == "text":
        return np.frombuffer(" ".join(random.choice(WORDS[label], 12)).encode(), np.uint8)
    if kind == "signal":
        time = np.arange(64)[:, None] / 10
        wave = np.sin(time * (6 if label else 1.5) + random.uniform(0, 6, 3))
        return (wave + random.normal(0, 0.3, (64, 3))).astype(np.float32)
    if kind == "audio":
        tone = np.sin(np.arange(2000) * (1.2 if label else 0.25)) * 8000
        return (tone + random.normal(0, 2000, 2000)).astype(np.int16)
    if kind in ("image", "video"):
        frames = random.integers(90, 130, (4, 60, 80, 3)).astype(np.uint8)
        row, column = random.integers(5, 30, 2)
        frames[:, row : row + 16, column : column + 16] = (40, 40, 220) if label else (220, 40, 40)
        return frames if kind == "video" else frames[0]
    assert kind == "map", f"say how an input of the modality {kind!r} is drawn"
    image = random.normal(0, 1, (4, 12, 12)).astype(np.float32)
    image[1, 3:6, 3:6] += 4.0 if label else 0.0
    image[2, 8:11, 8:11] += 0.0 if label else 4.0
    return image


def write_labelled(path: Path, drawn: Iterable[tuple[Array, int]]) -> Trace:
    """A trace of inputs with their labels, one a second."""
    info = TraceInfo("made up", 1.0, {"h": SPEC}, {"h": "d"}, {"h": ModelCost(1 << 20, 0.01, 0.1)}, input="array")
    with TraceWriter(path, info) as writer:
        for index, (value, label) in enumerate(drawn):
            writer.append(index, float(index), pack(value), {"h": np.eye(2, dtype=np.float32)[label]})
    return Trace(path)


def write(path: Path, kind: str, *, inputs: int, seed: int) -> Trace:
    """A trace of a modality's inputs, half of them of either label."""
    random = np.random.default_rng(seed)
    labels = (int(random.random() < 0.5) for _ in range(inputs))
    return write_labelled(path, ((make(kind, label, random), label) for label in labels))
