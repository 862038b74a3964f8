"""What stands beside our schedule: nothing is expected of answers, and everything has its turn."""

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from ...links.scheduling.loads import Load
from ...links.scheduling.schedule import Choice, SiteSchedule
from ...models.cost import ModelCost

# A model that was loaded stays for as long, or until it ran once for each camera.
_TURN_S = 1.0
# So many seconds of the budget can be saved up, as by our schedule.
_SAVED_S = 2.0


class TurnSchedule(SiteSchedule):
    """Nothing is expected of answers: models are loaded in turn, and run where their turn comes.

    Args:
        costs: what each model costs.
        pairs: whether each pair of a camera and a model has its turn; else what is loaded runs on every input.
        options: those of `SiteSchedule`.
    """

    def __init__(self, costs: Mapping[str, ModelCost], *, pairs: bool, **options: Any) -> None:
        super().__init__(costs, **options)
        self.pairs = pairs
        self.budget_bytes: int | None = options.get("budget_bytes")
        self.saved_s = _SAVED_S * self.compute_cores
        self._then_s: float | None = None
        self._ran: dict[str, dict[Hashable, int]] = {name: {} for name in costs}
        self._loaded_s: dict[str, float] = {}
        self._turn: dict[str, set[Hashable]] = {name: set() for name in costs}
        self._last: dict[str, float] = dict.fromkeys(costs, -1.0)

    def join(self, stream: Hashable, **known: Any) -> None:
        """A camera begins."""
        super().join(stream, **known)
        for ran in self._ran.values():
            ran[stream] = 0

    def choose(
        self, stream: Hashable, now_s: float, losses: Mapping[str, float], *, loaded: Collection[str], **_: Any
    ) -> Choice:
        """What has its turn on this input, as far as the seconds go that were saved up."""
        passed_s = 0.0 if self._then_s is None else now_s - self._then_s
        self._then_s = now_s
        self.saved_s = min(self.saved_s + self.compute_cores * passed_s, _SAVED_S * self.compute_cores)
        chosen = []
        turning = bool(self._waiting(loaded))
        for name in sorted(loaded, key=lambda each: self._ran[each][stream]):
            # One run on each camera a visit: what is left is saved for the next model's.
            if turning and stream in self._turn[name]:
                continue
            runs = self._ran[name]
            if self.saved_s >= self.costs[name].infer_s and (not self.pairs or runs[stream] <= self._least(loaded)):
                self.saved_s -= self.costs[name].infer_s
                runs[stream] += 1
                self._turn[name].add(stream)
                chosen.append(name)
        return Choice(tuple(chosen))

    def _since_s(self, name: str) -> float:
        """Since when a model is loaded; the first are from the beginning."""
        return self._loaded_s.get(name, 0.0)

    def _waiting(self, loaded: Collection[str]) -> list[str]:
        """The models that could be loaded."""
        most = float("inf") if self.budget_bytes is None else self.budget_bytes
        return [name for name in self.names if name not in loaded and self.costs[name].memory_bytes <= most]

    def _least(self, loaded: Collection[str]) -> int:
        return min(min(self._ran[name].values()) for name in loaded)

    def load(self, now_s: float, *, loaded: Collection[str], **_: Any) -> Load | None:
        """The model whose turn is longest ago, in the place of one that had its turn."""
        waiting = self._waiting(loaded)
        if not waiting:
            return None
        wanted = min(waiting, key=lambda name: self._last[name])
        # What is loaded and has no second left to run would be loaded for nothing.
        visit_s = self.costs[wanted].load_s + len(self._ran[wanted]) * self.costs[wanted].infer_s
        if self.saved_s < min(visit_s, _SAVED_S * self.compute_cores):
            return None
        free = float("inf") if self.budget_bytes is None else self.budget_bytes
        free -= sum(self.costs[name].memory_bytes for name in loaded)
        unload = []
        for name in sorted(loaded, key=self._since_s):
            if free >= self.costs[wanted].memory_bytes:
                break
            if len(self._turn[name]) == len(self._ran[name]) or now_s - self._since_s(name) >= _TURN_S:
                unload.append(name)
                free += self.costs[name].memory_bytes
        if free < self.costs[wanted].memory_bytes:
            return None
        for name in unload:
            self._last[name] = now_s
        self.saved_s -= self.costs[wanted].load_s
        # From now on it has its turn, and begins as often as those that run already.
        self._loaded_s[wanted], self._turn[wanted], self._last[wanted] = now_s + self.costs[wanted].load_s, set(), now_s
        most = max((max(self._ran[name].values()) for name in loaded), default=0)
        self._ran[wanted] = {stream: max(count, most - 1) for stream, count in self._ran[wanted].items()}
        return Load(wanted, tuple(unload))
