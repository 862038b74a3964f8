"""Trains the network that a target calls for: by whose net it is, and by whether the target gives tokens."""

from ..link import Net
from ..paper.fit import fit_paper, fit_paper_sequence
from ..sequences.fit import fit_sequence
from .draws import Situations
from .fit import fit_link
from .judge import Judge
from .network import LinkNetwork


def fit_target(situations: Situations, judge: Judge, *, net: Net, seed: int) -> LinkNetwork:
    """A trained network, in evaluation mode.

    Args:
        situations: the recording's, with ids if the network reads them (`reads_ids`).
        judge: compares the target's outputs.
        net: whose network.
        seed: of everything random.
    """
    tokens = situations.samples.encodings[situations.target].tokens is not None
    if net == "paper":
        fit = fit_paper_sequence if tokens else fit_paper
        return fit(situations, judge, seed=seed)
    return fit_sequence(situations, judge, seed=seed) if tokens else fit_link(situations, judge, seed=seed)
