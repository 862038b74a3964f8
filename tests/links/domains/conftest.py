"""Made-up domains: a count that follows from another, a label that a person sees otherwise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.links.domains.task import LinkTask, Pairs
from infilink.models.cost import ModelCost
from infilink.models.spec import parse_spec
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import TraceInfo, TraceWriter

COUNT = OutputSpec(kind="count")
SCENE = OutputSpec(kind="label", classes=("empty", "some", "busy"))


def count_pairs(seed: int, count: int, *, slope: float = 0.5, offset: float = 2.0, noise: float = 0.2) -> Pairs:
    """`vehicles` to `people`: a line that is rounded."""
    rng = np.random.default_rng(seed)
    vehicles = rng.integers(0, 12, (count, 1)).astype(np.float64)
    people = np.maximum(0.0, np.rint(offset + slope * vehicles + rng.normal(0.0, noise, (count, 1))))
    return Pairs(vehicles, people)


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Pairs]:
    return count_pairs


@pytest.fixture(scope="session")
def count_task() -> LinkTask:
    return LinkTask({"vehicles": COUNT}, "people", COUNT, {"vehicles": "v1", "people": "p1"})


def scene_rows(seed: int, count: int) -> tuple[list[Array], list[Array]]:
    """What a model says of a scene, and the truth: where it says "some" it is often "busy"."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    logits = rng.normal(0.0, 0.6, (count, 3))
    seen = np.where((truth == 2) & (rng.random(count) < 0.7), 1, truth)
    logits[np.arange(count), seen] += 3.0
    # What it sees of "busy" is there, it only does not say so.
    logits[:, 2] += np.where(truth == 2, 1.5, -1.5)
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return list(said.astype(np.float32)), list(np.eye(3, dtype=np.float32)[truth])


@pytest.fixture(scope="session")
def new_trace() -> Callable[..., Path]:
    """Writes a trace of outputs only: `new_trace(path, {"scene": (spec, values)})`."""

    def write(path: Path, models: dict[str, tuple[OutputSpec, list[Array]]]) -> Path:
        specs = {
            name: parse_spec({"name": name, "output": output.model_dump(exclude_defaults=True)}, where=name)
            for name, (output, _) in sorted(models.items())
        }
        costs = {name: ModelCost(1 << 20, 0.01, 0.1) for name in specs}
        digests = {name: f"digest of {name}" for name in specs}
        with TraceWriter(path, TraceInfo("made-up", 2.0, specs, digests, costs, input="none")) as writer:
            for row in range(len(next(iter(models.values()))[1])):
                outputs = {name: np.asarray(values[row], np.float32) for name, (_, values) in models.items()}
                writer.append(row, row * 0.5, b"", outputs)
        return path

    return write


@pytest.fixture(scope="session")
def scene_trace(tmp_path_factory: pytest.TempPathFactory, new_trace: Callable[..., Path]) -> Path:
    said, truth = scene_rows(1, 400)
    path = tmp_path_factory.mktemp("domains") / "scene.trace"
    return new_trace(path, {"scene": (SCENE, said), "human": (SCENE, truth)})
