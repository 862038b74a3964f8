"""What is free to run at a site with a share of the compute: nothing is learnt but a constant for before it ran.

Whatever does not run is answered for by its last output. Every policy may spend the same seconds of models, saved up
for as long as ours may (a second).
"""

from collections.abc import Callable

import numpy as np
from cameras import NOTHING, STEP_S, Site, Turn
from infilink.outputs import Array
from outcome import Outcome, of_rows

ROUND_ROBIN = "hold + round-robin"
_SAVED_TICKS = round(1.0 / STEP_S)


def hold_round_robin(site: Site, turn: Turn, share: float) -> Outcome:
    """The pairs of a camera and a model in turn, model by model over all cameras."""
    count, ticks = turn.rows.shape
    ran = np.zeros((count, len(site.names), ticks), bool)
    earned = share * site.full_s
    bank, most, at = 0.0, max(_SAVED_TICKS * earned, float(site.infer_s.max())), 0
    for tick in range(ticks):
        bank = min(bank + earned, most)
        while True:
            place, camera = divmod(at, count)
            if bank < site.infer_s[place] or ran[camera, place, tick]:
                break
            ran[camera, place, tick] = True
            bank -= site.infer_s[place]
            at = (at + 1) % (count * len(site.names))
    return held(site, turn, ran)


def every_kth(site: Site, turn: Turn, share: float) -> Outcome:
    """All models on every K-th input of each camera, the cameras one after the other."""
    count, ticks = turn.rows.shape
    phase = np.arange(count)[:, None] / count
    kept = np.diff(np.floor(phase + share * np.arange(ticks + 1)), axis=1) > 0
    return held(site, turn, _all_models(site, kept))


def random(site: Site, turn: Turn, share: float) -> Outcome:
    """Each pair on each input by chance; the same chance everywhere."""
    drawn = np.random.default_rng(0).random((turn.rows.shape[0], len(site.names), turn.rows.shape[1]))
    return held(site, turn, drawn < share)


def difference(site: Site, turn: Turn, share: float) -> Outcome:
    """All models where the picture (64x48, grey) differs most from the camera's last kept one.

    One threshold for the site, the best in hindsight: it is cut so that the share comes out on what is judged.
    """
    return held(site, turn, _all_models(site, _by_difference(site, turn, share, one=True)))


def difference_each(site: Site, turn: Turn, share: float) -> Outcome:
    """The same with a threshold for each camera, so that each has the same share."""
    return held(site, turn, _all_models(site, _by_difference(site, turn, share, one=False)))


FREE: dict[str, Callable[[Site, Turn, float], Outcome]] = {
    ROUND_ROBIN: hold_round_robin,
    "every K-th": every_kth,
    "difference": difference,
    "difference, each its share": difference_each,
    "random": random,
}


def held(site: Site, turn: Turn, ran: Array) -> Outcome:
    """The last output held, from where each model ran: bool (cameras, models, ticks)."""
    ticks = ran.shape[2]
    at = np.maximum.accumulate(np.where(ran, np.arange(ticks), -1), axis=2)
    first = np.maximum.accumulate(np.where(turn.begins, np.arange(ticks), 0), axis=1)[:, None, :]
    rows = np.take_along_axis(np.broadcast_to(turn.rows[:, None, :], ran.shape), np.maximum(at, 0), axis=2)
    return of_rows(site, turn, np.where(at >= first, rows, NOTHING), ran)


def _all_models(site: Site, kept: Array) -> Array:
    return np.repeat(kept[:, None, :], len(site.names), axis=1)


def _by_difference(site: Site, turn: Turn, share: float, *, one: bool) -> Array:
    """Which inputs are kept by thresholds that keep that share: bool (cameras, ticks)."""
    count, ticks = turn.rows.shape
    distances = [camera.apart[np.ix_(rows, rows)] for camera, rows in zip(site.cameras, turn.rows, strict=True)]
    groups = [list(range(count))] if one else [[at] for at in range(count)]
    kept = np.zeros((count, ticks), bool)
    for group in groups:
        low, high = 0.0, 256.0
        for _ in range(24):
            middle = (low + high) / 2
            for at in group:
                kept[at] = _keep(distances[at], turn.begins[at], middle)
            low, high = (middle, high) if kept[group].mean() > share else (low, middle)
        for at in group:
            kept[at] = _keep(distances[at], turn.begins[at], high)
    return kept


def _keep(between: Array, begins: Array, threshold: float) -> Array:
    kept = np.zeros(len(between), bool)
    last = 0
    for tick in range(len(between)):
        if begins[tick] or between[last, tick] > threshold:
            kept[tick] = True
            last = tick
    return kept
