"""Models that run on the device, over both real daemons: their outputs travel, and the cloud runs what is left."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from infilink import __version__
from infilink.device.record import record
from infilink.device.results import Results
from infilink.links.graph import LinkGraph
from infilink.links.placement.cli import plan_devices
from infilink.links.training.train import train_links
from infilink.models.placement import PlacementFile
from infilink.models.spec import digest, find_models
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.traces.trace import Trace

from .conftest import Daemon, brightness, finish, wait_until, write_model
from .test_wire import an_input, hello, refusal, talk

FRAMES = 120


def copied(models: Path, folder: Path, *names: str) -> Path:
    """A folder with the same files of some models."""
    folder.mkdir()
    for name in names:
        for suffix in (".onnx", ".toml"):
            shutil.copy(models / f"{name}{suffix}", folder)
    return folder


@pytest.fixture
def local(models, tmp_path):
    return copied(models, tmp_path / "here", "bright")


def executions(daemon):
    return {model.name: model.executions for model in daemon.status().models}


def assert_said(path, model, origin, *, scale=1.0):
    with Results(path) as results:
        assert results.sequences == list(range(FRAMES))
        assert set(results.origins(model)) == {origin}
        values = [float(value[0]) for value in results.served(model)]
    np.testing.assert_allclose(values, [brightness(i) * scale for i in range(FRAMES)], atol=4 * scale)


def test_a_model_runs_on_the_device_and_the_others_on_its_frames_in_the_cloud(
    start_daemon, start_agent, local, tmp_path
):
    daemon = start_daemon()
    summary = finish(start_agent(daemon.address, local=str(local)))
    assert (summary["frames"], summary["answered"], summary["refused"]) == (FRAMES, FRAMES, 0)
    assert summary["local"]["executions"] == FRAMES and summary["local"]["peak_bytes"] > 2**20
    assert_said(tmp_path / "results0.sqlite", "bright", "local")
    assert_said(tmp_path / "results0.sqlite", "double", "executed", scale=2.0)
    assert executions(daemon) == {"bright": 0, "double": FRAMES, "third": FRAMES}
    (device,) = daemon.status().devices
    assert list(device.local) == ["bright"] and device.report.memory_bytes > summary["local"]["peak_bytes"]
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.trust("bright")) == {"exact"}


def test_where_every_model_runs_on_the_device_no_frame_travels(start_daemon, start_agent, models, tmp_path):
    daemon = start_daemon()
    finish(start_agent(daemon.address, local=str(models), gate="every:2"))
    assert executions(daemon) == dict.fromkeys(("bright", "double", "third"), 0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert results.origins("third") == ["local", "reused"] * (FRAMES // 2)
        # Three outputs of four bytes each, and what names them.
        assert 0 < max(results.sent_bytes) < 250


def test_one_of_a_folders_models_runs_here_and_only_its_outputs_travel(start_daemon, start_agent, models, tmp_path):
    daemon = start_daemon()
    settings = {"local": str(models), "local_models": ["double"], "send": "outputs"}
    summary = finish(start_agent(daemon.address, **settings))
    assert summary["answered"] == FRAMES
    assert_said(tmp_path / "results0.sqlite", "double", "local", scale=2.0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"constant"}, "it never ran, and there is no link"
        assert max(results.sent_bytes) < 100
    assert executions(daemon) == dict.fromkeys(("bright", "double", "third"), 0)


def test_a_coordinator_that_comes_back_answers_what_the_device_ran_once(start_daemon, start_agent, local, tmp_path):
    first = start_daemon()
    agent = start_agent(first.address, local=str(local), loop=True, seconds=12)
    wait_until(lambda: first.status().inputs >= 50, "50 answers")
    first.kill()
    second = start_daemon(listen=first.address)
    summary = finish(agent)
    assert (summary["frames"], summary["answered"], summary["refused"]) == (300, 300, 0)
    assert summary["connections"] == 2 and summary["local"]["executions"] == 300
    assert executions(second)["bright"] == 0
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"local"} and set(results.origins("double")) == {"executed"}
        values = [float(value[0]) for value in results.served("double")]
    np.testing.assert_allclose(values, [2 * brightness(i % FRAMES) for i in range(300)], atol=8)


def test_another_version_of_a_model_and_one_that_is_not_there_are_refused(start_agent, daemon, tmp_path, models):
    other = tmp_path / "other"
    other.mkdir()
    write_model(other / "bright.onnx", scale=3.0)
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    write_model(unknown / "fourth.onnx")
    digests = digest(other / "bright.onnx"), digest(models / "bright.onnx")
    for folder, texts in ((other, ("'bright'", *digests)), (unknown, ("'fourth'", "bright, double, third"))):
        agent = start_agent(daemon.address, local=str(folder))
        _, err = agent.communicate(timeout=60)
        told = "".join(err.split())
        assert agent.returncode == 2 and all("".join(text.split()) in told for text in texts), err


def test_a_coordinator_that_knows_of_no_such_outputs_is_told_from_one_that_does(start_agent, local):
    class Old(edge_pb2_grpc.EdgeServicer):
        def Connect(self, messages, context):  # noqa: N802
            next(messages)
            yield edge_pb2.CoordinatorMessage(welcome=edge_pb2.Welcome(version=__version__, max_in_flight=1))

    server = grpc.server(ThreadPoolExecutor(2))
    edge_pb2_grpc.add_EdgeServicer_to_server(Old(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    agent = start_agent(f"127.0.0.1:{port}", local=str(local))
    _, err = agent.communicate(timeout=60)
    server.stop(None)
    assert agent.returncode == 2 and "takes no outputs of models" in " ".join(err.split())


def an_output(models, name="bright", value=7.0, **fields):
    value = np.asarray([value], "<f4").tobytes()
    values = {"digest": digest(models / f"{name}.onnx"), "kind": "scalar", "shape": [1], "dtype": "float32", **fields}
    return edge_pb2.Output(**{"model": name, "value": value, **values})


def local_hello(models, session):
    # A device of its own: the coordinator, and so its ledger, is the one of all tests.
    message = hello(device="local", session=session)
    message.hello.local["bright"] = digest(models / "bright.onnx")
    return message


def test_a_repeated_input_is_answered_from_the_ledger_whatever_it_carries(daemon, models):
    greeting = local_hello(models, "carried")
    first = talk(daemon, greeting, an_input(1, b"", outputs=[an_output(models)]), an_input(2))
    assert list(first[0].welcome.local) == ["bright"]
    assert [output.model for output in first[1].result.outputs] == ["double", "third"]
    # A frame without its output: the model runs here after all.
    assert [output.model for output in first[2].result.outputs] == ["bright", "double", "third"]
    again = talk(daemon, greeting, an_input(1, b"", outputs=[an_output(models, value=9.0)]))
    assert again[1] == first[1]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"value": float("nan")}, "bright: a scalar output holds NaN"),
        ({"shape": [2]}, "4 bytes are no float32 of shape (2,)"),
        ({"shape": [2**32 - 1, 2**32 - 1]}, "are no float32"),
        ({"dtype": "float64"}, "in 'float64', not 'scalar' in 'float32'"),
        ({"kind": "count"}, "of kind 'count'"),
        ({"digest": "f" * 16}, "with digest 'ffffffffffffffff'"),
        ({"name": "double"}, "did not say it runs"),
    ],
)
def test_a_malformed_output_is_refused_and_the_stream_goes_on(daemon, models, fields, text):
    greeting, good = local_hello(models, f"bad {text}"), an_output(models)
    bad = an_input(2, b"", outputs=[an_output(models, **fields)])
    answers = talk(daemon, greeting, an_input(1, b"", outputs=[good]), bad, an_input(3, outputs=[good]))[1:]
    assert [message.WhichOneof("message") for message in answers] == ["result", "refused", "result"]
    refused = answers[1].refused
    assert refused.code == edge_pb2.REFUSED_CODE_INVALID and text in refused.message


def test_two_outputs_of_a_model_and_too_many_bytes_are_refused(daemon, models):
    greeting, good = local_hello(models, "twice"), an_output(models)
    large = an_output(models, value=0.0)
    large.value = bytes(9 * 2**20)
    large.shape[:] = [9 * 2**18]
    answers = talk(daemon, greeting, an_input(1, outputs=[good, good]), an_input(2, b"", outputs=[large]))[1:]
    assert "two outputs of 'bright'" in answers[0].refused.message
    assert "must have shape (1,)" in answers[1].refused.message
    many = an_input(3, b"\xff\xd8" + bytes(8 * 2**20 - 4), outputs=[good])
    assert "at most 8388608" in talk(daemon, greeting, many)[1].refused.message


DEVICES = """
[cloud]
memory = "none"
cores = 4.0

