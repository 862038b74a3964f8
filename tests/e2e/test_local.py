"""Models that run on the device, over both real daemons: their outputs travel, and the cloud runs what is left."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import numpy as np
import pytest
from infilink import __version__
from infilink.device.results_read import Results
from infilink.links.graph import LinkGraph
from infilink.links.placement.cli import plan_devices
from infilink.models.cost import ModelCost
from infilink.models.placement import PlacementFile
from infilink.models.spec import digest
from infilink.protos import edge_pb2, edge_pb2_grpc

from .conftest import Daemon, brightness, wait_until, write_model, write_toml
from .links import write_links
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


def assert_said(path, model, origin, *, scale=1.0):
    with Results(path) as results:
        assert results.sequences == list(range(FRAMES))
        assert set(results.origins(model)) == {origin}
        values = [float(value[0]) for value in results.served(model)]
    np.testing.assert_allclose(values, [brightness(i) * scale for i in range(FRAMES)], atol=4 * scale)


def test_a_model_runs_on_the_device_and_the_others_on_its_frames_in_the_cloud(daemon, start_agent, local, tmp_path):
    before = daemon.executions()
    summary = start_agent(daemon.address, name="runs-one-itself", local=str(local)).finish()
    assert (summary["frames"], summary["answered"], summary["refused"]) == (FRAMES, FRAMES, 0)
    assert summary["local"]["executions"] == FRAMES and summary["local"]["peak_bytes"] > 2**20
    assert_said(tmp_path / "results0.sqlite", "bright", "local")
    assert_said(tmp_path / "results0.sqlite", "double", "executed", scale=2.0)
    assert daemon.executions() - before == {"double": FRAMES, "third": FRAMES}
    (device,) = (device for device in daemon.status().devices if device.name == "runs-one-itself")
    assert list(device.local) == ["bright"]
    assert device.report.frames == device.report.kept == FRAMES and device.report.memory_bytes > 0
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.trust("bright")) == {"exact"}


def test_where_every_model_runs_on_the_device_no_frame_travels(daemon, start_agent, models, tmp_path):
    before = daemon.executions()
    start_agent(daemon.address, local=str(models), gate="every:2").finish()
    assert daemon.executions() == before
    with Results(tmp_path / "results0.sqlite") as results:
        assert results.origins("third") == ["local", "reused"] * (FRAMES // 2)
        # Three outputs of four bytes each, and what names them.
        assert 0 < max(results.sent_bytes) < 250


def test_one_of_a_folders_models_runs_here_and_only_its_outputs_travel(daemon, start_agent, models, tmp_path):
    before = daemon.executions()
    settings = {"local": str(models), "local_models": ["double"], "send": "outputs"}
    summary = start_agent(daemon.address, **settings).finish()
    assert summary["answered"] == FRAMES
    assert_said(tmp_path / "results0.sqlite", "double", "local", scale=2.0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"constant"}, "it never ran, and there is no link"
        assert max(results.sent_bytes) < 100
    assert daemon.executions() == before


def test_a_coordinator_that_comes_back_answers_what_the_device_ran_once(start_daemon, start_agent, local, tmp_path):
    first = start_daemon()
    # It goes on until it is told to stop, so that it is at work when the coordinator dies.
    agent = start_agent(first.address, local=str(local), loop=True)
    first.answered(50)
    first.kill()
    second = start_daemon(listen=first.address)
    second.answered(50)
    agent.terminate()
    summary = agent.finish()
    frames = summary["frames"]
    assert summary["kept"] == summary["answered"] == summary["local"]["executions"] == frames and not summary["refused"]
    assert summary["connections"] == 2
    assert second.executions()["bright"] == 0
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"local"} and set(results.origins("double")) == {"executed"}
        values = [float(value[0]) for value in results.served("double")]
    np.testing.assert_allclose(values, [2 * brightness(i % FRAMES) for i in range(frames)], atol=8)


def test_another_version_of_a_model_and_one_that_is_not_there_are_refused(start_agent, daemon, tmp_path, models):
    other = tmp_path / "other"
    other.mkdir()
    write_model(other / "bright.onnx", scale=3.0)
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    write_model(unknown / "fourth.onnx")
    digests = digest(other / "bright.onnx"), digest(models / "bright.onnx")
    for folder, texts in ((other, ("'bright'", *digests)), (unknown, ("'fourth'", "bright, double, third"))):
        told = start_agent(daemon.address, local=str(folder)).refusal()
        assert all(text in told for text in texts), told


def test_a_coordinator_that_knows_of_no_such_outputs_is_told_from_one_that_does(start_agent, local):
    class Old(edge_pb2_grpc.EdgeServicer):
        def Connect(self, messages, context):  # noqa: N802
            next(messages)
            yield edge_pb2.CoordinatorMessage(welcome=edge_pb2.Welcome(version=__version__, max_in_flight=1))

    server = grpc.server(ThreadPoolExecutor(2))
    edge_pb2_grpc.add_EdgeServicer_to_server(Old(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    told = start_agent(f"127.0.0.1:{port}", local=str(local)).refusal()
    server.stop(None)
    assert "takes no outputs of models" in told


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
    session = "bad-" + "".join(letter for letter in text if letter.isalnum())
    greeting, good = local_hello(models, session), an_output(models)
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
name = "door" # its frames are too large for its network, and it has time for one of the models
inputs_per_s = 5.0
input_size = "40KB"
memory = "none"
cores = 0.01
network_per_s = "10KB"

[[device]]
name = "yard" # nothing fits it
inputs_per_s = 1.0
input_size = "40KB"
memory = "0B"
"""


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Two models that tell of each other, the links between them, and a placement: a device has time for one."""
    folder = tmp_path_factory.mktemp("learnt")
    (folder / "models").mkdir()
    write_model(folder / "models" / "bright.onnx")
    write_model(folder / "models" / "slow.onnx", scale=2.0)
    costs = {name: ModelCost(2**23, infer_s, 0.05) for name, infer_s in (("bright", 0.001), ("slow", 0.003))}
    agreements = {"slow": {("bright",): 0.95}, "bright": {("slow",): 0.95}}
    write_links(folder / "links", folder / "models", {"bright": 1.0, "slow": 2.0}, costs, agreements=agreements)
    (folder / "devices.toml").write_text(DEVICES)
    options = {"weights": {}, "explain": False, "as_json": False}
    plan_devices(LinkGraph.load(folder / "links"), folder / "devices.toml", out=folder / "placement.json", **options)
    return folder


@pytest.fixture(scope="module")
def placed_daemon(learnt):
    """A coordinator that does what the placement says."""
    values = {"listen": "127.0.0.1:0", "models": "models", "links": "links", "placement": "placement.json"}
    started = Daemon(write_toml(learnt / "cloud.toml", {**values, "ledger": "ledger.sqlite"}))
    yield started
    started.close()


def test_a_placement_is_what_both_daemons_do(learnt, placed_daemon, start_agent, tmp_path):
    placement = PlacementFile.load(learnt / "placement.json")
    assert placement.devices["door"].send == "outputs" and placement.devices["yard"].send == "inputs"
    assert placement.device("door").running("device") == ("bright",)
    assert placement.device("yard").running("cloud")
    before = placed_daemon.executions()
    settings = {"placement": str(learnt / "placement.json"), "device_class": "door"}
    start_agent(placed_daemon.address, local=str(learnt / "models"), **settings).finish()
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"local"} and set(results.origins("slow")) == {"linked"}
        served = [float(value[0]) for value in results.served("slow")]
        assert max(results.sent_bytes) < 200
    assert placed_daemon.executions() == before
    np.testing.assert_allclose(served, [2 * brightness(i) for i in range(FRAMES)], atol=8)
    # The other class has its frames looked at in the cloud; its name is the class's.
    start_agent(placed_daemon.address, name="yard", placement=str(learnt / "placement.json"), seconds=1.0).finish()
    ran = placed_daemon.executions() - before
    assert ran.keys() == set(placement.device("yard").running("cloud"))
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
        assert text in start_agent(placed_daemon.address, **{"name": "camera-0", **settings}).refusal()
    greeting = hello(session="placed")
    greeting.hello.device_class = "door"
    assert "has 'door' run bright: give both the same `placement`" in refusal(placed_daemon, greeting)[1]
    assert "the coordinator has no placement" in refusal(daemon, greeting)[1]


BEHIND = 30


def looked_at(path):
    """The frames so far that the model of the device looked at."""
    with Results(path) as results:
        origins = zip(results.sequences, results.origins("bright"), strict=True)
        return [sequence for sequence, origin in origins if origin == "local"]


def longest_gap(path):
    """How many frames that follow each other gave way to newer ones, at most."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT sequence FROM inputs WHERE refused = 'dropped' ORDER BY sequence").fetchall()
    dropped = np.array([sequence for (sequence,) in rows])
    return max(map(len, np.split(dropped, np.flatnonzero(np.diff(dropped) != 1) + 1)))


def test_what_waits_behind_a_model_of_the_device_is_bounded_and_the_newest_goes_first(
    start_daemon, start_agent, local, tmp_path
):
    daemon, path = start_daemon(), tmp_path / "results0.sqlite"
    agent = start_agent(daemon.address, local=str(local), queue="latest", loop=True)
    daemon.answered(5)
    # The decoder of the source was started before the model.
    _decoder, model = sorted(agent.model_processes(), key=lambda process: process.create_time())

    model.suspend()
    try:
        # Capture waits for no model.
        wait_until(lambda: longest_gap(path) > BEHIND, "frames that give way while the model stands still")
        before = len(looked_at(path))
    finally:
        model.resume()
    wait_until(lambda: len(looked_at(path)) >= before + 5, "the model goes on")
    agent.terminate()
    summary = agent.finish()
    assert summary["kept"] == summary["frames"] == summary["answered"] + summary["dropped"] + summary["refused"]
    # One frame was with the model and one waited: the others gave way, to the newest.
    assert max(np.diff(looked_at(path))) > BEHIND
