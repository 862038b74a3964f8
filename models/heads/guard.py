"""What is learnt at work serves only while it is no worse than what it came from, on the last exact outputs."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ...outputs import Array

RING = 64
"""So many of the last exact outputs are looked at."""
_FEWEST = 8
_PRIOR = 16.0

Verdict = Literal["same", "better", "worse"]


@dataclass
class Guard:
    """Two versions of a head, each judged on every exact output before either has learnt from it.

    Nothing that a version has learnt from speaks for it, so the comparison is fair, and paired: both saw the same
    inputs.

    Attributes:
        agreed: agreement of the kept version, of the learning one, and the confidence that was stated; the last RING.
    """

    agreed: Array = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def learning_serves(self) -> bool:
        """Whether the learning version agreed as often as the kept one."""
        return not len(self.agreed) or bool(self.agreed[:, 1].sum() >= self.agreed[:, 0].sum())

    @property
    def shift(self) -> float:
        """What has to be added to the log-odds of a confidence, as things have been of late."""
        if not len(self.agreed):
            return 0.0
        stated = float(self.agreed[:, 2].mean())
        was = (float(self.served.sum()) + _PRIOR * stated) / (len(self.agreed) + _PRIOR)
        low, high = 0.005, 0.995
        was, stated = min(max(was, low), high), min(max(stated, low), high)
        return float(np.log(was / (1 - was)) - np.log(stated / (1 - stated)))

    @property
    def served(self) -> Array:
        """The agreement of the version that serves now, on those outputs (n,)."""
        return np.asarray(self.agreed[:, 1 if self.learning_serves else 0])

    def saw(self, kept: float, learning: float, confidence: float) -> Verdict:
        """One more exact output: how far both versions agreed with it, and the confidence that was stated.

        Returns:
            "better": the learning version has proven itself and takes the other's place; "worse": it has lost, and
            starts again from the kept one; by one and two standard errors of the difference. Either way both count
            anew.
        """
        self.agreed = np.concatenate([self.agreed, [[kept, learning, confidence]]])[-RING:]
        if len(self.agreed) < _FEWEST:
            return "same"
        gained = self.agreed[:, 1] - self.agreed[:, 0]
        mean, error = float(gained.mean()), float(gained.std()) / np.sqrt(len(gained))
        if mean > error:
            self.agreed[:, 0] = self.agreed[:, 1]
            return "better"
        if mean < -2.0 * error:
            self.agreed[:, 1] = self.agreed[:, 0]
            return "worse"
        return "same"
