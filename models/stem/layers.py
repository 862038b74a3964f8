"""A model's layers at any size of its picture: what maps they give, and what each costs (needs the `onnx` package)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from ...errors import InvalidInput
from ..inputs.picture import PictureInput
from .focus import find_focus
from .folding import MOST_NUMBERS, fold
from .quantized import LIKE_FIRST, scale_of
from .resized import Shape, resized, stride_of
from .single import in_single_precision

STRIDES = (4, 8, 16, 32)
"""The maps that may serve have so many pixels of the picture to a place, along either side."""

# What goes on with a layer's numbers before the next layer: a tensor that one of these reads is not finished.
_GOES_ON = (
    "BatchNormalization,InstanceNormalization,Relu,LeakyRelu,PRelu,Clip,Sigmoid,HardSigmoid,HardSwish,Elu,Selu,Celu,"
    "Softplus,Tanh,Erf,Gelu,Mish,QuantizeLinear,DequantizeLinear,Identity,Cast,Dropout"
).split(",")
_WEIGHTED = ("Conv", "QLinearConv", "ConvInteger", "FusedConv")
_LEAST_LAYERS = 3
_LEAST_PLACES = 6
_MOST_ROUNDS = 40
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(frozen=True)
class Map:
    """A tensor inside a model that may serve.

    Attributes:
        name: in the graph.
        stride: pixels of the picture to a place, along either side.
        shape: channels, rows and columns at the size that was asked for.
        cost: multiplications up to it.
        ends: it is the last of its stride on the way to smaller ones.
        after: the layers that it comes from, convolutions counted.
    """

    name: str
    stride: int
    shape: tuple[int, int, int]
    cost: float
    ends: bool
    after: int


class Layers:
    """A model's graph, in single precision, at any size where that can be.

    Args:
        path: the `.onnx` file.
        fed: how a frame becomes its input.

    Attributes:
        entry: the input's name.
        opsets: the versions of its operators.
        weights: by name.
        functions: what its operators are made of, where it says so itself.

    Raises:
        InvalidInput: it is no ONNX model, or takes something else than a picture.
    """

    def __init__(self, path: Path, fed: PictureInput) -> None:
        self.path, self.fed = path, fed
        try:
            model = onnx.load(str(path))
        except Exception as error:  # of protobuf's own types
            raise InvalidInput(f"{path}: not an ONNX model ({' '.join(str(error).split())[:200]})") from error
        self._model = in_single_precision(model)
        graph = self._model.graph
        self.opsets = list(model.opset_import)
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        inputs = {value.name: value for value in graph.input if value.name not in self.weights}
        if len(inputs) != 1:
            raise InvalidInput(
                f"{path}: takes {len(inputs)} inputs ({', '.join(inputs)}), and a stem has its picture only"
            )
        self.entry, entry = next(iter(inputs.items()))
        if len(entry.type.tensor_type.shape.dim) != 4:
            raise InvalidInput(f"{path}: its input {self.entry!r} is no picture")
        self.entry_type = entry.type.tensor_type.elem_type
        few = {name: numpy_helper.to_array(each) for name, each in self.weights.items() if _is_short(each)}
        self._constants = few | fold(graph.node, few, {}, self.opsets)
        self.functions = list(model.functions)
        self._own, self._types = self._infer(list(graph.node), fed.size)

    def nodes(self, maps: Sequence[str], size: Shape) -> list[Any]:
        """The nodes that `maps` come from for a picture of `size`, in order."""
        nodes = self._resized(size)
        focus = find_focus(nodes, self.entry, self._constants)
        if focus is not None and focus.convolution.input[1] in self.weights:
            weight = numpy_helper.to_array(self.weights[focus.convolution.input[1]])
            one, wide = focus.as_one(self.entry, weight)
            self.weights[wide.name] = wide
            nodes = [one if node is focus.convolution else node for node in nodes]
        return _closure(nodes, maps)

    def as_float(self, name: str, given: str) -> tuple[str, list[Any]]:
        """A tensor in single precision: its name, and the nodes that make it that."""
        if self._types.get(name) == TensorProto.FLOAT:
            return name, []
        scale = scale_of(list(self._model.graph.node), name)
        if scale is None:
            return given, [helper.make_node("Cast", [name], [given], to=TensorProto.FLOAT)]
        return given, [helper.make_node("DequantizeLinear", [name, *scale], [given])]

    def maps(self, size: Shape) -> list[Map]:
        """The maps that may serve for a picture of `size` (width, height), in the graph's order."""
        nodes = self._resized(size)
        shapes, types = self._infer(nodes, size)
        readers: dict[str, list[Any]] = {}
        for node in nodes:
            for name in reads(node):
                readers.setdefault(name, []).append(node)
        strides = {name: stride_of(shape, size) for name, shape in shapes.items()}
        behind: dict[str, int] = {self.entry: 0}
        costs, layers = np.zeros(len(nodes)), np.zeros(len(nodes), int)
        found: list[Map] = []
        passed: set[int] = set()
        for i, node in enumerate(nodes):
            above = 1 << i
            flows = False
            for name in reads(node):
                flows |= name in behind
                above |= behind.get(name, 0)
            if not flows:
                continue
            behind |= dict.fromkeys(filter(None, node.output), above)
            costs[i], layers[i] = _cost(node, shapes), node.op_type in _WEIGHTED
            name = node.output[0]
            stride = strides.get(name, 0)
            passed.add(stride)
            if stride not in STRIDES or shapes[name][2] * shapes[name][3] < _LEAST_PLACES:
                continue
            if types.get(name) not in _FLOATS and scale_of(nodes, name) is None:
                continue
            after = readers.get(name, [])
            if any(each.op_type in _GOES_ON for each in after):
                continue
            parts = [k for k in range(i + 1) if above >> k & 1]
            if layers[parts].sum() < _LEAST_LAYERS:
                continue
            channels, rows, columns = shapes[name][1:]
            ends = 2 * stride not in passed
            found.append(
                Map(name, stride, (channels, rows, columns), float(costs[parts].sum()), ends, int(layers[parts].sum()))
            )
        # Of those before the next stride only the last ends its own.
        last = {each.stride: each.name for each in found if each.ends}
        return [Map(**{**vars(each), "ends": last.get(each.stride) == each.name}) for each in found]

    def _resized(self, size: Shape) -> list[Any]:
        return resized(list(self._model.graph.node), self._own, self._constants, self.fed.size, size)

    def _infer(self, nodes: Sequence[Any], size: Shape) -> tuple[dict[str, Shape], dict[str, int]]:
        """Every tensor's shape for a picture of `size`, as far as the graph tells, and its type."""
        width, height = size
        channels = 1 if self.fed.color == "GRAY" else 3
        shape = (1, channels, height, width) if self.fed.layout == "NCHW" else (1, height, width, channels)
        inputs = [helper.make_tensor_value_info(self.entry, self.entry_type, shape)]
        # Long weights' numbers say nothing of shapes, and might be gigabytes.
        few = [tensor for tensor in self.weights.values() if _is_short(tensor)]
        inputs += [
            helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
            for name, tensor in self.weights.items()
            if not _is_short(tensor)
        ]
        known = [
            helper.make_node("Identity", node.input[:1], node.output[:1]) if node.op_type in LIKE_FIRST else node
            for node in nodes
        ]
        outputs = [onnx.ValueInfoProto(name=value.name) for value in self._model.graph.output]
        constants = dict(self._constants)
        shapes, types = dict[str, Shape](), dict[str, int]()
        for _ in range(_MOST_ROUNDS):
            graph = helper.make_graph(known, "shapes", inputs, outputs, few)
            model = helper.make_model(graph, opset_imports=self.opsets, functions=self.functions)
            model.ir_version = self._model.ir_version
            shapes, types = _told(model)
            more = fold(known, constants, shapes, self.opsets)
            if not more:
                break
            constants |= more
            known = [
                helper.make_node("Constant", [], node.output, value=numpy_helper.from_array(more[node.output[0]]))
                if node.output[0] in more
                else node
                for node in known
            ]
        shapes |= {tensor.name: tuple(tensor.dims) for tensor in few}
        return shapes, types


