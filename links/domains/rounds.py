"""Rounds of learning together, without a network: what a site makes of weights that it is sent, and the mean of all.

MLink, TPAMI 2023, Algorithm 1. `cloud/federation/` carries it between machines.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .fit import FitSettings
from .link import DomainLink, moments_of
from .moments import Moments, pool
from .task import LinkTask, Pairs

LOCAL_FIT = FitSettings(steps=32, batch=32, rate=1e-2)
LARGEST_NORM = 100.0
MOST_SAMPLES = 10**12


@dataclass(frozen=True)
class SiteChange:
    """What one site made of the weights in a round.

    Attributes:
        change: float32 (weights,): its weights after learning less those it was sent. It is a change of weights, as
            it is added without a step size; not a gradient.
        samples: how many inputs it learnt from.
    """

    change: Array
    samples: int


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


def first_link(task: LinkTask, moments: Mapping[str, Moments], *, seed: int) -> DomainLink:
    """What the first round begins with: all sites' pooled standards (they must share one), weights from a seed."""
    pooled = pool(moments[name] for name in sorted(moments))
    link = DomainLink.start(task, pooled, seed=seed)
    return link.with_weights(link.network.weights.astype(np.float32))


def averaged(weights: Array, changes: Mapping[str, SiteChange], *, by_samples: bool = False) -> Array:
    """The weights of the next round: float32, those of this one plus the mean change.

    Args:
        weights: float32 (weights,).
        changes: each site's, checked, at least one; they are added in the order of the sites' names, so that the
            result does not hang on who came first.
        by_samples: weigh sites by how many inputs they learnt from; the paper's mean is plain.
    """
    names = sorted(changes)
    shares = np.asarray([changes[name].samples if by_samples else 1 for name in names], np.float64)
    total = np.zeros(len(weights))
    for name, share in zip(names, shares / shares.sum(), strict=True):
        total += share * changes[name].change.astype(np.float64)
    return (weights.astype(np.float64) + total).astype(np.float32)


def check_change(found: SiteChange, size: int, *, largest_norm: float = LARGEST_NORM) -> SiteChange:
    """The change, if it may enter the mean.

    Args:
        found: what a site sent.
        size: how many weights there are.
        largest_norm: the largest Euclidean norm; a site that diverged would else carry all others with it.

    Raises:
        InvalidInput: it has another size, holds NaN or infinity, is too large, or has no samples.
    """
    if found.change.shape != (size,):
        raise InvalidInput(f"change: holds {found.change.size} weights, the link has {size}; join again")
    if not np.isfinite(found.change).all():
        raise InvalidInput("change: holds NaN or infinity; look at the site's outputs, lower its learning rate")
    norm = float(np.linalg.norm(found.change.astype(np.float64)))
    if norm > largest_norm:
        raise InvalidInput(
            f"change: its norm is {norm:.3g}, at most {largest_norm:g} is taken; lower the learning rate"
        )
    if not 1 <= found.samples <= MOST_SAMPLES:
        raise InvalidInput(f"samples must be from 1 to {MOST_SAMPLES}, not {found.samples}")
    return found
