"""The paper's network of a target that is a vector: a link from each source, and their ensemble (MLink, TPAMI 2023)."""

from collections.abc import Mapping

import torch
from torch import nn

from ...models.encoding.encoding import Encoding
from ..layout import FeatureLayout
from .vector import AGREE_WIDTH, VectorNetwork

DROPOUT = 0.5


class PaperNetwork(VectorNetwork):
    """The weighted sum of what each source's link predicts; the target's activation comes after that.

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
        """What each source's link predicts (n, sources, length), whether the source ran or not."""
        if not self.links:
            return features.new_zeros(len(features), 0, self.length)
        return torch.stack([link(source_of(self.layout, name, features)) for name, link in self.links.items()], dim=1)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """The links' outputs side by side, 0 where the source did not run; then which sources ran."""
        there = masks(self.layout, tuple(self.links), features)
        return torch.cat([(self.linked(features) * there[:, :, None]).flatten(1), there], dim=1)

    def vector(self, features: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The ensemble, or the one link (n, length)."""
        linked, there = self._parts(hidden)
        together: torch.Tensor = (linked * self.weights).sum(dim=1)
        return torch.where(there.sum(dim=1, keepdim=True) < 1.5, linked.sum(dim=1), together)

    def agree_logit(self, hidden: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """From which sources ran, what is predicted, and how far the links' predictions are apart."""
        linked, there = self._parts(hidden)
        apart = ((linked - vector[:, None]).abs() * there[:, :, None]).sum(dim=1)
        logit: torch.Tensor = self.agree_out(torch.relu(self.agree_hidden(torch.cat([there, vector, apart], dim=1))))
        return logit[:, 0]

    def _parts(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(self.links)
        linked = hidden[:, : count * self.length].reshape(-1, count, self.length)
        return linked, hidden[:, count * self.length :]


class VecToVec(nn.Module):
    """Dense(2n), dropout 0.5, ReLU, Dense(n): 2n^2 + 2mn + 3n parameters.

    The output activation lies in the loss and in `Encoding.decode`.

    Args:
        source: m, how long the source's vector is.
        target: n, how long the target's vector is.
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.first = nn.Linear(source, 2 * target)
        self.dropout = nn.Dropout(DROPOUT)
        self.last = nn.Linear(2 * target, target)
        as_keras(self)

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """The target's vector (n, target) from the source's (n, source)."""
        predicted: torch.Tensor = self.last(torch.relu(self.dropout(self.first(vector))))
        return predicted


class SeqToVec(nn.Module):
    """Embedding(V, 2n), LSTM(2n), Dense(n): 2nV + 34n^2 + 9n parameters.

    Unlike the reference code's it reads a sequence up to its end: padding does not matter.

    Args:
        size: V, how many ids the source has.
        target: n, how long the target's vector is.
    """

    def __init__(self, size: int, target: int) -> None:
        super().__init__()
        self.words = nn.Embedding(size, 2 * target)
        self.recurrent = nn.LSTM(2 * target, 2 * target, batch_first=True)
        self.last = nn.Linear(2 * target, target)
        as_keras(self)
        # Keras has one bias where torch has two.
        self.recurrent.bias_hh_l0.requires_grad_(False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The target's vector (n, target) from the source's ids (n, longest)."""
        states, _ = self.recurrent(self.words(ids))
        predicted: torch.Tensor = self.last(at_end(states, ids))
        return predicted


def usable(layout: FeatureLayout) -> list[str]:
    """The sources whose output changes in the recording."""
    return [name for name, length in layout.lengths.items() if length]


def source_of(layout: FeatureLayout, name: str, features: torch.Tensor) -> torch.Tensor:
    """One source's part of the features: its vector, or its ids as whole numbers."""
    if name in layout.ids:
        return features[:, layout.id_slices[name]].long()
    return features[:, layout.slices[name]]


def masks(layout: FeatureLayout, names: tuple[str, ...], features: torch.Tensor) -> torch.Tensor:
    """1 where a source ran (n, sources)."""
    order = list(layout.lengths)
    return features[:, [2 * layout.total + order.index(name) for name in names]]


def at_end(states: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The states (n, size) at the last token, of all states (n, steps, size); 0 where a sequence is empty."""
    lengths = (ids > 0).sum(dim=1, keepdim=True)
    last = (torch.arange(1, ids.shape[1] + 1) == lengths).to(states.dtype)
    return (states * last[:, :, None]).sum(dim=1)


def as_keras(module: nn.Module) -> None:
    """Initialises weights as Keras does: uniform (Glorot), biases 0, embeddings within 0.05."""
    for name, parameter in module.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif "words" in name:
            nn.init.uniform_(parameter, -0.05, 0.05)
        else:
            nn.init.xavier_uniform_(parameter)
