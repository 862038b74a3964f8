"""One site of several that learn a link together: it keeps its outputs and gives changes of weights."""

import zlib
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .averaging import SiteChange
from .fit import FitSettings
from .link import DomainLink, moments_of
from .moments import Moments
from .pairs import Pairs
from .task import LinkTask

LOCAL_FIT = FitSettings(steps=32, batch=32, rate=1e-2)


@dataclass(frozen=True)
class Site:
    """What a site learns from, and how.

    Attributes:
        name: unique among the sites.
        task: what the link is for.
        pairs: its own outputs; they never leave it.
        seed: of the batches, with the name and the round.
        settings: of the learning of one round; the optimiser begins anew each time.
    """

    name: str
    task: LinkTask
    pairs: Pairs
    seed: int = 0
    settings: FitSettings = LOCAL_FIT

    @property
    def moments(self) -> Moments:
        """What it tells of its outputs before the first round: their number, means and spreads."""
        return moments_of(self.pairs)

    def change(self, link: DomainLink, weights: Array, index: int) -> SiteChange:
        """Learns from the weights of a round.

        Args:
            link: any of the federation: its standards are used, its weights are not.
            weights: float32, as the aggregator sent them.
            index: the round, from 0.
        """
        learning = link.with_weights(weights)
        random = np.random.default_rng((self.seed, zlib.crc32(self.name.encode()), index))
        learning.learn(self.pairs, self.settings, random)
        change = (learning.network.weights - weights.astype(np.float64)).astype(np.float32)
        return SiteChange(change, len(self.pairs))
