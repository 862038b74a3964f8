"""A model in two parts, over both real daemons: maps travel, answers are the whole model's, everything is counted."""

import json
import sqlite3

import numpy as np
import pytest
from infilink.device.results_read import Results
from infilink.filters.modalities.feature_map import FeatureMap
from infilink.filters.spec import FilterSpec
from infilink.filters.training.graphs import save_filter
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest
from infilink.models.split.split import split
from onnx import TensorProto, helper

from ..certificates import certificate
from ..models.split.models import write_chain
from .conftest import Daemon, brightness, infilink, write_toml

FRAMES = 120
# The map's size at the cut, and the brightness up to which frames are not worth sending.
MAP = (4, 16, 16)
DARK = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("whole") / "chain.onnx")


@pytest.fixture(scope="module")
def parts(whole, tmp_path_factory):
    return split(whole, "map", tmp_path_factory.mktemp("parts"), frames=[np.full((120, 160, 3), 99, np.uint8)])


@pytest.fixture(scope="module")
def tail_daemon(parts, tmp_path_factory):
    """One coordinator of the tail, for the tests that do it no harm."""
    values = {"listen": "127.0.0.1:0", "models": str(parts.tail.parent), "ledger": "ledger.sqlite"}
    started = Daemon(write_toml(tmp_path_factory.mktemp("tail") / "cloud.toml", values))
    yield started
    started.close()


def test_the_map_travels_and_the_answer_is_the_whole_models(start_daemon, start_agent, parts, video, tmp_path):
    daemon = start_daemon("--status-file", str(tmp_path / "status.json"), models=str(parts.tail.parent))
    agent = start_agent(daemon.address, head=str(parts.head))
    summary = agent.finish()
    assert (summary["frames"], summary["answered"], summary["refused"]) == (FRAMES, FRAMES, 0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert results.models == ["chain"]
        assert set(results.origins("chain")) == {"executed"}
        values = [float(value[0]) for value in results.served("chain")]
        sent = results.sent_bytes
    np.testing.assert_allclose(values, [brightness(i) for i in range(FRAMES)], atol=4)
    # A flat map of 4x16x16 numbers is next to nothing after zlib; as float32 it is 4 KiB.
    assert 0 < max(sent) < 400
    assert summary["sent_bytes"] >= sum(sent)
    assert all(text in agent.said() for text in ("maps of", "JPEG", "float32 4.0 KiB"))
    assert daemon.stop() == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert int(status["inputs"]) == FRAMES and int(status["models"][0]["executions"]) == FRAMES


@pytest.fixture
def dark(whole, tmp_path):
    """A filter that skips frames by how large their map is, in the mean: as large as they are bright."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", *MAP])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    spec = FilterSpec(
        kind="network",
        rule=f"value <= {DARK}",
        models={"chain": digest(whole)},
        reference="previous",
        threshold=float(DARK),
        accuracy=0.95,
        step_s=0.0,
        modality=FeatureMap(size=MAP, mean=(0.0,) * MAP[0], scale=(1.0,) * MAP[0]),
        certificate=certificate(),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save_filter(tmp_path / "dark.onnx", model, spec)
    return tmp_path / "dark.onnx"


def test_a_filter_of_maps_decides_on_the_device(tail_daemon, start_agent, parts, dark, tmp_path):
    summary = start_agent(tail_daemon.address, head=str(parts.head), gate=str(dark), audit=0.0).finish()
    assert summary["frames"] == FRAMES and summary["answered"] == summary["kept"]
    with Results(tmp_path / "results0.sqlite") as results:
        origins = results.origins("chain")
    assert origins.count("executed") == summary["kept"]
    # The video's codec moves what lies near the threshold.
    sure = [i for i in range(FRAMES) if abs(brightness(i) - DARK) > 5]
    assert [origins[i] for i in sure] == ["executed" if brightness(i) > DARK else "skipped" for i in sure]


def test_a_map_of_another_cut_is_refused(tail_daemon, start_agent, whole, tmp_path):
    other = split(whole, "sum", tmp_path / "other", frames=[np.full((120, 160, 3), 99, np.uint8)])
    summary = start_agent(tail_daemon.address, head=str(other.head)).finish()
    assert (summary["answered"], summary["refused"]) == (0, FRAMES)
    assert {"another cut" in text for text in refusals(tmp_path / "results0.sqlite")} == {True}


def test_maps_that_can_not_travel_are_refused_on_either_side(start_daemon, start_agent, tmp_path):
    """Bright frames' maps are more than float16 can say, dark ones' more than the coordinator takes."""
    loud = write_chain(tmp_path / "loud" / "chain.onnx", loud=400.0)
    dark = [np.full((120, 160, 3), 99, np.uint8)]
    parts = split(loud, "map", tmp_path / "parts", frames=dark, transfer="float16")
    daemon = start_daemon(models=str(parts.tail.parent), max_input_bytes=1024)
    summary = start_agent(daemon.address, head=str(parts.head)).finish()
    assert (summary["frames"], summary["answered"], summary["refused"]) == (FRAMES, 0, FRAMES)
    said = ["device" if "float16" in text else "cloud" for text in refusals(tmp_path / "results0.sqlite")]
    assert all("at most 1024" in text or "float16" in text for text in refusals(tmp_path / "results0.sqlite"))
    bright = [i for i in range(FRAMES) if brightness(i) * 400 > 70_000]
    assert bright and all(said[i] == "device" for i in bright) and said.count("cloud") > FRAMES // 2


def test_parts_that_do_not_go_together_are_one_line(daemon, tail_daemon, start_agent, parts):
    for address, settings in ((daemon.address, {"head": str(parts.head)}), (tail_daemon.address, {})):
        assert "second part of chain" in start_agent(address, **settings).refusal()


def test_a_tail_is_served_alone_and_whole(parts, whole, tmp_path):
    (tmp_path / "both").mkdir()
    for path in (parts.tail, whole):
        (tmp_path / "both" / path.name).symlink_to(path)
    tail_only = tmp_path / "alone"
    tail_only.mkdir()
    (tail_only / "tail.onnx").symlink_to(parts.tail)
    assert OnnxModel(parts.head).spec.name == "chain.head"
    for folder, more, said in ((tmp_path / "both", (), "chain"), (tail_only, ("--budget", "100MiB"), "served whole")):
        command = ["cloud", "--models", folder, "--ledger", tmp_path / "l", "--listen", "127.0.0.1:0", *more]
        done = infilink(*command)
        assert done.returncode == 2 and said in done.stderr


def refusals(path):
    with sqlite3.connect(path) as database:
        found = [row[0] for row in database.execute("SELECT refused FROM inputs ORDER BY sequence")]
    database.close()
    return found
