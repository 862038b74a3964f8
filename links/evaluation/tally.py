"""Counts how answers agree with the exact outputs, by model and by the origin of the answers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...evidence import fixed_sequence
from ...models.spec import ModelSpec
from ...outputs import Array
from ..answer import Answer
from ..trust.certificate import ALPHA


@dataclass(frozen=True)
class ModelTally:
    """One model's answers.

    Attributes:
        agreement: mean over all its answers.
        predicted_agreement: mean over those that were not executed; None if all were.
        origins: how many answers have which origin.
    """

    agreement: float
    predicted_agreement: float | None
    origins: Mapping[str, int]


class Tally:
    """Adds up answers.

    Args:
        models: every model's spec.

    Attributes:
        served: each model's answers, in the order of time.
        ran: which of them, by index, were executed.
    """

    def __init__(self, models: Mapping[str, ModelSpec]) -> None:
        self._specs = models
        self._sums: dict[str, Counter[str]] = {name: Counter() for name in models}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in models}
        self.served: dict[str, list[Array]] = {name: [] for name in models}
        self.ran: dict[str, list[int]] = {name: [] for name in models}
        # By input: how its trusted answers disagree, and how all do that were not executed.
        self._trusted: list[list[float]] = []
        self._all: list[list[float]] = []
        self._regions = 0
        self._covered = 0

    def add(self, answers: Mapping[str, Answer], exact: Mapping[str, Array]) -> dict[str, float]:
        """Counts one input's answers; returns each one's agreement."""
        agreements = {}
        self._trusted.append([])
        self._all.append([])
        for name, answer in answers.items():
            executed = answer.origin == "executed"
            agreement = 1.0 if executed else self._specs[name].output.agreement(answer.value, exact[name])
            agreements[name] = agreement
            if executed:
                self.ran[name].append(len(self.served[name]))
            self.served[name].append(answer.value)
            self._sums[name][answer.origin] += agreement  # type: ignore[assignment]
            self._counts[name][answer.origin] += 1
            if not executed:
                self._all[-1].append(1.0 - agreement)
                self._trusted[-1] += self._all[-1][-1:] * answer.trusted
            if answer.region is not None:
                self._regions += 1
                self._covered += answer.covers(exact[name], agreement)
        return agreements

    def extend(self, other: "Tally") -> None:
        """Counts another camera's answers after these."""
        for name in self.served:
            self.ran[name] += [len(self.served[name]) + at for at in other.ran[name]]
            self.served[name] += other.served[name]
            self._sums[name].update(other._sums[name])
            self._counts[name].update(other._counts[name])
        self._trusted += other._trusted
        self._all += other._all
        self._regions += other._regions
        self._covered += other._covered

    @property
    def agreement(self) -> float:
        """Mean agreement over all answers."""
        return sum(self._total(self._sums)) / max(1, sum(self._total(self._counts)))

    @property
    def predicted_agreement(self) -> float | None:
        """Mean agreement over the answers that were not executed; None if there are none."""
        count = sum(self._predicted(self._counts))
        return sum(self._predicted(self._sums)) / count if count else None

    @property
    def saved(self) -> float:
        """Share of the answers that were not executed, of models that can run."""
        counts = {name: counts for name, counts in self._counts.items() if not self._specs[name].virtual}
        return sum(self._predicted(counts)) / max(1, sum(self._total(counts)))

    @property
    def trusted_share(self) -> float:
        """Share of the answers that were not executed and are trusted, among those not executed."""
        return sum(map(len, self._trusted)) / max(1, sum(self._predicted(self._counts)))

    @property
    def trusted_agreement(self) -> float | None:
        """Mean agreement of the trusted answers that were not executed; None if there are none."""
        count = sum(map(len, self._trusted))
        return 1.0 - sum(map(sum, self._trusted)) / count if count else None

    @property
    def trusted_bound(self) -> tuple[float, int] | None:
        """The 95 % upper bound on how often trusted answers disagree, and on how many runs it stands; None: no answer.

        Models go wrong together, so an input counts once: with the mean over its trusted answers.
        """
        if not any(self._trusted):
            return None
        kinds = (self._trusted, self._all)
        losses = np.asarray([[sum(each) / max(1, len(each)) for each in kind] for kind in kinds])
        where = np.asarray([[bool(each) for each in kind] for kind in kinds])
        found = fixed_sequence(losses, target=ALPHA, where=where)
        return float(found.uppers[0]), int(found.runs[0])

    @property
    def region_share(self) -> float:
        """Share of the answers not executed that have a region."""
        return self._regions / max(1, sum(self._predicted(self._counts)))

    @property
    def region_coverage(self) -> float | None:
        """Share of the regions that hold the exact output; None if there are none."""
        return self._covered / self._regions if self._regions else None

    def models(self) -> dict[str, ModelTally]:
        """The same by model."""
        tallies = {}
        for name, counts in self._counts.items():
            sums = self._sums[name]
            predicted = counts.total() - counts["executed"]
            agreement = sum(sums.values()) / max(1, counts.total())
            alone = (sum(sums.values()) - sums["executed"]) / predicted if predicted else None
            tallies[name] = ModelTally(agreement, alone, dict(counts))
        return tallies

    @staticmethod
    def _total(counters: Mapping[str, Counter[str]]) -> list[float]:
        return [float(sum(counter.values())) for counter in counters.values()]

    @staticmethod
    def _predicted(counters: Mapping[str, Counter[str]]) -> list[float]:
        return [float(sum(counter.values()) - counter["executed"]) for counter in counters.values()]
