"""The paper's links from one model to one that gives token sequences: an encoder, and a GRU decoder with attention."""

import torch
from torch import nn

from ..sequences.attention import Attention
from .pairs import as_keras, at_end

UNITS = 64


class VecEncoder(nn.Module):
    """Dense(2V) with ReLU, as the reference code has it, then a layer to the decoder's width, which it lacks.

    There the first state of the decoder has 2V units and later ones 64, and training fails on the second token.

    Args:
        source: how long the source's vector is.
        target: V, how many ids the target has.
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.first = nn.Linear(source, 2 * target)
        self.last = nn.Linear(2 * target, UNITS)
        self.positions = 1

    def forward(self, vector: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The memory (n, 1, units), which positions are there (n, 1), and the first state (n, units)."""
        state = self.last(torch.relu(self.first(vector)))
        return state[:, None], torch.ones_like(state[:, :1]), state


class SeqEncoder(nn.Module):
    """Embedding(V_s, 64), GRU(64); all states are the memory.

    Args:
        size: how many ids the source has.
        longest: how many of its tokens are read.
    """

    def __init__(self, size: int, longest: int) -> None:
        super().__init__()
        self.words = nn.Embedding(size, UNITS)
        self.recurrent = nn.GRU(UNITS, UNITS, batch_first=True)
        self.positions = longest

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The memory (n, longest, units), which positions are there (n, longest), and the first state (n, units)."""
        states, _ = self.recurrent(self.words(ids))
        return states, (ids > 0).to(states.dtype), at_end(states, ids)


class PaperDecoder(nn.Module):
    """Embedding(V, 64), additive attention(64), GRU(64), Dense(V).

    The GRU gets its own state from the token before; in the reference code it never does, so that what was said only
    counts as what attention asks with.

    Args:
        size: V, how many ids the target has.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.words = nn.Embedding(size + 1, UNITS)
        self.attention = Attention(UNITS, UNITS, UNITS)
        self.cell = nn.GRUCell(2 * UNITS, UNITS)
        self.last = nn.Linear(UNITS, size)

    def forward(
        self, memory: torch.Tensor, keys: torch.Tensor, there: torch.Tensor, state: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits of the next token (n, V) and the next state (n, units)."""
        context = self.attention(memory, keys, there, state[:, None])[:, 0]
        state = self.cell(torch.cat([context, self.words(tokens)], dim=1), state)
        return self.last(state), state


class PaperSequenceLink(nn.Module):
    """An encoder of one source, and a decoder.

    Args:
        encoder: `VecEncoder` or `SeqEncoder`.
        size: how many ids the target has.
    """

    def __init__(self, encoder: VecEncoder | SeqEncoder, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = PaperDecoder(size)
        as_keras(self)
