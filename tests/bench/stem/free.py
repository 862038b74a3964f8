"""What costs nothing: gates that look at small grey pictures or at nothing, at any share of the inputs.

Each is given what no device has: a threshold under which it sends just that share of the judged part. Beside it stands
what a threshold from the learnt part really sends, and the same with a threshold that follows the share.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from infilink.outputs import Array

SIDE = 112
HELD = "difference to last kept, share held"
_BACKGROUND = 0.02
_STEP = 0.05
_HALVINGS = 24


def pictures_of(frames: Iterable[Array]) -> Array:
    """Small grey pictures: float32 (inputs, SIDE, SIDE), from 0 to 1."""
    return np.stack([_picture(frame) for frame in frames])


def _picture(frame: Array) -> Array:
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32) / 255.0


def scores_alone(pictures: Array) -> dict[str, Array]:
    """Of gates that do not look at what was kept: one score an input."""
    background = pictures[0].copy()
    apart = np.zeros(len(pictures))
    for i, picture in enumerate(pictures):
        apart[i] = np.abs(picture - background).mean()
        background += _BACKGROUND * (picture - background)
    previous = np.append(0.0, np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2)))
    return {
        "random": np.random.default_rng(0).random(len(pictures)),
        "background": apart,
        "difference to previous": previous,
    }


def keep_highest(scores: Array, share: float) -> Array:
    """The first input, and those with the highest scores: bool (inputs,)."""
    found = np.zeros(len(scores), bool)
    found[0] = True
    count = max(1, round(share * len(scores)))
    found[1 + np.argsort(-scores[1:], kind="stable")[: count - 1]] = True
    return found


def keep_every(inputs: int, share: float) -> Array:
    """So many inputs, evenly spaced."""
    return np.diff(np.floor(np.arange(inputs + 1) * share - 1e-9), prepend=-1)[:inputs] > 0


def keep_changed(pictures: Array, threshold: float) -> Array:
    """What differs by more than that from the last one kept."""
    found = np.zeros(len(pictures), bool)
    last = None
    for i, picture in enumerate(pictures):
        if last is None or np.abs(picture - last).mean() > threshold:
            found[i], last = True, picture
    return found


def threshold_for(pictures: Array, share: float) -> float:
    """The least threshold under which `keep_changed` keeps no more than a share."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if keep_changed(pictures, middle).mean() <= share:
            high = middle
        else:
            low = middle
    return high


def keep_held(pictures: Array, threshold: float, share: float) -> Array:
    """As `keep_changed`, with a threshold that rises with every input kept and falls with every other one."""
    found = np.zeros(len(pictures), bool)
    last = None
    for i, picture in enumerate(pictures):
        if last is None or np.abs(picture - last).mean() > threshold:
            found[i], last = True, picture
        threshold *= float(np.exp(_STEP * (found[i] - share) / max(share, 1e-6)))
    return found


def keep_free(learnt: Array, judged: Array, share: float) -> dict[str, Array]:
    """What each sends of the judged part, by name: at the share itself, then "as learnt": bool (inputs,) each."""
    alone, before = scores_alone(judged), scores_alone(learnt)
    threshold = threshold_for(learnt, share)
    found: dict[str, Array] = {name: keep_highest(scores, share) for name, scores in alone.items()}
    found["every K-th"] = keep_every(len(judged), share)
    found["difference to last kept"] = keep_changed(judged, threshold_for(judged, share))
    found["difference to last kept, as learnt"] = keep_changed(judged, threshold)
    found[HELD] = keep_held(judged, threshold, share)
    for name in ("background", "difference to previous"):
        found[f"{name}, as learnt"] = alone[name] > np.quantile(before[name], 1.0 - share)
    return found
