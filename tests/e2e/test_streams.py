"""A device with several streams, over the wire alone: each is answered by the models that look at it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from infilink.models.inputs.form import InputForm
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.arrays import read_array
from infilink.protos.payloads import write_array_payload
from onnx import TensorProto, helper

from .conftest import METADATA, Daemon, write_model

SHAKE = InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y"))


def write_shake(path: Path) -> None:
    """A model that says the mean of each of two channels over eight steps."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["signal"], ["out"], axes=[2], keepdims=0)],
        "shake",
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, [1, 2, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text(
        'name = "shake"\n[input]\nmodality = "signal"\nchannels = ["x", "y"]\nsteps = 8\nrate_hz = 32.0\n'
        '[output]\nkind = "vector"\nlength = 2\n'
    )


@pytest.fixture
def site(tmp_path: Path, start_daemon) -> Daemon:
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "bright.onnx")
    write_shake(folder / "shake.onnx")
    return start_daemon(models=str(folder))


def converse(
    daemon: Daemon, hello: edge_pb2.Hello, inputs: list[edge_pb2.Input]
) -> Iterator[edge_pb2.CoordinatorMessage]:
    messages = [edge_pb2.DeviceMessage(hello=hello), *(edge_pb2.DeviceMessage(input=each) for each in inputs)]
    with grpc.insecure_channel(daemon.address) as channel:
        yield from edge_pb2_grpc.EdgeStub(channel).Connect(iter(messages), metadata=METADATA)


def hello(stream: str, form: InputForm, **more: object) -> edge_pb2.Hello:
    return edge_pb2.Hello(device="arm", session="1", stream=stream, form=form.model_dump_json(), **more)


def signal(sequence: int, value: np.ndarray, **more: object) -> edge_pb2.Input:
    payload = write_array_payload(value)
    return edge_pb2.Input(sequence=sequence, encoding=edge_pb2.ENCODING_ARRAY, payload=payload, **more)


def test_each_stream_is_answered_by_the_models_that_look_at_it(site: Daemon) -> None:
    window = np.arange(16, dtype=np.float32).reshape(8, 2)
    wrist = list(converse(site, hello("wrist", SHAKE), [signal(0, window, stream="wrist"), signal(1, 2 * window)]))
    assert set(wrist[0].welcome.modalities) == {"image", "signal"}
    results = [message.result for message in wrist if message.HasField("result")]
    assert [[output.model for output in result.outputs] for result in results] == [["shake"], ["shake"]]
    np.testing.assert_allclose(read_array(results[1].outputs[0]), 2 * window.mean(axis=0))
    # The same sequences of the same run on another stream are other inputs.
    ankle = list(converse(site, hello("ankle", SHAKE), [signal(0, -window)]))
    np.testing.assert_allclose(read_array(ankle[1].result.outputs[0]), -window.mean(axis=0))
    # And one that is repeated is answered from the ledger.
    again = list(converse(site, hello("wrist", SHAKE), [signal(0, -window)]))
    np.testing.assert_allclose(read_array(again[1].result.outputs[0]), window.mean(axis=0))
    status = {device.name: device for device in site.status().devices}
    assert set(status) == {"arm/wrist", "arm/ankle"} and status["arm/wrist"].modality == "signal"


def test_an_input_that_is_not_of_the_streams_form_is_refused_and_nothing_else(site: Daemon) -> None:
    good = np.zeros((8, 2), np.float32)
    inputs = [signal(0, good[:7]), signal(1, good), signal(2, np.full((8, 2), np.nan, np.float32))]
    inputs.append(edge_pb2.Input(sequence=3, encoding=edge_pb2.ENCODING_JPEG, payload=b"\xff\xd8no picture"))
    _, short, fine, bad, picture = converse(site, hello("wrist", SHAKE), inputs)
    assert "8 samples" in short.refused.message and fine.HasField("result")
    assert "NaN" in bad.refused.message and "JPEG" in picture.refused.message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"form": json.dumps({"modality": "smell"})}, "modality"),
        ({"form": InputForm(modality="text").model_dump_json()}, "no model here looks at.*text.*bright: it looks at"),
        ({"form": SHAKE.model_dump_json(), "models": ["bright"]}, "'bright' does not look at this stream"),
        ({"stream": "a/b"}, "`stream`"),
        ({"form": " " * 5000}, "at most 4096"),
    ],
)
def test_a_stream_that_nobody_can_look_at_is_refused(site: Daemon, more: dict[str, object], said: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(converse(site, edge_pb2.Hello(device="arm", session="1", **more), []))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert re.search(said, caught.value.details())
