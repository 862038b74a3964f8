"""Tiny models that every suite may use: made in milliseconds, run in microseconds, each answer known beforehand."""

import os
import sys
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, settings
from infilink.models.spec import parse_spec, write_spec
from onnx import TensorProto, helper

# A busy machine takes its time: neither an example's nor its drawing is measured.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Byte code is kept, whatever the environment says: else each of hundreds of daemons would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

LONGEST = ("examples", "real", "e2e", "checks")
"""The folders whose tests take longest: begun first, so that two workers end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = {folder: place for place, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: folders.get(item.path.relative_to(Path(__file__).parent).parts[0], len(LONGEST)))


SIZE = 16
SPECS = {
    "bright": {"output": {"kind": "scalar", "tolerance": 50.0}},
    "light": {"output": {"kind": "label", "classes": ["dark", "bright"]}, "decoder": {"name": "softmax"}},
    "corner": {"output": {"kind": "boxes", "classes": ["spot"]}, "decoder": {"name": "boxes", "units": "pixels"}},
}
INPUT = {"size": [SIZE, SIZE], "std": [1.0]}


def constant(name: str, values: list[float], shape: list[int]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, shape, values)


def mean() -> onnx.NodeProto:
    return helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0)


def save_graph(
    path: Path, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], shape: list[int | str]
) -> Path:
    """An ONNX file from `image` (1, 3, 16, 16) to `out`."""
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def bright(path: Path) -> Path:
    """The frame's mean, 0 to 255."""
    return save_graph(path, [mean(), helper.make_node("Identity", ["mean"], ["out"])], [], [1])


def light(path: Path) -> Path:
    """Two logits: 100 against the mean."""
    nodes = [
        mean(),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["out"]),
    ]
    return save_graph(path, nodes, [constant("slope", [0, 1], [2]), constant("offset", [100, 0], [2])], [2])


def corner(path: Path) -> Path:
    """One box in the top left quarter, as sure of it as the frame is bright."""
    nodes = [
        mean(),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["out"]),
    ]
    slope, offset = constant("slope", [0, 0, 0, 0, 1 / 255, 0], [6]), constant("offset", [0, 0, 8, 8, 0, 0], [6])
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [1, 1, 6])
    return save_graph(path, nodes, [slope, offset, shape], [1, 1, 6])


@pytest.fixture
def make_certificate(tmp_path: Path):
    """Makes a certificate and its key, `make_certificate("localhost")`; signed by itself, or `by` another."""
    from .tls import Certificates

    return Certificates(tmp_path)


@pytest.fixture(scope="session")
def make_model():
    """Makes one tiny model, `make_model(folder, "bright")`; without its spec if `spec` is False."""
    makers = {"bright": bright, "light": light, "corner": corner}

    def make(folder: Path, name: str, *, spec: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = makers[name](folder / f"{name}.onnx")
        if spec:
            write_spec(path, parse_spec({"name": name, "input": INPUT, **SPECS[name]}, where=name))
        return path

    return make


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory, make_model) -> Path:
    """A folder with `bright` (a scalar), `light` (a label) and `corner` (boxes), specs inside; not to be written to."""
    folder = tmp_path_factory.mktemp("tiny-models")
    for name in SPECS:
        make_model(folder, name)
    return folder
