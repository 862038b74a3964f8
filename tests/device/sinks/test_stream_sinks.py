"""A whole agent with sinks: each input comes once, in order, with its results, from one stream or several."""

import json
import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.agent import Agent
from infilink.device.config import DeviceConfig
from infilink.device.sinks.callback import Callback
from infilink.device.sinks.open_sinks import OpenSinks
from infilink.device.sinks.settings import JsonLinesConfig
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput
from infilink.models.spec import ModelSpec, read_spec
from infilink.outputs import OutputSpec
from infilink.protos import edge_pb2
from infilink.protos.arrays import write_array

from ..conftest import FRAMES
from ..coordinator import Coordinator, result

DEVICE = {"name": "yard", "pace": "max", "queue": "all"}


def brightness_of(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
    return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()))


@pytest.fixture
def bright(start_coordinator, tiny_models) -> Coordinator:
    return start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=brightness_of)


def test_a_program_is_given_each_input_with_its_results_and_picture(bright, video):
    seen = []
    config = DeviceConfig(**DEVICE, source=str(video), gate="every:3", audit=0.0, coordinator=bright.address)
    Agent(config, sinks=[Callback(seen.append, pictures=True)]).run()
    assert [item.sequence for item in seen] == list(range(FRAMES))
    levels = [item.picture.pixels().mean() for item in seen]
    said = [float(item.results[0].value[0]) for item in seen]
    # What was not sent has the answer to the input before it that was.
    assert said == pytest.approx([levels[sequence - sequence % 3] for sequence in range(FRAMES)], abs=2)
    assert [item.results[0].reference for item in seen[:4]] == [None, 0, 0, None]
    assert [(item.device, item.stream, item.kept) for item in seen[:2]] == [("yard", "", True), ("yard", "", False)]


def test_streams_share_a_sink_and_a_results_file_goes_on_beside_it(bright, video, tmp_path):
    bright.welcome.modalities.append("image")
    streams = {name: {"source": str(video), "results": str(tmp_path / f"{name}.sqlite")} for name in ("a", "b")}
    path = tmp_path / "r.jsonl"
    sinks = [{"kind": "jsonl", "path": str(path)}]
    config = DeviceConfig.model_validate({**DEVICE, "coordinator": bright.address, "streams": streams, "sinks": sinks})
    ends = Agent(config).run()
    assert {name: end.failure for name, end in ends.items()} == {"a": None, "b": None}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for name in ("a", "b"):
        assert [line["sequence"] for line in lines if line["stream"] == name] == list(range(FRAMES))
        assert (tmp_path / f"{name}.sqlite").exists()
    assert all(line["results"][0]["value"] > 0 for line in lines)


def test_an_event_is_written_and_told_to_the_other_sinks(start_coordinator, video, tmp_path):
    spec = ModelSpec(name="finder", virtual=True, output=OutputSpec(kind="boxes", classes=("car",)))

    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        there = [[0.2, 0.2, 0.8, 0.8, 0.9, 0.0]] * (10 <= message.sequence < 20)
        output = edge_pb2.Output(model="finder", kind="boxes", origin=edge_pb2.ORIGIN_EXECUTED, trust="exact")
        write_array(output, np.asarray(there, np.float32).reshape(-1, 6))
        return edge_pb2.CoordinatorMessage(result=edge_pb2.Result(sequence=message.sequence, outputs=[output]))

    coordinator = start_coordinator({"finder": spec}, answer=answer)
    events = []
    config = DeviceConfig(
        **DEVICE,
        source=str(video),
        coordinator=coordinator.address,
        event_pictures={"folder": tmp_path / "events"},
        results=tmp_path / "r.sqlite",
    )
    Agent(config, sinks=[Callback(lambda item: None, on_event=events.append)]).run()
    (event,) = events
    assert (event.what, event.inputs) == ("car", 10)
    assert (event.started_s, event.ended_s) == pytest.approx((1.0, 1.9))
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database:
        rows = database.execute("SELECT what, model, best, picture FROM events").fetchall()
    assert rows == [("car", "finder", event.best.sequence, str(event.path))]
    assert event.path.exists() and 10 <= event.best.sequence < 20


def test_a_sink_that_can_not_be_opened_ends_the_start(bright, video, tmp_path):
    (tmp_path / "file").write_text("")
    config = DeviceConfig.model_validate(
        {
            **DEVICE,
            "source": str(video),
            "coordinator": bright.address,
            "sinks": [{"kind": "video", "folder": str(tmp_path / "file")}],
        }
    )
    with pytest.raises(InvalidInput, match="is no folder"):
        StreamRun(config).run()


def test_two_sinks_can_not_write_to_one_place_and_one_is_closed_with_its_last_user(tmp_path):
    sinks = OpenSinks()
    one = JsonLinesConfig(kind="jsonl", path=tmp_path / "r")
    other = JsonLinesConfig(kind="jsonl", path=tmp_path / "r", files=2)
    with sinks.used([one]) as (first,):
        with sinks.used([one]) as (second,):
            assert first is second
        with pytest.raises(InvalidInput, match=r"sinks: two write to .*r: give each its own"), sinks.used([other]):
            pass
        assert not first.sink._file.closed
        file = first.sink._file
    assert file.closed
    with sinks.used([other]):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "sink-jsonl"]
