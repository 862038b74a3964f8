"""The paper's network of a target that gives tokens: a link from each source (encoder, decoder), and their ensemble."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from ...models.encoding.encoding import Encoding
from ..layout import FeatureLayout
from ..sequences.attention import Attention
from ..sequences.network import Fixed, SequenceNetwork
from .paper_vector import as_keras, at_end, masks, source_of, usable

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

    The GRU gets its own state from the token before; in the reference code it never does, so that earlier tokens count
    only in the query of the attention.

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


class PaperSequenceNetwork(SequenceNetwork):
    """Every source's link reads the same tokens so far; the weighted sum of their logits gives the next one.

    The weights are trained with all sources and serve any subset of them; one source alone is answered by its link.

    Args:
        layout: what it reads.
        encodings: how each model's outputs become vectors.
        target: the model that is predicted.
    """

    def __init__(self, layout: FeatureLayout, encodings: Mapping[str, Encoding], target: str) -> None:
        tokens = encodings[target].tokens
        assert tokens is not None
        super().__init__(tokens.size, tokens.longest)
        self.layout = layout
        self.links = nn.ModuleDict()
        for name in usable(layout):
            of = encodings[name].tokens
            encoder = VecEncoder(layout.lengths[name], self.size) if of is None else SeqEncoder(of.size, of.longest)
            self.links[name] = PaperSequenceLink(encoder, self.size)
        self.weights = nn.Parameter(torch.full((len(self.links), self.size), 1.0 / max(1, len(self.links))))

    @property
    def pairs(self) -> list[tuple[str, PaperSequenceLink]]:
        """Each source with its link."""
        return [(name, cast(PaperSequenceLink, link)) for name, link in self.links.items()]

    def encode(self, features: torch.Tensor) -> tuple[Fixed, torch.Tensor]:
        """All links' memories one behind the other, and their first states side by side."""
        there = masks(self.layout, tuple(self.links), features)
        if not self.links:
            nothing = features.new_zeros(len(features), 0)
            fixed = {"memory": nothing[:, :, None], "keys": nothing[:, :, None], "there": nothing, "present": there}
            return fixed, nothing
        parts = []
        for name, link in self.pairs:
            memory, positions, state = link.encoder(source_of(self.layout, name, features))
            parts.append((memory, link.decoder.attention.key(memory), positions, state))
        memory, keys, positions, states = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return {"memory": memory, "keys": keys, "there": positions, "present": there}, states

    def each(self, fixed: Fixed, state: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Every link's logits (n, sources, size), whether its source ran or not, and the next states side by side."""
        logits, states, start = [], [], 0
        for index, (_, link) in enumerate(self.pairs):
            stop = start + link.encoder.positions
            own = state[:, index * UNITS : (index + 1) * UNITS]
            memory = (fixed[part][:, start:stop] for part in ("memory", "keys", "there"))
            logit, after = link.decoder(*memory, own, tokens)
            logits.append(logit)
            states.append(after)
            start = stop
        if not logits:
            return state.new_zeros(len(tokens), 0, self.size), state
        return torch.stack(logits, dim=1), torch.cat(states, dim=1)

    def step(
        self, fixed: Fixed, state: torch.Tensor, tokens: torch.Tensor, position: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The ensemble's logits, or the one link's."""
        logits, state = self.each(fixed, state, tokens)
        return self.mix(logits, fixed["present"]), state

    def mix(self, logits: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """The logits (..., size) from those of the links (..., sources, size) whose sources ran (..., sources)."""
        heard = logits * present[..., None]
        together = (heard * self.weights).sum(dim=-2)
        return torch.where(present.sum(dim=-1, keepdim=True) < 1.5, heard.sum(dim=-2), together) + self.barred
