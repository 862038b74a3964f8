"""What a network whose target is a token sequence must do, and how torch reads a sequence out of it."""

from abc import abstractmethod
from collections.abc import Mapping

import torch

from ...models.encoding.tokens import NOTHING, OTHER
from ...outputs import Array
from ..networks.vector import LinkNetwork
from .search import Decoding, search

Fixed = dict[str, torch.Tensor]
"""What the encoder makes once, each (n, ...)."""


class SequenceNetwork(LinkNetwork):
    """An encoder, run once, and a decoder that is run for each token.

    Attributes:
        size: how many ids there are; the id `size` stands before the first token.
        longest: how many tokens a sequence has at most.
        decoding: how sequences are read.
    """

    barred: torch.Tensor

    def __init__(self, size: int, longest: int) -> None:
        super().__init__()
        self.size = size
        self.longest = longest
        self.decoding = Decoding(size, longest)
        # A token that the recording did not have can't be said.
        barred = torch.zeros(size)
        barred[OTHER] = -1e4
        self.register_buffer("barred", barred)

    @abstractmethod
    def encode(self, features: torch.Tensor) -> tuple[Fixed, torch.Tensor]:
        """What stays the same, and the first state (n, state size)."""

    @abstractmethod
    def step(
        self, fixed: Fixed, state: torch.Tensor, tokens: torch.Tensor, position: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of the next token (n, size) and the next state, after `tokens` (n,)."""

    def forced(self, features: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The logits (n, steps, size) of each token of `ids` (n, steps) when the exact ones before it are known."""
        fixed, state = self.encode(features)
        before = self.before(ids)
        logits = []
        for position in range(ids.shape[1]):
            logit, state = self.step(fixed, state, before[:, position], position)
            logits.append(logit)
        return torch.stack(logits, dim=1)

    def before(self, ids: torch.Tensor) -> torch.Tensor:
        """What stands before each of the ids (n, steps)."""
        return torch.cat([torch.full_like(ids[:, :1], self.size), ids[:, :-1]], dim=1)

    def read(self, features: torch.Tensor, decoding: Decoding) -> tuple[Array, Array]:
        """Rows of ids (n, longest) and the mean probabilities of their tokens (n,)."""
        with torch.no_grad():
            fixed, state = self.encode(features)
        arrays = {name: value.numpy() for name, value in fixed.items()}
        return search(self._numpy_step, arrays, state.numpy(), decoding)

    def predict(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of ids (n, longest) and the probabilities of agreement (n,)."""
        ids, probability = self.read(features, self.decoding)
        return torch.from_numpy(ids), torch.from_numpy(self.decoding.confidence(probability))

    def _numpy_step(
        self, fixed: Mapping[str, Array], state: Array, tokens: Array, position: int
    ) -> tuple[Array, Array]:
        with torch.no_grad():
            tensors = {name: torch.from_numpy(value) for name, value in fixed.items()}
            logits, after = self.step(tensors, torch.from_numpy(state), torch.from_numpy(tokens), position)
        return logits.numpy(), after.numpy()


def cut_to_longest(ids: torch.Tensor) -> torch.Tensor:
    """The ids (n, steps) without the steps that all of these rows have behind their end."""
    lengths = (ids != NOTHING).sum(dim=1)
    return ids[:, : int(lengths.max()) + 1]


def counted(ids: torch.Tensor) -> torch.Tensor:
    """Which of the ids (n, steps) count in a loss: all up to the end, which is one of them, but unknown tokens."""
    ended = (ids == NOTHING).long().cumsum(dim=1)
    return ((ended <= 1) & (ids != OTHER)).float()
