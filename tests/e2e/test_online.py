"""A filter that keeps learning, over real daemons: its camera turns to infrared, and what it learnt by day is wrong."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from infilink.device.results import Results
from infilink.filters.modalities.stream import Channels
from infilink.filters.online.fit import new_network, train_further
from infilink.filters.online.inputs import join_seen, last_seen
from infilink.filters.online.memory import ReplayMemory
from infilink.filters.spec import FilterSpec, load_filter
from infilink.filters.training.graphs import save_filter
from infilink.filters.training.replay import Examples
from infilink.filters.training.temporal import network_graph
from onnx import TensorProto, helper

from ..certificates import certificate
from .conftest import FPS, finish, wait_until, write_video

FRAMES = 160
RULE = "value < 8"


def write_contrast(folder: Path) -> None:
    """A model that says how much there is to see: in infrared, where all is inverted, as much as by day."""
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


def draw(frames: int, *, seed: int, infrared: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames, half of them with a bright square somewhere; in infrared everything is grey and inverted."""
    random = np.random.default_rng(seed)
    needed = np.repeat(random.random(frames // 4 + 1) < 0.5, 4)[:frames]
    images = []
    for is_needed in needed:
        image = random.normal(60, 4, (120, 160, 3))
        if is_needed:
            x, y = random.integers(5, 100), random.integers(5, 70)
            image[y : y + 45, x : x + 50] = (190, 200, 210)
        image = image.clip(0, 255).astype(np.uint8)
        images.append(
            cv2.cvtColor(cv2.cvtColor(255 - image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if infrared else image
        )
    return images, needed


@pytest.fixture(scope="module")
def by_day(tmp_path_factory) -> Path:
    """A filter that was learnt by day."""
    images, needed = draw(200, seed=1, infrared=False)
    channels, seen = Channels(pairwise=False), []
    for i, image in enumerate(images):
        channels.see(image, i / FPS)
        seen.append(last_seen(channels, i / FPS))
    found = join_seen(seen)
    network = new_network(0)
    examples = Examples(found.images, found.scalars, needed.astype(np.float32))
    train_further(network, examples, ReplayMemory(2), steps=80, random=np.random.default_rng(0))
    spec = FilterSpec(
        kind="network",
        rule=RULE,
        models={"see": "0" * 16},
        reference="previous",
        threshold=0.5,
        accuracy=0.9,
        step_s=0.0,
        certificate=certificate(upper_bound=0.02),
    )
    path = tmp_path_factory.mktemp("day") / "day.onnx"
    save_filter(path, network_graph(network), spec)
    return path


def decided(results: Path, needed: np.ndarray, *, threshold: float | None = None) -> tuple[int, float, float]:
    """How many inputs were decided on (at that threshold), the share that the filter skips, and that it is right on."""
    with closing(sqlite3.connect(results)) as opened:
        found = opened.execute("SELECT sequence, score, threshold FROM inputs ORDER BY sequence").fetchall()
    rows = [row for row in found if threshold in (None, row[2])]
    if not rows:
        return 0, 0.0, 0.0
    skipped = np.asarray([score <= at for _, score, at in rows])
    truth = needed[np.asarray([sequence for sequence, _, _ in rows]) % len(needed)]
    return len(rows), float(skipped.mean()), float((skipped != truth).mean())


def test_a_filter_follows_its_camera_into_infrared(start_daemon, start_agent, by_day, tmp_path):
    write_contrast(tmp_path / "seeing")
    daemon = start_daemon(models=str(tmp_path / "seeing"))
    found = {}
    for i, (light, infrared) in enumerate((("day", False), ("night", True))):
        images, needed = draw(FRAMES, seed=2, infrared=infrared)
        video = write_video(tmp_path / f"{light}.avi", images)
        finish(start_agent(daemon.address, gate=str(by_day), source=str(video), audit=0.0))
        found[light] = decided(tmp_path / f"results{i}.sqlite", needed)
    assert found["day"][2] > 0.9 and found["night"][2] < 0.7, found
    folder, results = tmp_path / "online", tmp_path / "results2.sqlite"
    online = {"update": str(folder), "update_share": 0.2, "update_period_s": 3.0, "loop": True, "pace": "source"}
    agent = start_agent(daemon.address, gate=str(by_day), source=str(video), audit=0.0, **online)
    wait_until((folder / "filter.onnx").is_file, "an update", timeout_s=120)
    threshold = load_filter(folder / "filter.onnx")[0].threshold
    wait_until(lambda: decided(results, needed, threshold=threshold)[0] >= 40, "the new filter in service")
    agent.send_signal(signal.SIGTERM)
    out, err = agent.communicate(timeout=60)
    assert agent.returncode == 0, err
    summary = json.loads(out)
    _, rate, right = decided(results, needed, threshold=threshold)
    assert rate > 0.3 and right > 0.85, (rate, right, found, err)
    assert summary["updates"] >= 1 and summary["updates_failed"] == 0
    assert 0 < summary["asked"] < summary["labelled"]
    said = " ".join(err.split())
    assert "update 1 is in service" in said and "certified to lose at most 0.100" in said
    with Results(results) as seen:
        assert {"skipped", "executed"} <= set(seen.origins("see"))


def test_a_gate_that_can_not_learn_is_refused_at_the_start(daemon, start_agent, tmp_path):
    agent = start_agent(daemon.address, gate="every:2", update=str(tmp_path / "online"))
    _, err = agent.communicate(timeout=60)
    assert agent.returncode != 0
    assert "`update` goes with the path of a filter's .onnx" in " ".join(err.split())
