"""Decides which (stream, model) pairs run and which models are loaded, under a budget of memory and of compute.

No clock, no thread, no process: the coordinator and the replay of a recording drive the same object.
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...models.cost import ModelCost
from ...outputs import Array
from .weights import Weights


@dataclass(frozen=True)
class Choice:
    """What is to run on one input.

    Attributes:
        run: the models, the most worth first; all of them are loaded.
        audits: those of them that run whatever they were expected to say: what they show of answers is not biased.
    """

    run: tuple[str, ...] = ()
    audits: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Load:
    """A model to load, and what is to be unloaded for it before."""

    model: str
    unload: tuple[str, ...] = ()


@dataclass
class _Stream:
    """What is known of one stream; arrays are by model.

    Attributes:
        weight: how much its answers matter.
        lost: the losses expected since the model last ran, added up.
        age: the inputs since then.
        index: of each pair, at the last input.
    """

    weight: float
    lost: Array
    age: Array
    index: Array
    ran_s: Array = field(default_factory=lambda: np.zeros(0))


class SiteSchedule:
    """The site's one schedule.

    Args:
        costs: what each model costs; virtual models have none.
        compute_cores: processors' seconds that may be spent in a second.
        budget_bytes: the memory that loaded models may take; None: no limit.
        weights: how much answers matter.
        audit: the share of pairs that run whatever they are worth.
        seed: of which these are.
    """

    def __init__(
        self,
        costs: Mapping[str, ModelCost],
        *,
        compute_cores: float,
        budget_bytes: int | None = None,
        weights: Weights | None = None,
        audit: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.names = tuple(costs)
        self.costs = dict(costs)
        self.compute_cores = compute_cores
        self.budget_bytes = budget_bytes
        self.weights = weights or Weights()
        self.audit = audit
        self.spent_s = 0.0
        self._place = {name: at for at, name in enumerate(self.names)}
        self._infer_s = np.asarray([max(cost.infer_s, 1e-6) for cost in costs.values()])
        self._streams: dict[Hashable, _Stream] = {}
        self._random = np.random.default_rng(seed)
        self._bank_s = 0.0
        self._counted_s: float | None = None

    def join(self, stream: Hashable, *, name: str = "") -> None:
        """A stream begins; `name` is what weights know it by."""
        count = len(self.names)
        self._streams[stream] = _Stream(
            self.weights.of_stream(name), np.zeros(count), np.zeros(count), np.zeros(count), np.full(count, -np.inf)
        )

    def leave(self, stream: Hashable) -> None:
        """A stream has ended."""
        self._streams.pop(stream, None)

    def choose(
        self,
        stream: Hashable,
        now_s: float,
        losses: Mapping[str, float],
        *,
        loaded: Collection[str],
        must: Collection[str] = (),
    ) -> Choice:
        """Which models run on this input of a stream, now.

        Args:
            stream: one that has joined.
            now_s: of a clock that does not go back: the coordinator's, or the recording's.
            losses: for each model that could run on it, what is expected to be lost if it does not, from 0 to 1.
            loaded: the models that could run at once.
            must: those that are to run whatever they are worth.
        """
        self._earn(now_s)
        state = self._streams[stream]
        loss = np.asarray([losses.get(name, 0.0) for name in self.names])
        state.index = state.weight * ((state.age + 1.0) * loss - state.lost) / self._infer_s
        state.age += 1.0
        state.lost += loss
        chosen, audits = [], set()
        for at in np.argsort(-state.index):
            name = self.names[at]
            if name not in losses or name not in loaded:
                continue
            audited = self._random.random() < self.audit
            if name in must or audited or (state.index[at] > 0.0 and self._bank_s >= self._infer_s[at]):
                chosen.append(name)
                audits |= {name} if audited or name in must else set()
                self._bank_s -= self._infer_s[at]
                self.ran(stream, name, now_s, float(self._infer_s[at]))
        return Choice(tuple(chosen), frozenset(audits))

    def ran(self, stream: Hashable, model: str, now_s: float, took_s: float) -> None:
        """A model ran on a stream's input: its answer is fresh, and its seconds are spent."""
        self.spent_s += took_s
        state = self._streams.get(stream)
        if state is not None:
            at = self._place[model]
            state.lost[at] = state.age[at] = state.index[at] = 0.0
            state.ran_s[at] = now_s

    def load(self, now_s: float, *, loaded: Collection[str], busy: Collection[str] = ()) -> Load | None:
        """The load that is worth most now, if one is worth what it costs and displaces; None: all stays.

        Args:
            now_s: as for `choose`.
            loaded: the models that take memory now, those that are being loaded among them.
            busy: those of them that can't be unloaded now.
        """
        self._earn(now_s)
        waiting = sum((state.index.clip(min=0.0) for state in self._streams.values()), np.zeros(len(self.names)))
        order = [self.names[at] for at in np.argsort(-waiting) if self.names[at] not in loaded]
        if not order or waiting[self._place[order[0]]] <= 0.0:
            return None
        wanted = order[0]
        unload: list[str] = []
        if self.budget_bytes is not None:
            needed = self.costs[wanted].memory_bytes
            if needed > self.budget_bytes:
                return None
            free = self.budget_bytes - sum(self.costs[name].memory_bytes for name in loaded)
            for name in sorted((n for n in loaded if n not in busy), key=lambda n: waiting[self._place[n]]):
                if free >= needed:
                    break
                unload.append(name)
                free += self.costs[name].memory_bytes
            if free < needed:
                return None
        return Load(wanted, tuple(unload))

    def _earn(self, now_s: float) -> None:
        if self._counted_s is not None:
            self._bank_s = min(
                self._bank_s + self.compute_cores * max(0.0, now_s - self._counted_s), self.compute_cores
            )
        self._counted_s = now_s
