"""Runs a result cache over recorded inputs as it would run live: empty at first, filled with what was not found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array, OutputSpec
from ..sweep import Sweep
from .cache import ResultCache

CacheMaker = Callable[[float, float], ResultCache]
"""Makes an empty cache with a gate (L1 distance) and a theta."""
_SAMPLED = 600
_LEVELS = (14, 8)
_LEAST_SHARE = 1e-3
# From there on no greater gate of the same family can still be certified.
_HOPELESS = 2.0


@dataclass(frozen=True)
class Stretch:
    """A stretch of recorded inputs.

    Attributes:
        spec: the outputs'.
        embeddings: float32 (inputs, dims).
        outputs: what the model said of each.
        captured_s: when each was captured.
        skipped: bool (inputs,): which a SKIP rule answers before the cache is asked.
        skip_losses: float64 (inputs,): what is lost if it does, from 0 to 1.
    """

    spec: OutputSpec
    embeddings: Array
    outputs: Sequence[Array]
    captured_s: Array
    skipped: Array
    skip_losses: Array


def run_cache(cache: ResultCache, stretch: Stretch) -> tuple[Array, Array]:
    """Fills a cache on the way: which inputs were executed, bool (inputs,), and the losses, float64 (inputs,)."""
    kept = np.zeros(len(stretch.outputs), np.bool_)
    losses = np.where(stretch.skipped, stretch.skip_losses, 0.0)
    for i in np.flatnonzero(~stretch.skipped).tolist():
        now_s, output = float(stretch.captured_s[i]), stretch.outputs[i]
        hit = cache.lookup(stretch.embeddings[i], now_s)
        if hit is None:
            cache.insert(stretch.embeddings[i], output, cache.version, now_s)
            kept[i] = True
        else:
            losses[i] = 1.0 - stretch.spec.agreement(hit.output, output)
    return kept, losses


def sweep_gates(name: str, make: CacheMaker, stretch: Stretch, *, gates: Array, theta: float, target: float) -> Sweep:
    """Every gate over the stretch, from the most careful on, until the error is far above the target."""
    kept, losses = [], []
    for gate in gates.tolist():
        ran, lost = run_cache(make(gate, theta), stretch)
        kept.append(ran)
        losses.append(lost)
        if lost.mean() > _HOPELESS * target:
            break
    return Sweep(name, gates[: len(kept)], np.stack(kept), np.stack(losses))


def gates_of(embeddings: Array, *, most: float = np.inf) -> Array:
    """Distances worth trying: 0, and quantiles of those between inputs and of those to the nearest; none above `most`.

    What the inputs' results are is not looked at.
    """
    places = np.linspace(0, len(embeddings) - 1, min(_SAMPLED, len(embeddings))).round().astype(int)
    some = embeddings[places]
    distances = np.stack([np.abs(some - one).sum(axis=1) for one in some])
    pairs = distances[np.triu_indices(len(some), 1)]
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    between = np.quantile(pairs, np.geomspace(_LEAST_SHARE, 0.5, _LEVELS[0]))
    to_nearest = np.quantile(nearest, np.linspace(0.1, 0.95, _LEVELS[1]))
    return np.unique(np.minimum(np.concatenate([[0.0], between, to_nearest]), most))


def best_rate(sweep: Sweep, target: float) -> tuple[float, float]:
    """The greatest rate at a mean error of at most `target`, and the accuracy there; 0 and 1 if there is none."""
    fine = sweep.errors <= target + 1e-12
    if not fine.any():
        return 0.0, 1.0
    best = int(np.argmax(np.where(fine, sweep.rates, -1.0)))
    return float(sweep.rates[best]), float(1.0 - sweep.errors[best])
