"""A small recorded site: two cameras, two models, twenty inputs each."""

from pathlib import Path

import numpy as np
from infilink.examples.demo.recorded import Recorded, Site
from infilink.examples.demo.site import Camera
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec

INPUTS = 20
LABEL = OutputSpec(kind="label", classes=("no", "yes"))
COUNT = OutputSpec(kind="count")


def recorded(name: str, seed: int) -> Recorded:
    """A camera whose answers change every few inputs."""
    random = np.random.default_rng(seed)
    states = np.repeat(random.integers(0, 2, INPUTS // 4), 4)
    labels: list[Array] = [np.eye(2, dtype=np.float32)[state] for state in states]
    counts: list[Array] = [np.asarray([3 * state], np.float32) for state in states]
    camera = Camera(name, f"{name}.mp4", name, 1, 4.0, 10.0, 5.0, 20, INPUTS)
    pictures = states[:, None] * 50.0 + random.random((INPUTS, 12))
    return Recorded(
        camera,
        np.arange(INPUTS) / 4,
        {"count": counts, "label": labels},
        None,
        None,
        np.arange(INPUTS) % 2 == 0,
        pictures.astype(np.float32),
        np.full(INPUTS, 1000),
        np.full(INPUTS, 100),
    )


def small_site(*, compute_share: float = 0.5, budget_bytes: int = 20, links: Path = Path("none")) -> Site:
    """Both models fit the memory; the compute is that share of the full run's."""
    costs = {name: ModelCost(memory_bytes=10, infer_s=0.01, load_s=0.02) for name in ("count", "label")}
    specs = {"count": ModelSpec(name="count", output=COUNT), "label": ModelSpec(name="label", output=LABEL)}
    cameras = {name: recorded(name, seed) for seed, name in enumerate(("door", "yard"))}
    full = sum(each.camera.fps for each in cameras.values()) * 0.02
    return Site(cameras, specs, costs, budget_bytes, compute_share * full, links, ("count", "label"))
