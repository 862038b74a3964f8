"""A model in two parts, over both real daemons: maps travel, answers are the whole model's, everything is counted."""

import json
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from infilink.device.record import record
from infilink.device.results import Results
from infilink.filters.rules.parser import parse_rule
from infilink.models.onnx_model import OnnxModel
from infilink.models.split.split import split
from infilink.traces.feature_maps import write_features
from infilink.traces.trace import Trace

from ..models.split.models import write_chain
from .conftest import Daemon, brightness, finish

FRAMES = 120


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("whole") / "chain.onnx")


@pytest.fixture(scope="module")
def parts(whole, tmp_path_factory):
    return split(whole, "map", tmp_path_factory.mktemp("parts"), frames=[np.full((120, 160, 3), 99, np.uint8)])


@pytest.fixture(scope="module")
def tail_daemon(parts, tmp_path_factory):
    """One coordinator of the tail, for the tests that do it no harm."""
    config = tmp_path_factory.mktemp("tail") / "cloud.toml"
    models = json.dumps(str(parts.tail.parent))
    config.write_text(f'listen = "127.0.0.1:0"\nmodels = {models}\nledger = "ledger.sqlite"\n')
    started = Daemon(config)
    yield started
    started.close()


def test_the_map_travels_and_the_answer_is_the_whole_models(start_daemon, start_agent, parts, video, tmp_path):
    daemon = start_daemon("--status-file", str(tmp_path / "status.json"), models=str(parts.tail.parent))
    agent = start_agent(daemon.address, head=str(parts.head))
    out, err = agent.communicate(timeout=60)
    assert agent.returncode == 0, err
    summary = json.loads(out)
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
    assert "maps of" in err and "JPEG" in err and "float32 4.0 KiB" in " ".join(err.split())
    assert daemon.stop() == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert int(status["inputs"]) == FRAMES and int(status["models"][0]["executions"]) == FRAMES


def test_a_filter_of_maps_decides_on_the_device(tail_daemon, start_agent, whole, parts, video, tmp_path):
    pytest.importorskip("torch")
    from infilink.filters.training.train import train_filter

    recorded = record(str(video), {"chain": whole}, tmp_path / "in.trace").path
    with Trace(recorded) as trace:
        write_features(parts.head, None, trace, tmp_path / "maps.trace")
    rule, out = parse_rule("value <= 100"), tmp_path / "map.onnx"
    with Trace(tmp_path / "maps.trace") as trace:
        train_filter(trace, models=["chain"], rule=rule, accuracy=0.6, out=out, modality="map")
    summary = finish(start_agent(tail_daemon.address, head=str(parts.head), gate=str(out)))
    assert summary["frames"] == FRAMES and 0 < summary["kept"] < FRAMES
    assert summary["answered"] == summary["kept"]
    with Results(tmp_path / "results0.sqlite") as results:
        origins = results.origins("chain")
    assert set(origins) == {"executed", "skipped"} and origins.count("executed") == summary["kept"]


def test_a_map_of_another_cut_is_refused(tail_daemon, start_agent, whole, tmp_path):
    other = split(whole, "sum", tmp_path / "other", frames=[np.full((120, 160, 3), 99, np.uint8)])
    summary = finish(start_agent(tail_daemon.address, head=str(other.head)))
    assert (summary["answered"], summary["refused"]) == (0, FRAMES)
    assert {"another cut" in text for text in refusals(tmp_path / "results0.sqlite")} == {True}


def test_maps_that_can_not_travel_are_refused_on_either_side(start_daemon, start_agent, tmp_path):
    """Bright frames' maps are more than float16 can say, dark ones' more than the coordinator takes."""
    loud = write_chain(tmp_path / "loud" / "chain.onnx", loud=400.0)
    dark = [np.full((120, 160, 3), 99, np.uint8)]
    parts = split(loud, "map", tmp_path / "parts", frames=dark, transfer="float16")
    daemon = start_daemon(models=str(parts.tail.parent), max_input_bytes=1024)
    summary = finish(start_agent(daemon.address, head=str(parts.head)))
    assert (summary["frames"], summary["answered"], summary["refused"]) == (FRAMES, 0, FRAMES)
    said = ["device" if "float16" in text else "cloud" for text in refusals(tmp_path / "results0.sqlite")]
    assert all("at most 1024" in text or "float16" in text for text in refusals(tmp_path / "results0.sqlite"))
    bright = [i for i in range(FRAMES) if brightness(i) * 400 > 70_000]
    assert bright and all(said[i] == "device" for i in bright) and said.count("cloud") > FRAMES // 2


def test_parts_that_do_not_go_together_are_one_line(daemon, tail_daemon, start_agent, parts):
    for address, settings in ((daemon.address, {"head": str(parts.head)}), (tail_daemon.address, {})):
        agent = start_agent(address, **settings)
        _, err = agent.communicate(timeout=60)
        assert agent.returncode == 2 and "second part of chain" in " ".join(err.split())


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
        assert done.returncode == 2 and said in " ".join(done.stderr.split())


def refusals(path):
    with sqlite3.connect(path) as database:
        found = [row[0] for row in database.execute("SELECT refused FROM inputs ORDER BY sequence")]
    database.close()
    return found


def infilink(*arguments):
    command = [sys.executable, "-m", "infilink.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
