"""What somebody who knows all outputs would run: the best schedule of exact runs and held outputs, in hindsight.

For a price of a model's second each pair's best runs are found exactly (dynamic programming over its inputs); the
price is cut so that the site's seconds come out. So no policy that holds can be ahead; links can, as they change
answers on inputs where nothing ran.
"""

import numpy as np
from baselines import held
from cameras import NOTHING, Site, Turn
from infilink.outputs import Array
from outcome import Outcome


def hindsight(site: Site, turn: Turn, share: float) -> Outcome:
    """The best runs of a share of the compute."""
    gains = {
        (at, place): [_gains(site, turn, at, name, ticks) for ticks in turn.sessions(at)]
        for at in range(len(site.cameras))
        for place, name in enumerate(site.names)
    }
    low, high = 0.0, 2.0 * turn.rows.shape[1] / float(site.infer_s.min())
    ran = np.zeros((len(site.cameras), len(site.names), turn.rows.shape[1]), bool)
    for step in range(25):
        price = high if step == 24 else (low + high) / 2
        for (at, place), sessions in gains.items():
            ran[at, place] = np.concatenate([_runs(each, price * site.infer_s[place]) for each in sessions])
        spent = float((ran.sum(axis=(0, 2)) * site.infer_s).sum())
        low, high = (price, high) if spent > share * site.full_s * turn.rows.shape[1] else (low, price)
    return held(site, turn, ran)


def _gains(site: Site, turn: Turn, at: int, name: str, ticks: Array) -> Array:
    """What is reached from a run at i to before j, summed: float (n + 1, n + 1); row 0: the constant from the start."""
    rows = turn.rows[at][ticks]
    n = len(rows)
    said = np.concatenate([[NOTHING], rows])
    agreement = site.cameras[at].agreements(name, np.repeat(said, n), np.tile(rows, n + 1)).reshape(n + 1, n)
    sums = np.concatenate([np.zeros((n + 1, 1)), np.cumsum(agreement, axis=1)], axis=1)
    begins = np.concatenate([[0], np.arange(n)])
    return sums - sums[np.arange(n + 1), begins][:, None]


def _runs(gains: Array, cost: float) -> Array:
    """On which inputs of a session to run at that cost: bool (n,)."""
    n = gains.shape[1] - 1
    value, then = np.zeros(n + 1), np.full(n + 1, n)
    for i in range(n - 1, -1, -1):
        ends = gains[i + 1, i + 1 :] + value[i + 1 :] - np.where(np.arange(i + 1, n + 1) < n, cost, 0.0)
        best = int(np.argmax(ends))
        value[i], then[i] = ends[best], i + 1 + best
    first = gains[0] + value - np.where(np.arange(n + 1) < n, cost, 0.0)
    ran, at = np.zeros(n, bool), int(np.argmax(first))
    while at < n:
        ran[at] = True
        at = int(then[at])
    return ran
