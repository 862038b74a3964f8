"""Small traces whose answers are known, and a reuse file learnt from one of them."""

from pathlib import Path

import numpy as np
import pytest
from infilink.codec import pack
from infilink.filters.reuse.train import train_reuse
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

CLASSES = ("walk", "run", "still", "swim")
WORDS = (
    "the cat sat on a mat",
    "win prize free call now claim",
    "sun rain wind cloud storm",
    "bread milk egg rice salt",
)


def make(kind: str, label: int, random: np.random.Generator) -> np.ndarray:
    """An input whose label can be told from it, but not from its size or mean, unless it is a `level`."""
    if kind == "level":
        return (10.0 * label + random.normal(0, 0.1, (64, 3))).astype(np.float32)
    if kind == "text":
        return np.frombuffer(" ".join(random.choice(WORDS[label].split(), 10)).encode(), np.uint8)
    time = np.arange(64)[:, None] / 10
    wave = np.sin(time * (1.5 + 1.5 * label) + random.uniform(0, 6, 3))
    return (wave + random.normal(0, 0.3, (64, 3))).astype(np.float32)


def say(label: int) -> np.ndarray:
    return np.eye(len(CLASSES), dtype=np.float32)[label]


@pytest.fixture(scope="session")
def write(tmp_path_factory):
    """Writes a trace of inputs with random labels of `classes`; outputs are labels, or counts if `output` says so."""

    def write_trace(kind="signal", *, inputs=260, seed=0, output=None, chances=None) -> Path:
        random = np.random.default_rng(seed)
        output = output or OutputSpec(kind="label", classes=CLASSES)
        info = TraceInfo(
            "made up",
            1.0,
            {"h": ModelSpec(name="h", output=output)},
            {"h": "d0"},
            {"h": ModelCost(1 << 20, 0.02, 0.1)},
            input="array",
        )
        path = tmp_path_factory.mktemp("reuse") / f"{kind}.trace"
        with TraceWriter(path, info) as writer:
            for i in range(inputs):
                label = int(random.choice(len(CLASSES), p=chances))
                value = np.asarray([label], np.float32) if output.kind == "count" else say(label)
                writer.append(i, float(i), pack(make(kind, label, random)), {"h": value})
        return path

    return write_trace


@pytest.fixture(scope="session")
def learnt(write, tmp_path_factory):
    """What was learnt from signals, once."""
    with Trace(write("signal")) as trace:
        out = tmp_path_factory.mktemp("learnt") / "reuse.onnx"
        return train_reuse(trace, model="h", accuracy=0.85, out=out, modality="signal", seed=1)
