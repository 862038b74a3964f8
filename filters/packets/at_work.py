"""A packet gate as it is asked for, and at work beside the decoder that it serves."""

from dataclasses import dataclass

from .gate import PacketGate
from .meter import DecodeMeter
from .policy import PacketPolicy


@dataclass(frozen=True)
class Gating:
    """How a video's packets are chosen from; it travels to the decoder's process.

    Attributes:
        policy: what was learnt.
        share: of the groups of pictures, how many are decoded whole all the same.
        seed: of the draw of these.
    """

    policy: PacketPolicy
    share: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class AtWork:
    """The gate, and what decoding takes; both outlive a recording's end where it begins again."""

    gate: PacketGate
    meter: DecodeMeter

    @classmethod
    def of(cls, gating: Gating | None) -> "AtWork | None":
        """As it is asked for."""
        if gating is None:
            return None
        return cls(PacketGate(gating.policy, share=gating.share, seed=gating.seed), DecodeMeter(gating.policy.costs))