def _told(model: Any) -> tuple[dict[str, Shape], dict[str, int]]:
    """The shapes that onnx tells of, where they are known in full, and the types."""
    try:
        told = shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # of onnx's own types; what it can't follow offers nothing
        return {}, {}
    shapes, types = {}, {}
    for value in (*told.value_info, *told.input):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        if kind.HasField("shape") and all(each.HasField("dim_value") for each in kind.shape.dim):
            shapes[value.name] = tuple(each.dim_value for each in kind.shape.dim)
    return shapes, types


def _is_short(tensor: Any) -> bool:
    """Whether a weight's numbers may be sizes."""
    return int(np.prod(tensor.dims)) <= MOST_NUMBERS


def reads(node: Any) -> list[str]:
    """What a node reads, in the graphs inside it too."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names += [name for inner in graph.node for name in reads(inner)]
    return names


def _closure(nodes: Sequence[Any], wanted: Sequence[str]) -> list[Any]:
    """The nodes that `wanted` come from, in order."""
    needed, found = set(wanted), []
    for node in reversed(nodes):
        if needed & set(node.output):
            found.append(node)
            needed |= set(reads(node))
    return found[::-1]


def _cost(node: Any, shapes: Mapping[str, Shape]) -> float:
    """Multiplications of a node for one picture."""
    given = float(np.prod(shapes.get(node.output[0], (0,))))
    if node.op_type in _WEIGHTED:
        weight = node.input[3 if node.op_type == "QLinearConv" else 1]
        return given * float(np.prod(shapes.get(weight, (0,))[1:]))
    if node.op_type in ("MatMul", "Gemm"):
        return given * shapes.get(node.input[0], (0,))[-1]
    return given
