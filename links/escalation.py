"""Chooses, within a share of the time, which predicted answers to replace by running the model itself."""

from collections.abc import Mapping

from ..models.cost import ModelCost
from .answer import Answer

_MOST_SAVED_S = 2.0
_FADES = 0.99


class Escalation:
    """Prices time: what is gained for it must be worth more than it could bring elsewhere (MLink with a cascade, 7.6).

    Running a model whose answer is not trusted gains one minus the answer's confidence. The share of time that is not
    spent is saved up, to a bound. With much saved a second costs next to nothing; with little it costs nearly the best
    that one brought lately. So the average stays within the share, and what is spent goes to where it gains most.

    Args:
        costs: what the models cost.
        share: of real time that may be spent.
    """

    def __init__(self, costs: Mapping[str, ModelCost], share: float) -> None:
        self.costs = dict(costs)
        self.share = share
        self.runs = 0
        self._best = 0.0
        self._saved_s = 0.0
        self._counted_s: float | None = None

    def choose(
        self, answers: Mapping[str, Answer], now_s: float, *, left_s: float | None, loaded: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """The models to run on this input as well, the most gain for its time first.

        Args:
            answers: how the models are answered for; those that ran, or are trusted, are left alone.
            now_s: of a clock that does not go back.
            left_s: until the input's deadline; None: it has none.
            loaded: the models that need not be loaded first.
        """
        passed_s = 0.0 if self._counted_s is None else max(0.0, now_s - self._counted_s)
        self._counted_s = now_s
        self._saved_s = min(self._saved_s + self.share * passed_s, _MOST_SAVED_S)
        takes = {name: self._takes_s(name, name in loaded) for name in answers if name in self.costs}
        gains = {
            name: 1.0 - answer.confidence
            for name, answer in answers.items()
            if name in takes and answer.origin != "executed" and not answer.trusted
        }
        rates = {name: gain / takes[name] for name, gain in gains.items()}
        self._best = max(self._best * _FADES, max(rates.values(), default=0.0))
        chosen = []
        for name in sorted(rates, key=rates.__getitem__, reverse=True):
            worth = rates[name] >= self._best * (1.0 - self._saved_s / _MOST_SAVED_S)
            in_time = left_s is None or takes[name] <= left_s
            if worth and in_time and takes[name] <= self._saved_s:
                chosen.append(name)
                self._saved_s -= takes[name]
                left_s = None if left_s is None else left_s - takes[name]
        self.runs += len(chosen)
        return tuple(chosen)

    def _takes_s(self, name: str, loaded: bool) -> float:
        cost = self.costs[name]
        return max(cost.infer_s + (0.0 if loaded else cost.load_s), 1e-6)
