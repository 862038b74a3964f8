"""Writes a trained link as an ONNX file, node by node: a few matrix products that any runtime reads."""

from pathlib import Path

from ..link import LinkSpec
from ..sequences.export import residual_nodes, save_sequence
from ..sequences.residual import ResidualSequenceNetwork
from .export_paper import paper_nodes, paper_sequence_nodes
from .onnx_nodes import Sizes, save
from .paper_sequence import PaperSequenceNetwork
from .paper_vector import PaperNetwork
from .vector import LinkNetwork


def export_link(network: LinkNetwork, spec: LinkSpec, path: Path) -> None:
    """Writes `network` to `path`, with `spec` in its metadata."""
    if isinstance(network, ResidualSequenceNetwork):
        save_sequence(residual_nodes(network), network, spec, path)
    elif isinstance(network, PaperSequenceNetwork):
        save_sequence(paper_sequence_nodes(network), network, spec, path)
    else:
        assert isinstance(network, PaperNetwork)
        outputs: Sizes = {"vector": ("n", network.length), "agree": ("n", 1)}
        save(paper_nodes(network), spec, path, inputs={"features": ("n", spec.layout.size)}, outputs=outputs)
