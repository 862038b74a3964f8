"""A small trace whose answers are known: a square that comes, moves, rests and goes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.models.cost import ModelCost
from infilink.models.inputs.picture import PictureInput
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

FPS = 10.0


def spec_of(name: str, output: OutputSpec) -> ModelSpec:
    return ModelSpec(name=name, input=PictureInput(size=(64, 64)), output=output)


SPECS = {
    "scene": spec_of("scene", OutputSpec(kind="label", classes=("nothing", "left", "right"))),
    "squares": spec_of("squares", OutputSpec(kind="count")),
}


def draw(inputs: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Frames with noise, and where the square is: 0 nowhere, 1 left, 2 right."""
    random = np.random.default_rng(seed)
    backdrop = np.random.default_rng(99).integers(40, 120, (120, 160, 3)).astype(np.float32)
    backdrop = cv2.GaussianBlur(backdrop, (0, 0), 6)
    frames, places = [], []
    place, left, x = 0, 0, 0.0
    for _ in range(inputs):
        if left == 0:
            place, left = int((place + random.integers(1, 3)) % 3), int(random.integers(6, 18))
            x = {0: 0.0, 1: 20.0, 2: 100.0}[place]
        left -= 1
        image = backdrop + random.normal(0, 2, backdrop.shape)
        if place:
            x += random.uniform(0, 2)
            image[50:80, int(x) : int(x) + 30] = 220
        frames.append(image.clip(0, 255).astype(np.uint8))
        places.append(place)
    return frames, places


def write_trace(
    path: Path,
    *,
    inputs: int = 260,
    seed: int = 0,
    digest: str = "d0",
    said: Sequence[int] | None = None,
    still: bool = False,
    infer_s: float = 0.02,
) -> Path:
    """A trace of such frames.

    Args:
        path: where it is written.
        inputs: how many frames.
        seed: of what is drawn.
        digest: the models' version.
        said: where the models say that the square is, if not where it is.
        still: whether all frames are the first one.
        infer_s: what each model takes for a frame.
    """
    frames, places = draw(inputs, seed)
    if still:
        frames = frames[:1] * inputs
    cost = ModelCost(memory_bytes=50 << 20, infer_s=infer_s, load_s=0.2)
    info = TraceInfo("drawn", FPS, SPECS, dict.fromkeys(SPECS, digest), dict.fromkeys(SPECS, cost))
    with TraceWriter(path, info) as writer:
        for i, (frame, place) in enumerate(zip(frames, said or places, strict=True)):
            outputs = {"scene": np.eye(3, dtype=np.float32)[place], "squares": np.asarray([place > 0], np.float32)}
            writer.append(i, i / FPS, encode_jpeg(frame), outputs)
    return path


@pytest.fixture(scope="session")
def trace_path(tmp_path_factory) -> Path:
    return write_trace(tmp_path_factory.mktemp("traces") / "drawn.trace")


@pytest.fixture
def trace(trace_path):
    with Trace(trace_path) as opened:
        yield opened


@pytest.fixture
def make_trace(tmp_path):
    """Writes another such trace: `write_trace` has the options."""
    return lambda name="other.trace", **options: write_trace(tmp_path / name, **options)


@pytest.fixture(scope="session")
def short_trace_path(tmp_path_factory) -> Path:
    """As short as something can still be learnt from: the square is there or not, and nothing hides it.

    With twelve seeds, the network on a stream scored every later frame with a square above .99, the others below .25.
    """
    return write_trace(tmp_path_factory.mktemp("short") / "drawn.trace", inputs=100)


def train(trace_path, out, rule, **options):
    """A filter of one of these traces."""
    from infilink.filters.rules.parser import parse_rule
    from infilink.filters.training.train import train_filter

    with Trace(trace_path) as opened:
        return train_filter(
            opened, rule=parse_rule(rule), out=out, **{"accuracy": 0.8, "seed": 3, "uncertified": True, **options}
        )
