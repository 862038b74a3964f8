"""The stems of the benchmarks: chosen on learnt parts alone, and the same with weights that know nothing."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from infilink.models.spec import digest
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from onnx import numpy_helper
from recordings import Place, turned


def make_stem(learnt: Sequence[Trace], place: Place, name: str) -> Path:
    """The stem that `infilink train stem` chooses by these learnt parts, each a file of its own."""
    if place.stem is not None:
        return place.stem
    path = place.folder / f"{name}.stem.onnx"
    if not path.exists():
        command = [sys.executable, "-m", "infilink.cli", "train", "stem", *(str(trace.path) for trace in learnt)]
        command += ["--models", str(place.models), "--latency", place.latency, "--out", str(path), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        path.with_suffix(".json").write_text(done.stdout)
    return path


def site_stem(place: Place, turn: int) -> Path:
    """One stem for all clips: of their learnt parts, if each began so much later."""
    if place.stem is not None:
        return place.stem
    return make_stem(
        [turned(place.recording(clip), place.folder, turn)[0] for clip in place.clips], place, f"site_{turn}"
    )


def shuffled(stem: Path, folder: Path) -> Path:
    """The same stem with weights of the same size that know nothing."""
    path = folder / f"{stem.stem}.random.onnx"
    if not path.exists():
        model = onnx.load(str(stem))
        rng = np.random.default_rng(0)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.ndim == 4 and array.dtype == np.float32:
                made = rng.standard_normal(array.shape) * np.sqrt(2.0 / np.prod(array.shape[1:]))
                tensor.CopyFrom(numpy_helper.from_array(made.astype(np.float32), tensor.name))
        onnx.save(model, str(path))
    return path


def seen(stem: Path, trace: Trace, folder: Path) -> Array:
    """The stem's features of every input: float32 (inputs, features)."""
    path = folder / f"{trace.path.name}.{digest(stem)[:12]}.npy"
    if not path.exists():
        np.save(path, Stem(stem).see_all(trace.frames()).features)
    return np.asarray(np.load(path))
