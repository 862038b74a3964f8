"""The network of a target, trained: the MLink paper's, or ours for one that gives tokens."""

from ..link import Net
from ..networks.vector import LinkNetwork
from ..sequences.fit import fit_sequence
from .fit import fit_link
from .fit_paper import fit_paper, fit_paper_sequence
from .judge import Judge
from .samples import Situations


def fit_target(situations: Situations, judge: Judge, *, net: Net, seed: int) -> LinkNetwork:
    """A trained network, in evaluation mode.

    Args:
        situations: the recording's, with ids if the network reads them (`reads_ids`).
        judge: compares the target's outputs.
        net: whose network: "ours" or the MLink "paper"'s.
        seed: of everything random.
    """
    tokens = situations.samples.encodings[situations.target].tokens is not None
    if net == "paper":
        fit = fit_paper_sequence if tokens else fit_paper
        return fit(situations, judge, seed=seed)
    return fit_sequence(situations, judge, seed=seed) if tokens else fit_link(situations, judge, seed=seed)
