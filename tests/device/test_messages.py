"""What is sent of a kept frame: itself, what models here say of it, or both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.local_models import open_local
from infilink.device.messages import InputBuilder, KeptInput, result_row
from infilink.device.result_rows import InputRow, ResultRow
from infilink.device.sources.base import Input
from infilink.device.uplink.payload_encoder import JpegEncoder
from infilink.errors import ModelFailed
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest
from infilink.protos import edge_pb2

FRAME = Input(7, 0.5, np.full((24, 32, 3), 50, np.uint8))
ROW = InputRow(7, 0.5, True, 0.9, 0.5, 0.001, 0.6)
MODELS = ("bright", "corner", "elsewhere")


def kept(*unsent: str) -> KeptInput:
    """The frame, with these models not to look at it."""
    rows = tuple(ResultRow(name, 7, 0.5, "skipped", 0.9, True) for name in unsent)
    return KeptInput(FRAME, ROW, rows, 99, False, None)


@pytest.fixture
def builder(tiny_models: Path):
    """Builders of a device that runs `bright` and `corner`."""
    opened = []

    def make(virtual=(), **settings):
        values = {"name": "d", "source": "0", "coordinator": "h:1", "queue": "all", "local": tiny_models}
        config = DeviceConfig(**{**values, "local_models": ("bright", "corner"), **settings})
        local = open_local(config)
        opened.append(local)
        local.load()
        return InputBuilder(config, JpegEncoder(90), local, MODELS, virtual=virtual)

    yield make
    for local in opened:
        local.close()


def test_frames_travel_with_what_was_said_of_them(builder, tiny_models):
    message, local = builder().build(kept())
    assert (message.sequence, message.captured_ns, message.deadline_ns) == (7, 500_000_000, 99)
    assert message.score == pytest.approx(ROW.score)
    assert message.payload[:2] == b"\xff\xd8" and not message.models and message.policy == edge_pb2.POLICY_ALL
    assert [output.model for output in message.outputs] == ["bright", "corner"]
    for output in message.outputs:
        path = tiny_models / f"{output.model}.onnx"
        row = result_row(7, 0.5, output)
        assert np.array_equal(row.value, OnnxModel(path).infer(FRAME.value)) and row.origin == "local"
        assert output.digest == digest(path) == local[output.model].digest
    assert [output.kind for output in message.outputs] == ["scalar", "boxes"]


def test_a_gate_without_scores_sends_none(builder):
    assert not builder().build(replace(kept(), row=replace(ROW, score=None)))[0].HasField("score")


def test_a_frame_that_only_models_here_look_at_stays_here(builder):
    message, local = builder().build(kept("elsewhere", "corner"))
    assert message.payload == b"" and list(message.models) == ["bright"] and list(local) == ["bright"]


def test_a_frame_that_is_left_for_a_virtual_model_alone_stays_here(builder):
    """Nothing runs for it: the coordinator answers it from what the models here said."""
    message, local = builder(virtual=["elsewhere"]).build(kept("corner"))
    assert message.payload == b"" and list(message.models) == ["bright", "elsewhere"] and list(local) == ["bright"]


def test_where_frames_do_not_travel_every_model_here_looks_as_others_hang_on_that(builder):
    message, local = builder(send="outputs").build(kept("bright"))
    assert message.payload == b"" and list(message.models) == ["corner", "elsewhere"]
    assert set(local) == {"bright", "corner"}


def test_what_failed_here_is_left_to_the_cloud_if_it_sees_the_frame(builder):
    inputs, alone = builder(), builder(send="outputs")
    for one in (inputs, alone):
        one.local.close()
    inputs.local, alone.local = Failing(inputs.local.models), Failing(alone.local.models)
    message, local = inputs.build(kept("elsewhere"))
    assert message.payload and list(message.models) == ["bright", "corner"] and not local and not message.outputs
    with pytest.raises(ModelFailed, match="all of them"):
        alone.build(kept())


class Failing:
    """Models that all fail on every frame."""

    def __init__(self, models):
        self.models = models

    def run(self, image, names):
        raise ModelFailed(f"all of them: {', '.join(names)}")
