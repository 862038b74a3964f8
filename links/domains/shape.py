"""How large a domain network is, and where each of its weights lies in the one vector that holds them all."""

import math
from dataclasses import dataclass
from functools import cached_property

HIDDEN = 24
LOSS_HIDDEN = 12


@dataclass(frozen=True)
class Shape:
    """The sizes of a `DomainNetwork`.

    Attributes:
        inputs: how many numbers it reads.
        outputs: how many it predicts.
        hidden: how many hidden units.
        members: how many networks of an ensemble are held side by side.
        variance: whether it predicts a variance beside each number.
        loss_head: whether it predicts its own loss.
    """

    inputs: int
    outputs: int
    hidden: int = HIDDEN
    members: int = 1
    variance: bool = False
    loss_head: bool = False

    @cached_property
    def parts(self) -> dict[str, tuple[int, int, int]]:
        """The weights' shapes by name."""
        m, i, h, o = self.members, self.inputs, self.hidden, self.outputs
        parts = {"first": (m, i, h), "first_bias": (m, 1, h), "second": (m, h, o), "skip": (m, i, o), "bias": (m, 1, o)}
        if self.variance:
            parts |= {"spread": (m, h, o), "spread_bias": (m, 1, o)}
        if self.loss_head:
            k = LOSS_HIDDEN
            parts |= {"rank": (m, h, k), "rank_bias": (m, 1, k), "rank_out": (m, k, 1)}
        return parts

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each part lies."""
        found, start = {}, 0
        for name, shape in self.parts.items():
            found[name] = slice(start, start + math.prod(shape))
            start += math.prod(shape)
        return found

    @property
    def size(self) -> int:
        """How many weights."""
        return sum(math.prod(shape) for shape in self.parts.values())
