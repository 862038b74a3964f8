"""Writes a trained link as an ONNX file, node by node: a few matrix products that any runtime reads."""

from pathlib import Path

from ..link import LinkSpec
from ..sequences.export import residual_nodes, save_sequence
from ..sequences.residual import ResidualSequenceNetwork
from .export_paper import paper_nodes, paper_sequence_nodes
from .onnx_nodes import Nodes, Sizes, save
from .paper_sequence import PaperSequenceNetwork
from .paper_vector import PaperNetwork
from .vector import LinkNetwork, ResidualNetwork


def export_link(network: LinkNetwork, spec: LinkSpec, path: Path) -> None:
    """Writes `network` to `path`, with `spec` in its metadata."""
    if isinstance(network, ResidualSequenceNetwork):
        save_sequence(residual_nodes(network), network, spec, path)
    elif isinstance(network, PaperSequenceNetwork):
        save_sequence(paper_sequence_nodes(network), network, spec, path)
    else:
        assert isinstance(network, ResidualNetwork | PaperNetwork)
        parts = _nodes(network) if isinstance(network, ResidualNetwork) else paper_nodes(network)
        outputs: Sizes = {"vector": ("n", network.length), "agree": ("n", 1)}
        save(parts, spec, path, inputs={"features": ("n", spec.layout.size)}, outputs=outputs)


def _nodes(network: ResidualNetwork) -> Nodes:
    """`ResidualNetwork.predict`."""
    parts = Nodes()
    parts.linear("first", network.first, "features", "first")
    parts.node("Relu", ["first"], "first_on")
    parts.linear("second", network.second, "first_on", "second")
    parts.node("Relu", ["second"], "hidden")
    parts.linear("out", network.out, "hidden", "predicted")
    parts.linear("gate", network.gate, "hidden", "gate_logit")
    parts.node("Sigmoid", ["gate_logit"], "gate")
    parts.cut("features", network.last_at, network.last_at + network.length, "last")
    parts.node("Mul", ["gate", "last"], "kept")
    parts.node("Add", ["predicted", "kept"], "vector")
    parts.concat(["hidden", "vector"], "both")
    parts.linear("agree_hidden", network.agree_hidden, "both", "agree_first")
    parts.node("Relu", ["agree_first"], "agree_on")
    parts.linear("agree_out", network.agree_out, "agree_on", "agree_logit")
    parts.node("Sigmoid", ["agree_logit"], "agree")
    return parts
