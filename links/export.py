"""Writes a trained link as an ONNX file, node by node: a few matrix products that any runtime reads."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .. import __version__
from ..outputs import Array
from .link import METADATA_KEY, LinkSpec
from .network import LinkNetwork

_OPSET = 17
_IR_VERSION = 8


class _Nodes:
    """The graph as it grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Array) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def linear(self, name: str, layer: nn.Linear, source: str, target: str) -> None:
        weight = self.constant(f"{name}.weight", layer.weight.detach().numpy().T.copy())
        bias = self.constant(f"{name}.bias", layer.bias.detach().numpy().copy())
        self.node("Gemm", [source, weight, bias], target)

    def node(self, kind: str, sources: list[str], target: str) -> None:
        self.nodes.append(helper.make_node(kind, sources, [target]))


def export_link(network: LinkNetwork, spec: LinkSpec, path: Path) -> None:
    """Writes `network` to `path`, with `spec` in its metadata; beside it first, then renamed."""
    parts = _forward(network)
    sizes = {"features": spec.layout.size, "vector": network.length, "agree": 1}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in sizes.items()}
    graph = helper.make_graph(parts.nodes, "link", [ends["features"]], [ends["vector"], ends["agree"]], parts.weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="infilink",
        producer_version=__version__,
    )
    model.metadata_props.add(key=METADATA_KEY, value=spec.dump())
    beside = path.with_name(path.name + ".part")
    onnx.save(model, str(beside))
    beside.replace(path)


def _forward(network: LinkNetwork) -> _Nodes:
    """`LinkNetwork.forward`, with the log-odds made a probability."""
    parts = _Nodes()
    parts.linear("first", network.first, "features", "first")
    parts.node("Relu", ["first"], "first_on")
    parts.linear("second", network.second, "first_on", "second")
    parts.node("Relu", ["second"], "hidden")
    parts.linear("out", network.out, "hidden", "predicted")
    parts.linear("gate", network.gate, "hidden", "gate_logit")
    parts.node("Sigmoid", ["gate_logit"], "gate")
    bounds = {"from": network.last_at, "to": network.last_at + network.length, "axis": 1}
    cut = [parts.constant(name, np.asarray([value])) for name, value in bounds.items()]
    parts.node("Slice", ["features", *cut], "last")
    parts.node("Mul", ["gate", "last"], "kept")
    parts.node("Add", ["predicted", "kept"], "vector")
    parts.nodes.append(helper.make_node("Concat", ["hidden", "vector"], ["both"], axis=1))
    parts.linear("agree_hidden", network.agree_hidden, "both", "agree_first")
    parts.node("Relu", ["agree_first"], "agree_on")
    parts.linear("agree_out", network.agree_out, "agree_on", "agree_logit")
    parts.node("Sigmoid", ["agree_logit"], "agree")
    return parts
