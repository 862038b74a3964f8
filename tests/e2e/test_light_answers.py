"""Light answers over real daemons: heads answer on the device, the rest is asked, what is learnt outlives a kill."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.device.results_read import Results
from infilink.filters.local.train import train_heads
from infilink.models.cost import ModelCost
from infilink.models.spec import digest, find_models, read_spec
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ..filters.stems import write_stem
from .conftest import brightness, grey, wait_until

INPUTS = 300
SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3}
CLOSE = 12


@pytest.fixture(scope="module")
def heads(tmp_path_factory, models) -> Path:
    """Heads for two models; what the third says of the trace nobody can tell from the picture."""
    folder, paths = tmp_path_factory.mktemp("heads"), find_models(models)
    specs, digests = ({name: of(path) for name, path in paths.items()} for of in (read_spec, digest))
    info = TraceInfo("steps", 2.0, specs, digests, dict.fromkeys(specs, ModelCost(2**20, 0.01, 0.1)))
    random = np.random.default_rng(0)
    with TraceWriter(folder / "steps.trace", info) as writer:
        for i in range(INPUTS):
            level = brightness(int(random.integers(120)))
            said = {name: np.asarray([scale * level], np.float32) for name, scale in SCALES.items()}
            said["third"] = np.asarray([random.uniform(0, 1000)], np.float32)
            writer.append(i, i / 2, encode_jpeg(grey(level)), said)
    with Trace(folder / "steps.trace") as trace:
        train_heads(
            trace,
            stem=Stem(write_stem(folder / "stem.onnx")),
            accuracy=0.8,
            out=folder / "heads.onnx",
            uncertified=True,
        )
    return folder / "heads.onnx"


@pytest.fixture(scope="module")
def slow_video(tmp_path_factory) -> Path:
    """A minute of two frames a second."""
    path = tmp_path_factory.mktemp("video") / "slow.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 2, (160, 120))
    for index in range(120):
        writer.write(grey(brightness(index)))
    writer.release()
    return path


def origins(path: Path) -> dict[str, list[str]]:
    with Results(path) as results:
        return {model: results.origins(model) for model in results.models}


def test_heads_answer_and_the_model_in_doubt_is_asked(start_daemon, start_agent, heads, slow_video, tmp_path):
    daemon = start_daemon()
    summary = start_agent(daemon.address, gate=str(heads), source=str(slow_video), audit=0.1).finish()
    assert summary["frames"] == summary["kept"] == summary["answered"] == 120
    assert 0 < summary["audited"] < 60
    found = origins(tmp_path / "results0.sqlite")
    assert set(found["third"]) == {"executed"}
    for model in ("bright", "double"):
        local, executed = (found[model].count(origin) for origin in ("local", "executed"))
        # What the audit draws, and what the head is not sure of.
        assert local + executed == 120 and summary["audited"] <= executed == daemon.executions()[model] < 60
    assert summary["light_answers"] == sum(rows.count("local") for rows in found.values())
    with Results(tmp_path / "results0.sqlite") as results:
        levels = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(levels, [brightness(index) for index in range(120)], atol=CLOSE)
    with closing(sqlite3.connect(tmp_path / "results0.sqlite")) as database:
        rows = database.execute("SELECT DISTINCT sources FROM results WHERE origin = 'local'").fetchall()
    assert rows == [("stem",)]


def test_what_was_learnt_outlives_a_kill(start_daemon, start_agent, heads, slow_video, tmp_path):
    daemon, state = start_daemon(), tmp_path / "learnt.npz"
    asked = {"gate": str(heads), "source": str(slow_video), "audit": 0.2, "loop": True, "update": str(state)}
    # Some of its frames are dark, and nothing is learnt from a camera that may be covered.
    asked["camera"] = {"watch": False}

    def learnt() -> int:
        with np.load(state, allow_pickle=False) as found:
            return int(json.loads(str(found["plain"]))["inputs"])

    agent = start_agent(daemon.address, **asked)
    wait_until(state.exists, "what was learnt in the first minute")
    os.kill(agent.process.pid, signal.SIGKILL)
    agent.process.wait()
    before = learnt()
    assert before > 0
    summary = start_agent(daemon.address, **{**asked, "loop": False}).finish()
    assert summary["learnt"] == summary["answered"] > 0
    assert learnt() == before + summary["learnt"]
    rows = origins(tmp_path / "results1.sqlite")
    assert "local" in rows["bright"] and "executed" in rows["third"]


def test_a_gate_that_can_not_learn_is_refused_at_the_start(daemon, start_agent, tmp_path):
    agent = start_agent(daemon.address, gate="every:2", update=str(tmp_path / "learnt.npz"))
    assert "`update` goes with the path of a filter's .onnx" in agent.refusal()
