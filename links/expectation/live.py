"""What one stream's own comparisons show: by how much each way to answer agrees more or less than was learnt."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .expectation import WAYS

_PRIOR = 1.0
_KEPT = 0.98
_MOST = 4.0
# On a camera that nothing was learnt from links agree by so much less: from cameras of another city's other half.
_UNKNOWN = (0.0, -2.0, 0.0, 0.0)
_SCORE_PRIOR = 4.0
_SCORES = 64
_FEW_SCORES = 8


class LiveExpectation:
    """Log-odds by which answers of one stream agree more than was learnt, for each model and way.

    Each is the mean of a posterior that begins at 0, as a logistic regression finds it from comparisons in their order;
    older ones fade. Beside it stands, for each model, a coefficient of what the device's filter thought of the input,
    as a rank among its latest scores: what a score means is not known. Its memory is that of a few numbers a model.

    Args:
        targets: the models.

    Attributes:
        place: of each model in what `shifts` says.
        unknown: whether nothing was learnt from the stream's camera: links have to show there first that they hold.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self.unknown = False
        self.place = {name: at for at, name in enumerate(targets)}
        # Of a shift by way, then of the coefficient of the score: evidence, and that times the mean.
        self._weight = np.zeros((len(self.place), len(WAYS) + 1))
        self._sum = np.zeros_like(self._weight)
        # Inputs on which nothing is compared come one after another.
        self._shifted: tuple[tuple[float, bool], Array] | None = None
        self._scores: deque[float] = deque(maxlen=_SCORES)

    def rank(self, score: float | None) -> float:
        """Where a score lies among the latest, from -1 to 1; 0 where there is none, or too few were seen."""
        if score is None or not math.isfinite(score) or len(self._scores) < _FEW_SCORES:
            return 0.0
        below = sum((each < score) + 0.5 * (each == score) for each in self._scores)
        return 2.0 * below / len(self._scores) - 1.0

    def saw(self, score: float | None) -> None:
        """Takes the score of one input for those after it."""
        if score is not None and math.isfinite(score):
            self._scores.append(score)

    def shifts(self, rank: float = 0.0) -> Array:
        """By how much log-odds are moved on an input whose score has that rank: (models, ways); not to be written."""
        of = rank, self.unknown
        if self._shifted is None or self._shifted[0] != of:
            self._shifted = of, self._shifts(rank)
        return self._shifted[1]

    def _shifts(self, rank: float) -> Array:
        means = np.clip(self._means(), -_MOST, _MOST)
        found = means[:, : len(WAYS)].copy()
        # How old it is, a constant does not know.
        found[:, :2] += means[:, len(WAYS) :] * rank
        return np.asarray(np.clip(found, -_MOST, _MOST))

    def observe(self, target: str, way: str, odds: float, agreement: float, *, rank: float = 0.0) -> None:
        """Takes one comparison.

        Args:
            target: the model that ran.
            way: how it would have been answered for.
            odds: the log-odds that were learnt for that answer, before anything live.
            agreement: of it with what the model said.
            rank: of the input's score.
        """
        self._shifted = None
        row, at = self.place[target], WAYS.index(way)
        means = self._means()[row]
        slope = rank if at < 2 else 0.0
        p = 1.0 / (1.0 + math.exp(-(odds + means[at] + slope * means[-1])))
        for column, by in ((at, 1.0), (len(WAYS), slope)):
            if by == 0.0:
                continue
            information = by * by * max(p * (1.0 - p), 1e-3)
            self._weight[row, column] = _KEPT * self._weight[row, column] + information
            self._sum[row, column] = _KEPT * self._sum[row, column] + information * means[column] + by * (agreement - p)

    def _means(self) -> Array:
        """Of the shift by way, and the coefficient of the score: (models, ways + 1)."""
        begun = self._sum + _PRIORS * _UNKNOWN if self.unknown else self._sum
        return np.asarray(begun / (self._weight + _PRIORS))

    def as_arrays(self) -> dict[str, Array]:
        """Its state, for `restore`."""
        return {"weight": self._weight, "sum": self._sum, "scores": np.asarray(self._scores, np.float64)}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Goes on from what `as_arrays` gave, for the same models.

        Raises:
            InvalidInput: it is of other models, or damaged.
        """
        try:
            weight, total, scores = (np.asarray(arrays[name], np.float64) for name in ("weight", "sum", "scores"))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"what a stream showed is damaged ({error!r}); begin anew without it") from error
        sound = np.isfinite(weight).all() and np.isfinite(total).all() and (weight >= 0).all()
        if weight.shape != self._weight.shape or total.shape != weight.shape or scores.ndim != 1 or not sound:
            raise InvalidInput("what a stream showed is of other models; begin anew without it")
        self._weight, self._sum, self._shifted = weight.copy(), total.copy(), None
        self._scores = deque(scores[np.isfinite(scores)].tolist(), maxlen=_SCORES)


_PRIORS = np.asarray([_PRIOR] * len(WAYS) + [_SCORE_PRIOR])
