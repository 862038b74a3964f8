"""Which inputs a live filter keeps only to hear what the model says of them, decided one by one. NumPy only."""

import numpy as np

from ...outputs import Array

_RECENT = 512
_LEAST = 32
_BURST = 8.0
_HORIZON = 100.0


class Picker:
    """Picks some of the inputs that a filter would skip, up to a share of all inputs, each with its probability.

    Half of the share goes to the inputs that the filter is least sure of: those that score the highest of what it
    skipped lately; they are picked with certainty. The other half is drawn at random from the rest. What a half has not
    spent it saves, so that a filter that skips little has more of what it skips labelled; the probability of a random
    draw is known before it is made. Beyond the share it spends at most what it may save, about 100 inputs.

    Args:
        share: of all inputs, above 0 and below 1.
        random: for the random draws.
    """

    def __init__(self, share: float, random: np.random.Generator) -> None:
        self.share = share
        self.random = random
        self._skipped = np.full(_RECENT, np.nan)
        self._seen = 0
        self._doubts = self._lots = 0.0

    def renew(self) -> None:
        """Forgets the scores: those of another filter come."""
        self._seen = 0

    def take(self, score: float, *, kept: bool) -> float:
        """With what probability the next input was picked; 0: it was not. What is kept anyway is known: 1."""
        half = self.share / 2
        self._doubts = min(_BURST, self._doubts + half)
        self._lots = min(_HORIZON, self._lots + half)
        doubtful = not kept and self._doubts >= 1.0 and score >= self._bar()
        self._skipped[self._seen % _RECENT] = np.nan if kept else score
        self._seen += 1
        if kept:
            return 1.0
        if doubtful:
            self._doubts -= 1.0
            return 1.0
        probability = min(1.0, max(half, self._lots / _HORIZON))
        if self.random.random() >= probability:
            return 0.0
        self._lots -= 1.0
        return probability

    def _bar(self) -> float:
        """The score from which on an input is one of the least sure."""
        if self._seen < _LEAST:
            return np.inf
        recent: Array = self._skipped[: min(self._seen, _RECENT)]
        skipped = recent[~np.isnan(recent)]
        wanted = max(1, round(self.share / 2 * len(recent)))
        return float(np.partition(skipped, -wanted)[-wanted]) if len(skipped) >= wanted else -np.inf
