"""The paper's network of a target that gives token sequences: a link from each source, added up token by token."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from ..encoding import Encoding
from ..features import FeatureLayout
from ..sequences.network import Fixed, SequenceNetwork
from .ensemble import masks, source_of, usable
from .sequences import UNITS, PaperSequenceLink, SeqEncoder, VecEncoder


class PaperSequenceNetwork(SequenceNetwork):
    """Every source's link hears the same tokens; its logits, times the source's weights, are summed.

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
        """Every source's link."""
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
        """Every link's logits (n, sources, size), there or not, and the next states side by side."""
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
        """The logits (..., size) of the links (..., sources, size) whose sources are there (..., sources)."""
        heard = logits * present[..., None]
        together = (heard * self.weights).sum(dim=-2)
        return torch.where(present.sum(dim=-1, keepdim=True) < 1.5, heard.sum(dim=-2), together) + self.barred
