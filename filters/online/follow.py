"""Runs an online filter over a recorded stretch: what it would have decided, and what it would have asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .filter import OnlineFilter
from .inputs import Seen

Label = Callable[[Array], Array]


@dataclass(frozen=True)
class Followed:
    """How an online filter went through a stretch.

    Attributes:
        scores: float64 (n,), each as it was when its input came.
        thresholds: float64 (n,), likewise.
        labelled: bool (n,).
    """

    scores: Array
    thresholds: Array
    labelled: Array


def follow(online: OnlineFilter, seen: Seen, label: Label) -> Followed:
    """Sends inputs through an online filter in their order, and labels what it asks for.

    Args:
        online: goes on from where it is.
        seen: float64 seconds that rise.
        label: the losses of inputs if they are skipped, by their numbers in the stream.
    """
    count = len(seen.captured_s)
    found = Followed(np.full(count, np.nan), np.empty(count), np.zeros(count, bool))
    offset, at = online.inputs, 0
    while at < count:
        if online.due(float(seen.captured_s[at])):
            numbers = online.ask()
            online.learn(label(numbers))
            found.labelled[(numbers - offset)[numbers >= offset]] = True
            continue
        online.begin(float(seen.captured_s[at]))
        stop = int(np.searchsorted(seen.captured_s, online.asks_at_s, side="left"))
        found.scores[at:stop] = online.take(seen.rows(slice(at, stop)))
        found.thresholds[at:stop] = online.threshold.value
        at = stop
    return found
