"""A small model that says where the square of drawn frames is, for the most part, and an exit learnt from it."""

import functools
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import onnx
from infilink.filters.exits.gate import ExitGate
from infilink.filters.exits.spec import METADATA_KEY as EXIT_KEY
from infilink.filters.exits.spec import load_exit
from infilink.filters.exits.train import train_exit
from infilink.models.decoding import DecoderSpec
from infilink.models.inputs.picture import PictureInput
from infilink.models.spec import ModelSpec, write_spec
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace
from onnx import TensorProto, helper, numpy_helper

from ..conftest import draw
from ..local.made import respecify
from ..local.mixed import write_mixed

CLASSES = ("left", "right", "nothing")
SIDE = 12


def write_small(path: Path, *, gain: float = 8.0) -> Path:
    """A linear map of a small picture to the classes' shares, in another order than the big model's."""
    frames, places = draw(40, seed=11)
    small = [cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for frame in frames]
    x = np.stack([each.transpose(2, 0, 1).reshape(-1) for each in small]) / 255.0
    level = x.mean(axis=0)
    truth = np.eye(3)[places][:, [1, 2, 0]] - 1 / 3
    weights = np.linalg.solve((x - level).T @ (x - level) + 0.5 * np.eye(x.shape[1]), (x - level).T @ truth)
    arrays = {"weights": gain * weights / 255.0, "bias": -gain * level @ weights}
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["odds"]),
        helper.make_node("Softmax", ["odds"], ["shares"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    spec = ModelSpec(
        name="small",
        input=PictureInput(size=(SIDE, SIDE), color="BGR", resize="stretch", std=(1.0,)),
        output=OutputSpec(kind="label", classes=CLASSES),
        decoder=DecoderSpec(name="raw"),
    )
    write_spec(path, spec)
    return path


@functools.cache
def exit_bytes() -> bytes:
    """The file of `write_exit`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with Trace(write_mixed(folder / "mixed.trace", inputs=500, lot=False)) as trace:
            small = write_small(folder / "small.onnx")
            train_exit(trace, model="scene", small=small, accuracy=0.9, out=folder / "exit.onnx")
        return (folder / "exit.onnx").read_bytes()


def write_exit(path: Path) -> Path:
    """An exit that is sure of about half of the inputs that gates are checked on."""
    path.write_bytes(exit_bytes())
    spec = load_exit(path)[0]
    gate = ExitGate(path)
    doubts = [1.0 - gate.look(frame)[0] for frame in draw(40, seed=5)[0]]
    respecify(path, EXIT_KEY, spec.model_copy(update={"threshold": float(np.median(doubts))}))
    return path
