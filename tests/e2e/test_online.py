"""A filter that keeps learning, over real daemons: what the models say of a few frames makes another filter."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.device.results import Results
from infilink.filters.online.fit import new_network
from infilink.filters.spec import FilterSpec, load_filter
from infilink.filters.training.graphs import save_filter
from infilink.filters.training.temporal import network_graph
from infilink.models.spec import digest
from onnx import TensorProto, helper

from ..certificates import certificate
from .conftest import wait_until, write_video

FRAMES = 160
RULE = "value < 8"
# Above every score.
SKIPS_ALL = 2.0


def write_contrast(folder: Path) -> None:
    """A model that says how much there is to see."""
    folder.mkdir()
    axes = {"axes": [1, 2, 3], "keepdims": 1}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], **axes),
        helper.make_node("Sub", ["image", "mean"], ["centred"]),
        helper.make_node("Abs", ["centred"], ["off"]),
        helper.make_node("ReduceMean", ["off"], ["contrast"], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "contrast",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("contrast", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "see.onnx")
    (folder / "see.toml").write_text(
        'name = "see"\n[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\ntolerance = 4.0\n'
    )


def draw(frames: int, *, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames, half of them with a bright square somewhere; and which."""
    random = np.random.default_rng(seed)
    needed = np.repeat(random.random(frames // 4 + 1) < 0.5, 4)[:frames]
    images = []
    for is_needed in needed:
        image = random.normal(60, 4, (120, 160, 3))
        if is_needed:
            x, y = random.integers(5, 100), random.integers(5, 70)
            image[y : y + 45, x : x + 50] = (190, 200, 210)
        images.append(image.clip(0, 255).astype(np.uint8))
    return images, needed


@pytest.fixture
def skips_all(tmp_path) -> Path:
    """A filter that has learnt nothing and skips whatever comes; what it is to learn from is there, too."""
    write_contrast(tmp_path / "seeing")
    spec = FilterSpec(
        kind="network",
        rule=RULE,
        models={"see": digest(tmp_path / "seeing" / "see.onnx")},
        reference="previous",
        threshold=SKIPS_ALL,
        accuracy=0.9,
        step_s=0.0,
        certificate=certificate(upper_bound=0.02),
    )
    save_filter(tmp_path / "skips all.onnx", network_graph(new_network(0)), spec)
    return tmp_path / "skips all.onnx"


@dataclass(frozen=True)
class Decided:
    """A frame that was decided on."""

    needed: bool
    kept: bool
    score: float
    threshold: float


def decided(results: Path, needed: np.ndarray) -> list[Decided]:
    """The frames so far; the first is kept in any case."""
    with closing(sqlite3.connect(results)) as opened:
        rows = opened.execute("SELECT sequence, kept, score, threshold FROM inputs ORDER BY sequence").fetchall()
    return [Decided(bool(needed[i % len(needed)]), bool(kept), *numbers) for i, kept, *numbers in rows[1:]]


def lost(frames: list[Decided]) -> float:
    """The share of the needed frames that were not kept."""
    return float(np.mean([not frame.kept for frame in frames if frame.needed]))


def test_a_filter_that_loses_what_is_needed_hears_of_it_and_is_replaced(start_daemon, start_agent, skips_all, tmp_path):
    daemon = start_daemon(models=str(tmp_path / "seeing"))
    images, needed = draw(FRAMES, seed=2)
    video, results = write_video(tmp_path / "scene.avi", images), tmp_path / "results0.sqlite"
    online = {"update": str(tmp_path / "online"), "update_share": 0.5, "update_period_s": 2.0}
    # Its update is another process, which is to have a processor to itself: frames come at their own pace.
    agent = start_agent(
        daemon.address, gate=str(skips_all), source=str(video), audit=0.0, loop=True, pace="source", **online
    )

    def replaced() -> list[Decided]:
        return [frame for frame in decided(results, needed) if frame.threshold != SKIPS_ALL]

    wait_until(lambda: "update 1 is in service" in agent.said(), "an update")
    wait_until(lambda: len(replaced()) >= 40, "the new filter's decisions")
    agent.terminate()
    summary = agent.finish()
    assert summary["updates"] >= 1 and summary["updates_failed"] == 0
    assert "certified to lose at most 0.100" in agent.said()
    spec, _ = load_filter(tmp_path / "online" / "filter.onnx")
    assert spec.rule == RULE and spec.models.keys() == {"see"}
    frames, after = decided(results, needed), replaced()
    before = [frame for frame in frames if frame.threshold == SKIPS_ALL]
    # What the filter would skip is kept for nothing but to be learnt from.
    assert sum(frame.kept and frame.score <= frame.threshold for frame in frames) == summary["asked"]
    assert all(frame.kept for frame in frames if frame.score > frame.threshold)
    assert 0 < summary["asked"] < summary["labelled"]
    # With nothing proven it keeps everything; with a proof it loses no more than that allows.
    assert lost(after) < lost(before)
    with Results(results) as seen:
        assert {"skipped", "executed"} <= set(seen.origins("see"))


def test_a_gate_that_can_not_learn_is_refused_at_the_start(daemon, start_agent, tmp_path):
    agent = start_agent(daemon.address, gate="every:2", update=str(tmp_path / "online"))
    assert "`update` goes with the path of a filter's .onnx" in agent.refusal()
