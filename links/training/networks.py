"""The network of a target, trained: the MLink paper's, or ours for one that gives tokens."""

from ..link import Net
from ..networks.vector import LinkNetwork
from ..sequences.fit import fit_sequence
from .fit_paper import fit_paper, fit_paper_sequence
from .judge import Judge
from .samples import Situations


def fit_network(situations: Situations, judge: Judge, *, net: Net, seed: int) -> LinkNetwork:
    """A trained network, in evaluation mode.

    Args:
        situations: the recording's, with ids if the network reads them (`reads_ids`).
        judge: compares the target's outputs.
        net: whose network: the MLink "paper"'s; or "ours", which there is only for a target that gives tokens.
        seed: of everything random.
    """
    tokens = situations.samples.encodings[situations.target].tokens is not None
    if net == "paper":
        return (fit_paper_sequence if tokens else fit_paper)(situations, judge, seed=seed)
    assert tokens, "links to everything but tokens are in closed form"
    return fit_sequence(situations, judge, seed=seed)
