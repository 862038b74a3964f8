"""Decides which (stream, model) pairs run and which models are loaded, under a budget of memory and of compute.

No clock, no thread, no process: the coordinator and the replay of a recording drive the same object.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...models.cost import ModelCost
from ...outputs import Array
from .loads import active, keeping, waiting
from .price import Price
from .stats import PairStats, ScheduleStats
from .weights import Weights
from .worth import StreamWorth, fresh_losses

_VALUED_EVERY_S = 0.2
"""What loads are worth is found out no more often than this."""
_FAR = 1e3
"""A pair that should have run long ago is worth so many times what it would be by itself."""
_LEARNT = 0.1
"""How much of what an inference takes is believed of the last one."""


@dataclass(frozen=True)
class Choice:
    """What is to run on one input.

    Attributes:
        run: the models, the most worth first; all of them are loaded.
        audits: those of them that run whatever they were expected to say: what they show of answers is not biased.
        index: what each is worth for what it costs.
    """

    run: tuple[str, ...] = ()
    audits: frozenset[str] = frozenset()
    index: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """A model to load, and what is to be unloaded for it before."""

    model: str
    unload: tuple[str, ...] = ()


class SiteSchedule:
    """The site's one schedule.

    Args:
        costs: what each model costs; virtual models have none.
        compute_cores: processors' seconds that may be spent in a second; infinite: no limit.
        budget_bytes: the memory that loaded models may take; None: no limit.
        weights: how much answers matter.
        audit: the share of pairs that run whatever they are worth.
        seed: of which these are.

    Attributes:
        costs: as given; what is put in place of one counts from then on, but for the time of an inference, which is
            learnt from `ran`.
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
        self._place = {name: at for at, name in enumerate(self.names)}
        self._infer_s = np.asarray([max(cost.infer_s, 1e-6) for cost in costs.values()])
        self._bank = Price(compute_cores, dearest_s=self._dearest_s())
        self._model_weight = np.asarray([self.weights.of_model(name) for name in self.names])
        self._streams: dict[Hashable, StreamWorth] = {}
        self._random = np.random.default_rng(seed)
        self._now_s = -np.inf
        self._loaded_s: dict[str, float] = {}
        self._left_s: dict[str, float] = {}
        self._visiting: set[str] = set()
        self._valued_s = -np.inf
        self._active: list[StreamWorth] = []
        self._waiting, self._keeping = np.zeros(len(self.names)), np.zeros(len(self.names))
        self._runs, self._loads = np.zeros(len(self.names), np.int64), np.zeros(len(self.names), np.int64)
        self._load_s = 0.0

    @property
    def spent_s(self) -> float:
        """The seconds of processors that were spent, loads included."""
        return self._bank.spent_s

    @property
    def price(self) -> float:
        """What a second of processors has to bring now: losses that it prevents."""
        return self._bank.value

    def join(self, stream: Hashable, *, name: str = "", fresh: Mapping[str, Sequence[float]] | None = None) -> None:
        """A stream begins.

        Args:
            stream: what it is called from now on.
            name: what weights know it by.
            fresh: by model, what is lost on average with the best answer whose model ran so long ago, by the ages of
                `AGE_EDGES_S`; a model that is not named: as assumed of holding.
        """
        weight = self.weights.of_stream(name) * self._model_weight
        self._streams[stream] = StreamWorth(weight, fresh_losses(self.names, fresh))

    def leave(self, stream: Hashable) -> None:
        """A stream has ended; what was chosen for it and has not run is given back."""
        state = self._streams.pop(stream, None)
        if state is not None:
            self._bank.spend(-sum(state.booked_s.values()))

    def choose(
        self,
        stream: Hashable,
        now_s: float,
        losses: Mapping[str, float],
        *,
        loaded: Collection[str],
        must: Collection[str] = (),
        frame_s: float = 0.0,
    ) -> Choice:
        """Which models run on this input of a stream, now; `ran` or `skipped` is to follow for each.

        Args:
            stream: one that has joined.
            now_s: of a clock that does not go back: the coordinator's, or the recording's.
            losses: for each model that could run on it, what is expected to be lost if it does not, from 0 to 1.
            loaded: the models that could run at once.
            must: those that are to run whatever they are worth.
            frame_s: what this input costs beside its models if any of them runs.
        """
        now_s = self._pass_time(now_s, loaded)
        state = self._streams[stream]
        if np.isinf(state.joined_s):
            state.joined_s = now_s
        gains = state.see(now_s, np.asarray([losses.get(name, 0.0) for name in self.names]))
        index = self._urgent(state, now_s, gains / self._infer_s)
        able = np.asarray([name in losses and name in loaded for name in self.names])
        audited = able & ((self._random.random(len(self.names)) < self.audit) | self._compared_first(state))
        forced = able & (audited | [name in must for name in self.names])
        self._bank.ask(float(index[able].max(initial=0.0)))
        if frame_s > 0.0 and not forced.any():
            surplus = (np.maximum(index - self.price, 0.0) * self._infer_s)[able].sum()
            able &= bool(surplus > self.price * frame_s)
        chosen: list[str] = []
        for at in sorted(np.flatnonzero(able), key=lambda at: (not forced[at], -index[at])):
            cost_s = self._infer_s[at] + (0.0 if chosen else frame_s)
            worth = state.weight[at] > 0.0 and index[at] >= self.price
            if self.names[at] in must or ((forced[at] or worth) and self._bank.affords(cost_s)):
                chosen.append(self.names[at])
                self._bank.spend(cost_s)
                state.booked_s[int(at)] = self._infer_s[at]
        audits = frozenset(name for name in chosen if forced[self._place[name]])
        return Choice(tuple(chosen), audits, {name: float(index[self._place[name]]) for name in chosen})

    def ran(self, stream: Hashable, model: str, now_s: float, took_s: float) -> None:
        """A model ran on a stream's input: its answer is fresh, and what it took is spent."""
        at, state = self._place[model], self._streams.get(stream)
        self._bank.spend(took_s - (state.booked_s.pop(at, 0.0) if state is not None else 0.0))
        self._infer_s[at] += _LEARNT * (max(took_s, 1e-6) - self._infer_s[at])
        self._runs[at] += 1
        if state is not None:
            state.ran(at, now_s)

    def skipped(self, stream: Hashable, model: str) -> None:
        """A model that was chosen did not run after all: its seconds are given back."""
        state = self._streams.get(stream)
        if state is not None:
            self._bank.spend(-state.booked_s.pop(self._place[model], 0.0))

    def load(
        self,
        now_s: float,
        *,
        loaded: Collection[str],
        busy: Collection[str] = (),
        never: Collection[str] = (),
        must: Collection[str] = (),
    ) -> Load | None:
        """The load that is worth most now, if one is worth what it costs and displaces; None: all stays.

        Args:
            now_s: as for `choose`.
            loaded: the models that take memory now, those that are being loaded among them.
            busy: those of them that can't be unloaded now.
            never: the models that are not to be loaded now.
            must: the models that are to be loaded whatever they are worth.
        """
        now_s = self._pass_time(now_s)
        self._value(now_s)
        asked, compared = must, self._compared(now_s, loaded)
        must = {*asked, *compared, *self._overdue(now_s, loaded)}
        loads_s = self._loads_s
        worth = self._waiting / loads_s
        order = [at for at in np.argsort(-worth, kind="stable") if self.names[at] not in loaded]
        for at in sorted(order, key=lambda at: self.names[at] not in must):
            name = self.names[at]
            forced = name in must
            if name in never or not (forced or (worth[at] > 0.0 and worth[at] >= self.price)):
                continue
            unload = self._room(name, float("inf") if forced else float(worth[at]) - self.price, loaded, busy)
            load_s = min(self.costs[name].load_s, self._bank.bank_limit_s / 2.0)
            if unload is not None and (name in asked or self._bank.affords(load_s)):
                if name in compared:
                    self._visiting.add(name)
                return self._begin(name, unload, now_s)
        return None

    def stats(self) -> ScheduleStats:
        """What was done, and what was worth what at every stream's last input."""
        price = self.price
        pairs = {
            stream: {
                name: PairStats(int(state.runs[at]), float(state.gain[at] / self._infer_s[at]), price)
                for at, name in enumerate(self.names)
            }
            for stream, state in self._streams.items()
        }
        by_model = {"waiting": self._waiting, "keeping": self._keeping}
        return ScheduleStats(
            streams=len(self._streams),
            compute_cores=self.compute_cores,
            spent_s=self.spent_s,
            bank_s=self._bank.bank_s,
            price=price,
            runs=dict(zip(self.names, self._runs.tolist(), strict=True)),
            loads=dict(zip(self.names, self._loads.tolist(), strict=True)),
            load_s=self._load_s,
            pairs=pairs,
            **{what: dict(zip(self.names, values.tolist(), strict=True)) for what, values in by_model.items()},
        )

    @property
    def _loads_s(self) -> Array:
        return np.asarray([max(self.costs[name].load_s, 1e-3) for name in self.names])

    def _pass_time(self, now_s: float, loaded: Collection[str] | None = None) -> float:
        """The clock moves on, and never back; `loaded` tells since when each model can run."""
        self._now_s = max(self._now_s, now_s)
        self._bank.pass_time(self._now_s)
        if loaded is not None:
            self._loaded_s = {name: self._loaded_s.get(name, self._now_s) for name in loaded}
        return self._now_s

    def _compared_first(self, state: StreamWorth) -> Array:
        """The models that were loaded to be compared, and have not run on the stream since."""
        since_s = [self._loaded_s.get(name, -np.inf) if name in self._visiting else -np.inf for name in self.names]
        result: Array = np.asarray(since_s) > state.ran_s
        return result

    def _urgent(self, state: StreamWorth, now_s: float, index: Array) -> Array:
        """The index, far above itself where a pair has not run for longer than it may."""
        least_s = self.weights.least_every_s
        if least_s <= 0.0:
            return index
        late = np.where(state.weight > 0.0, np.maximum(state.unserved_s(now_s) / least_s - 1.0, 0.0), 0.0)
        return np.where(late > 0.0, _FAR * late / self._infer_s + index, index)

    def _value(self, now_s: float) -> None:
        """What loading and keeping each model is worth, unless that was found out just now."""
        if now_s - self._valued_s < _VALUED_EVERY_S:
            return
        self._valued_s = now_s
        self._active = active([*self._streams.values()], now_s)
        self._waiting = waiting(self._active, self._infer_s, self.price)
        self._keeping = keeping(self._active, self._infer_s, self._loads_s, self.price)

    def _compared(self, now_s: float, loaded: Collection[str]) -> list[str]:
        """The models that were away for so long that loading them for a comparison takes but the audits' share."""
        for name in self.names:
            self._left_s.setdefault(name, now_s)
        if self.audit <= 0.0 or not self._streams:
            return []
        away = [name for name in self.names if name not in loaded and self._fits(name)]
        return [name for name in away if now_s - self._left_s[name] > self.costs[name].load_s / self.audit]

    def _overdue(self, now_s: float, loaded: Collection[str]) -> list[str]:
        """The models that are not loaded, and that a stream has waited for longer than it may."""
        least_s = self.weights.least_every_s
        if least_s <= 0.0 or not self._active:
            return []
        late = np.any([(each.weight > 0.0) & (each.unserved_s(now_s) > least_s) for each in self._active], axis=0)
        return [
            self.names[at] for at in np.flatnonzero(late) if self.names[at] not in loaded and self._fits(self.names[at])
        ]

    def _dearest_s(self) -> float:
        """The seconds of what takes most: an inference, or a load where not all models fit."""
        needed = sum(cost.memory_bytes for cost in self.costs.values())
        turns = self.budget_bytes is not None and needed > self.budget_bytes
        loads = [cost.load_s / 2.0 for name, cost in self.costs.items() if turns and self._fits(name)]
        return max([*self._infer_s.tolist(), *loads], default=0.0)

    def _fits(self, name: str) -> bool:
        return self.budget_bytes is None or self.costs[name].memory_bytes <= self.budget_bytes

    def _room(
        self, wanted: str, worth: float, loaded: Collection[str], busy: Collection[str]
    ) -> tuple[str, ...] | None:
        """What goes to make room for a model, losing less a second than that is worth; None: there is no such thing."""
        if self.budget_bytes is None:
            return ()
        lacking = self.costs[wanted].memory_bytes - self.budget_bytes
        lacking += sum(self.costs[name].memory_bytes for name in loaded)
        can_go = [name for name in loaded if name not in busy and self._has_served(name)]
        can_go.sort(key=lambda name: self._keeping[self._place[name]] / max(1, self.costs[name].memory_bytes))
        go: list[str] = []
        for name in can_go:
            if lacking <= 0:
                break
            go.append(name)
            lacking -= self.costs[name].memory_bytes
        for name in [*go]:
            if lacking + self.costs[name].memory_bytes <= 0:
                go.remove(name)
                lacking += self.costs[name].memory_bytes
        if lacking > 0 or sum(self._keeping[self._place[name]] for name in go) >= worth > 0.0:
            return None
        return tuple(go)

    def _has_served(self, name: str) -> bool:
        """Whether every stream that sends had an input since the model can run: until then it stays."""
        since_s = self._loaded_s.get(name, np.inf)
        return all(each.seen_s >= since_s for each in self._active)

    def _begin(self, name: str, unload: tuple[str, ...], now_s: float) -> Load:
        for gone in unload:
            self._loaded_s.pop(gone, None)
            self._left_s[gone] = now_s
            self._visiting.discard(gone)
        took_s = self.costs[name].load_s
        self._bank.spend(took_s)
        self._load_s += took_s
        self._loads[self._place[name]] += 1
        return Load(name, unload)
