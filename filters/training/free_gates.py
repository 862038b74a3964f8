"""What the free gates keep of a stretch at a given send rate; NumPy and OpenCV alone."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ...outputs import Array
from .replay import Replay, Singles

LAST_KEPT = "difference to last kept"
PREVIOUS = "difference to previous"
_HALVINGS = 24


def keep_random(inputs: int, kept: int, *, seed: int = 0) -> Array:
    """So many inputs, drawn at random: bool (inputs,)."""
    return _keep_highest(np.random.default_rng(seed).random(inputs), kept)


def keep_every(inputs: int, kept: int) -> Array:
    """So many inputs, evenly spaced, as the gate `every:K` does with K = inputs / kept: bool (inputs,)."""
    found = np.zeros(inputs, bool)
    found[np.ceil(np.arange(kept) * (inputs / kept) - 1e-9).astype(int)] = True
    return found


def keep_changed(pictures: Array, threshold: float) -> Array:
    """What differs from the last kept picture by more than `threshold`, as the gate `difference:THRESHOLD` does.

    Args:
        pictures: uint8 (inputs, side, side), grey.
        threshold: of the mean difference, from 0 to 1.
    """
    found = np.zeros(len(pictures), bool)
    bar = threshold * 255.0 * pictures[0].size
    last = None
    for i, picture in enumerate(pictures):
        if last is None or cv2.norm(picture, last, cv2.NORM_L1) > bar:
            found[i], last = True, picture
    return found


def difference_threshold(pictures: Array, kept: int) -> float:
    """The threshold at which `keep_changed` keeps as near to `kept` inputs as it can, rather more than fewer."""
    low, high, best = 0.0, 1.0, 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if int(keep_changed(pictures, middle).sum()) >= kept:
            low = best = middle
        else:
            high = middle
    return best


def fit_free(replay: Replay | Singles, start: int, stop: int, rate: float) -> dict[str, float]:
    """The thresholds of the free gates that have one, at a filtering rate on a stretch: by the gate's name."""
    if not isinstance(replay, Replay):
        return {}
    kept = max(1, round((1.0 - rate) * (stop - start)))
    return {"difference": difference_threshold(replay.pictures[start:stop], kept)}


def keep_free(replay: Replay | Singles, kept: int) -> Mapping[str, Array]:
    """What each free gate keeps when it keeps so many inputs of a whole replay, by name: bool (inputs,) each.

    Of those that compare pictures, the threshold is tuned on this very stretch.
    """
    inputs = len(replay)
    found: dict[str, Callable[[], Array]] = {
        "random": lambda: keep_random(inputs, kept),
        "every K-th": lambda: keep_every(inputs, kept),
    }
    if isinstance(replay, Replay):
        found[LAST_KEPT] = lambda: keep_changed(replay.pictures, difference_threshold(replay.pictures, kept))
        if not replay.pairwise:
            found[PREVIOUS] = lambda: _keep_highest(replay.column("difference"), kept)
            found["background"] = lambda: _keep_highest(replay.column("background"), kept)
    return {name: make() for name, make in found.items()}


def _keep_highest(scores: Array, kept: int) -> Array:
    """The first input, and those with the highest scores."""
    found = np.zeros(len(scores), bool)
    found[0] = True
    found[1 + np.argsort(-np.asarray(scores[1:], np.float64), kind="stable")[: kept - 1]] = True
    return found
