"""Which inputs an online link asks the exact model for, decided as they come, within a share of all of them.

The names are those of `filters/online/policies.py` where the idea is the same. There a policy looks back over a period
and picks among inputs that were kept; here it decides at once, so that nothing but the label is ever stored.
"""

from collections import deque
from typing import ClassVar, Literal, Protocol

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .budget import LabelBudget

Need = Literal["nothing", "spread", "loss"]
_SEEN = 2048
_DENSEST = 4.0


class Policy(Protocol):
    """Picks inputs to label.

    Attributes:
        name: what it is called in tables.
        needs: what `scores` are: nothing, how unsure the link is, or the loss it expects of itself.
    """

    name: ClassVar[str]
    needs: ClassVar[Need]

    def pick(self, at: Array, scores: Array, random: np.random.Generator) -> Array:
        """The rows (rising) of the next stretch of inputs that are to be labelled.

        Args:
            at: the inputs' numbers in the stream (n,), from 0.
            scores: what it needs of each (n,); NaN before the link has learnt anything.
            random: for lots.
        """


class Offline:
    """The stream's first inputs and never again: an ordinary link (TPAMI, "Offline init").

    Args:
        labels: how many; to compare, as many as the others spend over the whole stream.
    """

    name: ClassVar[str] = "offline"
    needs: ClassVar[Need] = "nothing"

    def __init__(self, labels: int) -> None:
        self.labels = labels

    def pick(self, at: Array, scores: Array, random: np.random.Generator) -> Array:
        """All of the first."""
        return np.flatnonzero(at < self.labels)


class Periodic:
    """The first inputs of each period (TPAMI, "Periodic").

    Args:
        share: labels per input.
        period: inputs of a period.
    """

    name: ClassVar[str] = "periodic"
    needs: ClassVar[Need] = "nothing"

    def __init__(self, *, share: float, period: int) -> None:
        self.period = period
        self.labels = round(LabelBudget.checked(share) * period)

    def pick(self, at: Array, scores: Array, random: np.random.Generator) -> Array:
        """All of a period's first."""
        return np.flatnonzero(np.mod(at, self.period) < self.labels)


class Random:
    """Any inputs, by lot: what every policy that chooses must be compared to.

    Args:
        share: labels per input.
        period: inputs of a period; half of its labels may be saved up.
    """

    name: ClassVar[str] = "random"
    needs: ClassVar[Need] = "nothing"

    def __init__(self, *, share: float, period: int) -> None:
        self.budget = LabelBudget(share, most=max(1.0, share * period / 2))

    def pick(self, at: Array, scores: Array, random: np.random.Generator) -> Array:
        """Each with the same probability."""
        self.budget.earn(len(at))
        return self.budget.spend(np.flatnonzero(random.random(len(at)) < self.budget.rate))


class _Highest:
    """The inputs of the highest scores, as far as can be said at once, and some by lot.

    A threshold follows the scores of the latest inputs so that the budget is met over time: the more is saved up, the
    lower it is. Lots keep it from asking only for what it can't learn.

    Args:
        share: labels per input.
        period: inputs of a period; half of its labels may be saved up.
        lots: which part of the labels goes by lot, 0 to 1.

    Raises:
        InvalidInput: `share` or `lots` is out of range.
    """

    def __init__(self, *, share: float, period: int, lots: float = 0.5) -> None:
        if not 0.0 <= lots <= 1.0:
            raise InvalidInput(f"lots must be from 0 to 1: the part of the labels that goes by lot; it is {lots:g}")
        self.budget = LabelBudget(share, most=max(1.0, share * period / 2))
        self.lots = lots
        self._seen: deque[float] = deque(maxlen=_SEEN)
        self._gap, self._next = max(1, round(1.0 / (_DENSEST * share))), 0

    def pick(self, at: Array, scores: Array, random: np.random.Generator) -> Array:
        """Those above the threshold, and those that are drawn."""
        self.budget.earn(len(at))
        # Counts repeat, and so do their scores: equal ones are told apart by lot, or none would be above.
        scores = scores * (1.0 + 1e-6 * random.random(len(at)))
        rate, known = self.budget.rate, bool(self._seen) and bool(np.isfinite(scores).all())
        drawn = random.random(len(at)) < (rate * self.lots if known else rate)
        rows = np.flatnonzero(drawn)
        if known:
            threshold = np.quantile(self._seen, max(0.0, 1.0 - rate * (1.0 - self.lots)))
            rows = np.union1d(rows, self._apart(at, np.flatnonzero(scores > threshold)))
        self._seen.extend(scores[np.isfinite(scores)].tolist())
        return self.budget.spend(rows)

    def _apart(self, at: Array, rows: Array) -> Array:
        """Those of the rows that are not too close behind another: neighbours are high together and say the same."""
        kept = []
        for row in rows.tolist():
            if at[row] >= self._next:
                kept.append(row)
                self._next = int(at[row]) + self._gap
        return np.asarray(kept, np.int64)


class Uncertain(_Highest):
    """What the link is least sure of (TPAMI, "Uncertainty").

    A label's entropy. Of numbers the variance of an ensemble whose members each predict a mean and a variance: how far
    they differ, and what they say themselves. (Of one network that predicts a number alone there is no variance.)
    """

    name: ClassVar[str] = "uncertainty"
    needs: ClassVar[Need] = "spread"


class ExpectedLoss(_Highest):
    """What the link expects to get most wrong, by a head of its own (TPAMI, "Loss prediction")."""

    name: ClassVar[str] = "loss prediction"
    needs: ClassVar[Need] = "loss"