[[device]]
name = "door" # its frames are too large for its network
inputs_per_s = 5.0
input_size = "40KB"
memory = "none"
cores = {cores}
network_per_s = "10KB"

[[device]]
name = "yard" # nothing fits it
inputs_per_s = 1.0
input_size = "40KB"
memory = "0B"
"""


@pytest.fixture(scope="module")
def learnt(video, tmp_path_factory):
    """Two models that tell of each other, the links between them, and a placement: a device has time for one."""
    folder = tmp_path_factory.mktemp("learnt")
    (folder / "models").mkdir()
    write_model(folder / "models" / "bright.onnx")
    write_model(folder / "models" / "slow.onnx", scale=2.0, repeat=40)
    record(str(video), find_models(folder / "models"), folder / "in.trace")
    with Trace(folder / "in.trace") as trace:
        train_links(trace, out=folder / "links")
    graph = LinkGraph.load(folder / "links")
    costs = sorted(cost.infer_s for cost in graph.costs.values())
    (folder / "devices.toml").write_text(DEVICES.format(cores=5.0 * (costs[0] + costs[1]) / 2))
    options = {"weights": {}, "explain": False, "as_json": False}
    plan_devices(graph, folder / "devices.toml", out=folder / "placement.json", **options)
    return folder


@pytest.fixture(scope="module")
def placed_daemon(learnt):
    """A coordinator that does what the placement says."""
    config = learnt / "cloud.toml"
    values = {"listen": "127.0.0.1:0", "models": "models", "links": "links", "placement": "placement.json"}
    values["ledger"] = "ledger.sqlite"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    started = Daemon(config)
    yield started
    started.close()


def test_a_placement_is_what_both_daemons_do(learnt, placed_daemon, start_agent, tmp_path):
    placement = PlacementFile.load(learnt / "placement.json")
    assert placement.devices["door"].send == "outputs" and placement.devices["yard"].send == "inputs"
    assert placement.device("door").running("device") == ("bright",)
    assert placement.device("yard").running("cloud")
    before = executions(placed_daemon)
    settings = {"placement": str(learnt / "placement.json"), "device_class": "door"}
    finish(start_agent(placed_daemon.address, local=str(learnt / "models"), **settings))
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"local"} and set(results.origins("slow")) == {"linked"}
        served = [float(value[0]) for value in results.served("slow")]
        assert max(results.sent_bytes) < 200
    assert executions(placed_daemon) == before
    off = np.abs(np.asarray(served) - [2 * brightness(i) for i in range(FRAMES)])
    assert np.median(off) < 15
    # The other class has its frames looked at in the cloud; its name is the class's.
    finish(start_agent(placed_daemon.address, name="yard", placement=str(learnt / "placement.json"), seconds=1.0))
    ran = {name: count - before[name] for name, count in executions(placed_daemon).items()}
    assert {name for name, count in ran.items() if count} == set(placement.device("yard").running("cloud"))
    assert set(placed_daemon.status().resident) == set(placement.device("yard").running("cloud"))


def test_devices_that_are_not_placed_so_are_refused(learnt, placed_daemon, daemon, start_agent, tmp_path):
    placement, other = str(learnt / "placement.json"), tmp_path / "other"
    other.mkdir()
    write_model(other / "bright.onnx", scale=3.0)
    wrong = [
        ({"placement": placement}, "no class of devices is called 'camera-0'"),
        ({"placement": placement, "device_class": "door"}, "give their folder as `local`"),
        ({"placement": placement, "device_class": "door", "local": str(other)}, "was planned for"),
    ]
    for settings, text in wrong:
        agent = start_agent(placed_daemon.address, **{"name": "camera-0", **settings})
        _, err = agent.communicate(timeout=60)
        assert agent.returncode == 2 and "".join(text.split()) in "".join(err.split()), err
    greeting = hello(session="placed")
    greeting.hello.device_class = "door"
    assert "has 'door' run bright: give both the same `placement`" in refusal(placed_daemon, greeting)[1]
    assert "the coordinator has no placement" in refusal(daemon, greeting)[1]


def test_what_waits_behind_a_model_of_the_device_is_bounded_and_the_newest_goes_first(
    start_daemon, start_agent, models, tmp_path
):
    slow = tmp_path / "both"
    copied(models, slow, "bright")
    write_model(slow / "slow.onnx", repeat=20_000)
    daemon = start_daemon(models=str(slow))
    summary = finish(start_agent(daemon.address, local=str(slow), queue="latest", pace="source", seconds=3))
    assert summary["dropped"] > 10 and summary["answered"] + summary["dropped"] == summary["kept"] == 75
    assert summary["fps"] > 10, "capture waits for no model"
