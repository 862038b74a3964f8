"""Builds an ONNX graph node by node, from arrays or torch's layers, and writes it as the file of a link."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ... import __version__
from ...files import replacing
from ..link import METADATA_KEY, LinkSpec

if TYPE_CHECKING:
    from torch import nn

Sizes = dict[str, tuple[int | str, ...]]
"""Shapes by name; a text is an axis of any length."""

_OPSET = 17
_IR_VERSION = 8
_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class Nodes:
    """Nodes and weights; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """A weight; the first of a name stays."""
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def parameter(self, name: str, value: Any) -> str:
        """A torch tensor as a weight."""
        return self.constant(name, value.detach().numpy())

    def node(self, kind: str, sources: list[str], target: str, **attributes: Any) -> str:
        """One operator with one output."""
        self.nodes.append(helper.make_node(kind, sources, [target], **attributes))
        return target

    def affine(self, name: str, matrix: npt.NDArray[Any], bias: npt.NDArray[Any], source: str, target: str) -> str:
        """A matrix (inputs, outputs) and a bias (outputs,) as one operator on rows (n, inputs)."""
        weight = self.constant(f"{name}.weight", matrix.astype(np.float32))
        return self.node("Gemm", [source, weight, self.constant(f"{name}.bias", bias.astype(np.float32))], target)

    def linear(self, name: str, layer: "nn.Linear", source: str, target: str) -> str:
        """A fully connected layer on the last axis, whatever lies before it."""
        weight = self.constant(f"{name}.weight", layer.weight.detach().numpy().T)
        if layer.bias is None:
            return self.node("MatMul", [source, weight], target)
        product = self.node("MatMul", [source, weight], f"{target}.product")
        return self.node("Add", [product, self.parameter(f"{name}.bias", layer.bias)], target)

    def cut(self, source: str, start: int, stop: int, target: str, *, axis: int = 1) -> str:
        """A slice of one axis."""
        bounds = [self.constant(f"{target}.{end}", np.asarray([at])) for end, at in (("from", start), ("to", stop))]
        return self.node("Slice", [source, *bounds, self.constant(f"axis.{axis}", np.asarray([axis]))], target)

    def concat(self, sources: list[str], target: str, *, axis: int = 1) -> str:
        """Side by side."""
        return self.node("Concat", sources, target, axis=axis)

    def add_axis(self, source: str, axis: int, target: str) -> str:
        """`source` with one more axis, of length 1."""
        return self.node("Unsqueeze", [source, self.constant(f"axis.{axis}", np.asarray([axis]))], target)

    def drop_axis(self, source: str, axis: int, target: str) -> str:
        """`source` without an axis of length 1."""
        return self.node("Squeeze", [source, self.constant(f"axis.{axis}", np.asarray([axis]))], target)

    def sum(self, source: str, axis: int, target: str, *, keep: bool = False) -> str:
        """The sum over an axis."""
        return self.node(
            "ReduceSum", [source, self.constant(f"axis.{axis}", np.asarray([axis]))], target, keepdims=int(keep)
        )


def save(
    parts: Nodes, spec: LinkSpec, path: Path, *, inputs: Sizes, outputs: Sizes, integers: frozenset[str] = frozenset()
) -> None:
    """Writes the graph to `path`, with `spec` in its metadata."""

    def ends(sizes: Sizes) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, _TYPES["int64" if name in integers else "float32"], list(shape))
            for name, shape in sizes.items()
        ]

    graph = helper.make_graph(parts.nodes, "link", ends(inputs), ends(outputs), list(parts.weights.values()))
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="infilink",
        producer_version=__version__,
    )
    model.metadata_props.add(key=METADATA_KEY, value=spec.dump())
    with replacing(path) as part:
        onnx.save(model, str(part))
