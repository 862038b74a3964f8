"""The paper's network of a target that is a vector: a link from each source, and the ensemble that adds them up."""

from collections.abc import Mapping

import torch
from torch import nn

from ..encoding import Encoding
from ..features import FeatureLayout
from ..training.network import AGREE_WIDTH, VectorNetwork
from .pairs import SeqToVec, VecToVec


class PaperNetwork(VectorNetwork):
    """Every source's link, times the source's weights, summed; the target's activation comes after that.

    The weights are trained with all sources and serve any subset of them; one source alone is answered by its link.
    The paper leaves the shape of the weights open: here a source has one for each number of the target's vector. It
    has no confidence; the head for that is ours. The last exact output is not read.

    Args:
        layout: what it reads.
        encodings: how each model's outputs become vectors.
        target: the model that is predicted.
    """

    def __init__(self, layout: FeatureLayout, encodings: Mapping[str, Encoding], target: str) -> None:
        super().__init__()
        self.layout = layout
        self.length = layout.target_length
        self.links = nn.ModuleDict()
        for name in usable(layout):
            tokens = encodings[name].tokens
            self.links[name] = (
                VecToVec(layout.lengths[name], self.length) if tokens is None else SeqToVec(tokens.size, self.length)
            )
        count = max(1, len(self.links))
        self.weights = nn.Parameter(torch.full((len(self.links), self.length), 1.0 / count))
        self.agree_hidden = nn.Linear(len(self.links) + 2 * self.length, AGREE_WIDTH)
        self.agree_out = nn.Linear(AGREE_WIDTH, 1)

    def linked(self, features: torch.Tensor) -> torch.Tensor:
        """What each source's link says (n, sources, length), there or not."""
        if not self.links:
            return features.new_zeros(len(features), 0, self.length)
        return torch.stack([link(source_of(self.layout, name, features)) for name, link in self.links.items()], dim=1)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """The links' outputs side by side, 0 where the source is not there; then which are there."""
        there = masks(self.layout, tuple(self.links), features)
        return torch.cat([(self.linked(features) * there[:, :, None]).flatten(1), there], dim=1)

    def vector(self, features: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The ensemble, or the one link (n, length)."""
        linked, there = self._parts(hidden)
        together: torch.Tensor = (linked * self.weights).sum(dim=1)
        return torch.where(there.sum(dim=1, keepdim=True) < 1.5, linked.sum(dim=1), together)

    def agree_logit(self, hidden: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """From which sources are there, what is predicted, and how far the links are apart."""
        linked, there = self._parts(hidden)
        apart = ((linked - vector[:, None]).abs() * there[:, :, None]).sum(dim=1)
        logit: torch.Tensor = self.agree_out(torch.relu(self.agree_hidden(torch.cat([there, vector, apart], dim=1))))
        return logit[:, 0]

    def _parts(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(self.links)
        linked = hidden[:, : count * self.length].reshape(-1, count, self.length)
        return linked, hidden[:, count * self.length :]


def usable(layout: FeatureLayout) -> list[str]:
    """The sources that say something: those whose output changes."""
    return [name for name, length in layout.lengths.items() if length]


def source_of(layout: FeatureLayout, name: str, features: torch.Tensor) -> torch.Tensor:
    """One source's part of the features: its vector, or its ids as whole numbers."""
    if name in layout.ids:
        return features[:, layout.id_slices[name]].long()
    return features[:, layout.slices[name]]


def masks(layout: FeatureLayout, names: tuple[str, ...], features: torch.Tensor) -> torch.Tensor:
    """1 where a source is there (n, sources)."""
    order = list(layout.lengths)
    return features[:, [2 * layout.total + order.index(name) for name in names]]
