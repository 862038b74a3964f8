"""Runs an online link over a recorded stream: every input is predicted before anything is learnt from it."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .online import OnlineLink

STRETCH = 60


@dataclass(frozen=True)
class Followed:
    """How an online link went through a stream.

    Attributes:
        predicted: float64 (n, length): the target's numbers, each as it was predicted when its input came.
        agreements: float64 (n,): with the exact outputs. Inputs that were labelled count with what was predicted of
            them, so that all policies are compared on the same inputs.
        labelled: bool (n,).
    """

    predicted: Array
    agreements: Array
    labelled: Array

    def by_period(self, period: int) -> Array:
        """Mean agreement of each period of so many inputs."""
        starts = np.arange(0, len(self.agreements), period)
        counts = np.diff(np.append(starts, len(self.agreements)))
        return np.asarray(np.add.reduceat(self.agreements, starts) / counts)


def follow(online: OnlineLink, inputs: Array, targets: Array, *, stretch: int = STRETCH) -> Followed:
    """Sends a stream through an online link in its order.

    Args:
        online: goes on from where it is.
        inputs: the sources' numbers (n, inputs).
        targets: the exact outputs' numbers (n, length); it sees only those that it asks for.
        stretch: inputs that are predicted together, before what was labelled of them is learnt.
    """
    predicted = np.empty_like(targets, dtype=np.float64)
    labelled = np.zeros(len(inputs), bool)
    for start in range(0, len(inputs), stretch):
        part = slice(start, start + stretch)
        predicted[part], rows = online.predict(inputs[part])
        labelled[start + rows] = True
        online.learn(inputs[start + rows], targets[start + rows])
    return Followed(predicted, online.target.agreements(predicted, targets), labelled)
