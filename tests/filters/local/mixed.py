"""A trace of independent inputs."""

from pathlib import Path

import numpy as np
from infilink.codec import encode_jpeg
from infilink.models.cost import ModelCost
from infilink.traces.trace import TraceInfo, TraceWriter

from ..conftest import FPS, SPECS, draw

INPUTS = 400


def write_mixed(path: Path, *, inputs: int = INPUTS, seed: int = 0, times: str = "read", lot: bool = True) -> Path:
    """Drawn frames in any order, so that each input is a run of its own.

    Whether there is a square can be read off the stem's features; on which side it is, too, but what
    the other model says is drawn by `lot`.
    """
    frames, places = draw(inputs, seed)
    random = np.random.default_rng(seed)
    order = random.permutation(inputs).tolist()
    cost = ModelCost(memory_bytes=50 << 20, infer_s=0.02, load_s=0.2)
    info = TraceInfo("drawn", FPS, SPECS, dict.fromkeys(SPECS, "d0"), dict.fromkeys(SPECS, cost), times=times)
    with TraceWriter(path, info) as writer:
        for i, at in enumerate(order):
            scene = np.eye(3, dtype=np.float32)[random.integers(3) if lot else places[at]]
            outputs = {"scene": scene, "squares": np.asarray([places[at] > 0], np.float32)}
            writer.append(i, i / FPS, encode_jpeg(frames[at]), outputs)
    return path
