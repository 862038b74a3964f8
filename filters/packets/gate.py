"""The packet gate at work: which of a stream's packets are decoded. Plain Python, some microseconds a packet."""

import random
from dataclasses import dataclass

from .features import PacketFeatures
from .packet import Packet
from .policy import PacketPolicy


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a packet.

    Attributes:
        chosen: whether the policy wants it decoded.
        share: the share of all groups that are decoded whole, where its group was drawn for that; else 0.
        score: the doubt of holding for what decoding costs; it is chosen if that is above the threshold.
        threshold: at that moment.
    """

    chosen: bool
    share: float
    score: float
    threshold: float

    @property
    def decode(self) -> bool:
        """Whether it is decoded at all."""
        return self.chosen or self.share > 0.0


class PacketGate:
    """Decides on the packets of one stream, in the order in which they are decoded.

    What it would do goes on in groups that are decoded whole, too: what is lost there is what it loses.

    Args:
        policy: what was learnt.
        share: of the groups, how many are decoded whole, so that it can be judged.
        seed: of the draw.

    Attributes:
        threshold: a packet is decoded if its score is above; others may move it.
        whole: whether everything is decoded, whatever its score.
    """

    def __init__(self, policy: PacketPolicy, *, share: float = 0.0, seed: int = 0) -> None:
        self.policy = policy
        self.share = share
        self.threshold = policy.threshold
        self.whole = False
        self._features = PacketFeatures()
        self._random = random.Random(seed)
        self._begun = False
        self._drawn = 0.0
        # What would have to be decoded before the next packet; and all of its group so far.
        self._behind = self._since_key = 0.0
        self._lost = False

    def take(self, packet: Packet) -> Choice:
        """Decides on the next packet; the first is decoded."""
        policy, features = self.policy, self._features
        features.push(packet.size_bytes, key=packet.key, time_s=packet.time_s)
        if packet.key:
            self._begin_group()
        cost = policy.costs.of(key=packet.key, reference=packet.reference)
        # What it would bring for what it takes, with the references that were skipped before it (section 5.4).
        score = 0.0
        if packet.key or not policy.keys_only:
            score = policy.doubt(features.vector()) / (cost + self._behind)
        chosen = (score > self.threshold or not self._begun) and not self._lost
        if chosen:
            self._begun = True
            self._behind = 0.0
            features.decoded()
        elif packet.reference:
            self._behind += cost
        self._since_key += cost if packet.reference else 0.0
        share = self._drawn if self._begun and not self._lost else 0.0
        return Choice(chosen, 1.0 if self.whole and self._begun and not self._lost else share, score, self.threshold)

    def judged(self, loss: float) -> None:
        """What was lost, from 0 to 1, had the answer before a chosen packet been held for it."""
        self._features.judged(loss)

    def rewind(self) -> None:
        """What was decoded of this group is forgotten: the next picture takes all of it again."""
        self._behind = self._since_key

    def lose(self) -> None:
        """What the rest of this group is made of is gone: nothing of it can be decoded."""
        self._lost = True

    def _begin_group(self) -> None:
        self._behind = self._since_key = 0.0
        self._lost = False
        self._drawn = self.share if self._random.random() < self.share else 0.0
