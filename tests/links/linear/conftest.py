"""A lamp that is dimmed now and then: what two models say follows from the picture, what a third says does not."""

from pathlib import Path

import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.links.training.train import LinksTraining, train_links
from infilink.models.cost import ModelCost
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ...filters.stems import write_stem
from ..conftest import make_specs

OUTPUTS: dict[str, dict[str, object]] = {
    "level": {"kind": "count"},
    "lit": {"kind": "label", "classes": ["no", "yes"]},
    "noise": {"kind": "count"},
}
STEP_S = 0.5


def picture(level: int) -> Array:
    """A frame that is as bright as the level says."""
    return np.full((60, 80, 3), 20 + 50 * level, np.uint8)


def lamp(count: int, seed: int) -> tuple[list[int], list[dict[str, Array]]]:
    """Levels from 0 to 4, and what the models say of them."""
    rng, level = np.random.default_rng(seed), 2
    levels, rows = [], []
    for _ in range(count):
        if rng.random() < 0.3:
            level = int(rng.integers(0, 5))
        yes = 0.9 if level >= 2 else 0.1
        levels.append(level)
        rows.append(
            {
                "level": np.asarray([level], np.float32),
                "lit": np.asarray([1 - yes, yes], np.float32),
                "noise": np.asarray([rng.integers(0, 3)], np.float32),
            }
        )
    return levels, rows


def write_lamp(path: Path, count: int, seed: int, *, names: dict[str, str] | None = None) -> Path:
    """Its recording; `names` are what models are called instead."""
    called = {name: (names or {}).get(name, name) for name in OUTPUTS}
    specs = make_specs({called[name]: output for name, output in OUTPUTS.items()})
    levels, rows = lamp(count, seed)
    digests = {name: f"{index:016x}" for index, name in enumerate(specs)}
    costs = {name: ModelCost(40 * 2**20, 0.01, 0.05) for name in specs}
    with TraceWriter(path, TraceInfo(f"lamp {seed}", 2.0, specs, digests, costs)) as writer:
        for sequence, (level, row) in enumerate(zip(levels, rows, strict=True)):
            said = {called[name]: value for name, value in row.items()}
            writer.append(sequence, sequence * STEP_S, encode_jpeg(picture(level)), said)
    return path


@pytest.fixture(scope="session")
def stem_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx")


@pytest.fixture(scope="session")
def lamp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lamp(tmp_path_factory.mktemp("lamp") / "lamp.trace", 240, 0)


@pytest.fixture(scope="session")
def lamp_training(tmp_path_factory: pytest.TempPathFactory, lamp_path: Path, stem_path: Path) -> LinksTraining:
    with Trace(lamp_path) as trace:
        return train_links(trace, out=tmp_path_factory.mktemp("links") / "links", stem=stem_path)
