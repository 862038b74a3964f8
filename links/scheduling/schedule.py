"""Decides which (stream, model) pairs run and which models are loaded, under a budget of memory and of compute.

No clock, no thread, no process: the coordinator and the replay of a recording drive the same object.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...models.cost import ModelCost
from .allowance import Allowance
from .loads import Load, Loads, Memory
from .price import Price
from .stats import PairStats, ScheduleStats
from .weights import Weights
from .worth import StreamWorth, fresh_losses, told_losses

_LOOKS_EVERY_S = 0.2
"""All streams are looked at together no more often than this."""
_FAR = 1e3
"""A pair that should have run long ago is worth so many times what it would be by itself."""
_DRAWN, _VISITED = 0.06, 0.04
"""So much of the compute audits may take: of models that are loaded, and of those that are loaded for it. What they
cost is missing where answers are doubtful, and neither kind is to take what the other needs."""
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


class SiteSchedule:
    """The site's one schedule.

    Args:
        costs: what each model costs; virtual models have none.
        compute_cores: processors' seconds that may be spent in a second; infinite: no limit.
        budget_bytes: the memory that loaded models may take; None: no limit; `Memory`: that of several places.
        weights: how much answers matter.
        audit: the share of pairs that run whatever they are worth, as far as a tenth of the compute allows.
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
        budget_bytes: int | Memory | None = None,
        weights: Weights | None = None,
        audit: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.names = tuple(costs)
        self.costs = dict(costs)
        self.compute_cores = compute_cores
        self.weights = weights or Weights()
        self.audit = audit
        self._place = {name: at for at, name in enumerate(self.names)}
        self._infer_s = np.asarray([max(cost.infer_s, 1e-6) for cost in costs.values()])
        self._loads = Loads(self.costs, memory=Memory.of(budget_bytes), audit=audit)
        self._bank = Price(compute_cores, dearest_s=self._dearest_s())
        self._drawn, self._visited = Allowance(_DRAWN * compute_cores), Allowance(_VISITED * compute_cores)
        self._model_weight = np.asarray([self.weights.of_model(name) for name in self.names])
        self._streams: dict[Hashable, StreamWorth] = {}
        self._random = np.random.default_rng(seed)
        self._now_s = self._looked_s = -np.inf
        self._booked_s: dict[str, float] = {}
        self._load_cpu_s: dict[str, float] = {}
        self._latest = np.zeros(len(self.names))
        self._runs = np.zeros(len(self.names), np.int64)

    @property
    def spent_s(self) -> float:
        """The seconds of processors that were spent, loads included."""
        return self._bank.spent_s

    @property
    def price(self) -> float:
        """What a second of processors has to bring now: losses that it prevents."""
        return self._bank.value

    def is_short(self, now_s: float) -> bool:
        """Whether there is less compute now than is asked for, so that a second of it has a price."""
        self._pass_time(now_s)
        return self.price > 0.0

    def join(
        self,
        stream: Hashable,
        *,
        name: str = "",
        models: Collection[str] | None = None,
        fresh: Mapping[str, Sequence[float]] | None = None,
        linked: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    ) -> None:
        """A stream begins, or begins anew.

        Args:
            stream: what it is called from now on.
            name: what weights know it by.
            models: those that look at it and that somebody asks for there; None: all.
            fresh: by model, what is lost on average with the best answer whose model ran so long ago, by the ages of
                `AGE_EDGES_S`; a model that is not named: as assumed of holding.
            linked: by a model that runs on an input and another that does not, what is lost by linking the latter from
                the former, by the ages and for "never" (`linked_losses`).
        """
        self.leave(stream)
        weight = self.weights.of_stream(name) * self._model_weight
        if models is not None:
            weight = weight * [each in models for each in self.names]
        self._streams[stream] = StreamWorth(weight, fresh_losses(self.names, fresh), told_losses(self.names, linked))

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
        frame_loss: float = 0.0,
        factors: Mapping[str, float] | None = None,
    ) -> Choice:
        """Which models run on this input of a stream, now; `ran` or `skipped` is to follow for each.

        Args:
            stream: one that has joined.
            now_s: of a clock that does not go back: the coordinator's, or the recording's.
            losses: for each model that could run on it, what is expected to be lost if it does not, from 0 to 1.
            loaded: the models that could run at once.
            must: those that are to run whatever they are worth, as far as there are seconds for them.
            frame_s: what this input costs beside its models if any of them runs.
            frame_loss: the losses that runs on this input have to prevent together, beyond their cost, for any to run.
            factors: how much more each model's answer matters on this input than usual (`Weights.of_answer`).
        """
        now_s = self._pass_time(now_s)
        self._loads.see(now_s, loaded)
        state = self._streams[stream]
        factor = 1.0 if factors is None else np.asarray([factors.get(name, 1.0) for name in self.names])
        gains = state.see(now_s, np.asarray([losses.get(name, 0.0) for name in self.names]), factors=factor)
        self._look(now_s)
        late = state.late(now_s, self.weights.least_every_s)
        # Where not even these can all run in time, those that have waited longest go first.
        is_late = late > self._latest / 2.0
        index = (gains + _FAR * late) / self._infer_s
        able = np.array([name in losses and name in loaded for name in self.names])
        # While nothing is left for draws there is none of any model: the dear ones must not lose theirs to the cheap.
        drawn = able & (self._random.random(len(self.names)) < self.audit) & (self._drawn.saved_s > 0.0)
        visited = able & self._loads.to_compare(state)
        forced = drawn | visited | np.asarray([name in must for name in self.names])
        self._bank.ask(float(index[able].max(initial=0.0)))
        if max(frame_s, frame_loss) > 0.0 and not (able & forced).any():
            surplus = (np.maximum(index - self.price, 0.0) * self._infer_s)[able].sum()
            able &= bool(surplus > self.price * frame_s + frame_loss)
        chosen: list[int] = []
        indices: dict[str, float] = {}
        order = np.lexsort((-index, ~forced, -late))
        left = order[able[order]].tolist()
        while left:
            at = left.pop(0)
            cost_s = float(self._infer_s[at]) + (0.0 if chosen else frame_s)
            worth = forced[at] or (state.weight[at] > 0.0 and index[at] >= self.price)
            if is_late[at] or (worth and not forced[at] and not self._latest.any()):
                can_take_s = self._bank.at_once_s
            else:
                can_take_s = self._bank.spare_s
            if (is_late[at] or worth) and can_take_s >= cost_s:
                chosen.append(at)
                indices[self.names[at]] = float(index[at])
                self._bank.spend(cost_s)
                if visited[at]:
                    self._visited.spend(cost_s)
                elif drawn[at]:
                    self._drawn.spend(cost_s)
                state.booked_s[at] = float(self._infer_s[at])
                if state.tells_any:
                    state.told(at)
                    index = (state.gain + _FAR * late) / self._infer_s
                    left.sort(key=lambda at: (-late[at], not forced[at], -index[at]))
        state.frame_s = frame_s if chosen else 0.0
        unbiased = frozenset(self.names[at] for at in chosen if forced[at] or is_late[at])
        return Choice(tuple(self.names[at] for at in chosen), unbiased, indices)

    def ran(self, stream: Hashable, model: str, now_s: float, took_s: float) -> None:
        """A model ran on a stream's input: its answer is fresh, and what it took is spent."""
        at, state = self._place[model], self._streams.get(stream)
        self._bank.spend(took_s - (state.booked_s.pop(at, 0.0) if state is not None else 0.0))
        self._infer_s[at] += _LEARNT * (max(took_s, 1e-6) - self._infer_s[at])
        self._runs[at] += 1
        if state is not None:
            state.frame_s = 0.0
            state.ran(at, now_s)

    def skipped(self, stream: Hashable, model: str) -> None:
        """A model that was chosen did not run after all: its seconds are given back."""
        state = self._streams.get(stream)
        if state is not None:
            self._bank.spend(-state.booked_s.pop(self._place[model], 0.0))
            if not state.booked_s:
                self._bank.spend(-state.frame_s)
                state.frame_s = 0.0

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
        self._look(now_s)
        found = self._loads.next(
            now_s,
            loaded=loaded,
            busy=busy,
            never=never,
            must=must,
            late=[name for name, late in zip(self.names, self._latest, strict=True) if late > 0.0],
            price=self.price,
            saved_s=self._bank.at_once_s,
            audits_s=self._visited.saved_s,
        )
        if found is not None:
            if found.compares:
                self._visited.spend(self.costs[found.model].load_s)
            # What it takes of the processors is not how long it takes.
            self._booked_s[found.model] = self._load_cpu_s.get(found.model, self.costs[found.model].load_s)
            self._bank.spend(self._booked_s[found.model])
        return found

    def loaded(self, model: str, took_s: float) -> None:
        """A model that was to be loaded is: so much of the processors' time it took, and not all until it was there."""
        self._bank.spend(took_s - self._booked_s.pop(model, took_s))
        self._load_cpu_s[model] = took_s

    def stats(self) -> ScheduleStats:
        """What was done, and what was worth what at every stream's last input."""
        price = self.price
        pairs = {
            stream: {
                name: PairStats(int(state.runs[at]), float(state.offered[at] / self._infer_s[at]), price)
                for at, name in enumerate(self.names)
                if state.weight[at] > 0.0 or state.runs[at]
            }
            for stream, state in self._streams.items()
        }
        return ScheduleStats(
            streams=len(self._streams),
            compute_cores=self.compute_cores,
            spent_s=self.spent_s,
            bank_s=self._bank.bank_s,
            price=price,
            runs=dict(zip(self.names, self._runs.tolist(), strict=True)),
            loads=dict(self._loads.counts),
            load_s=self._loads.spent_s,
            waiting=dict(self._loads.waiting),
            keeping=dict(self._loads.keeping),
            pairs=pairs,
        )

    def _pass_time(self, now_s: float) -> float:
        """The clock moves on, and never back."""
        self._now_s = max(self._now_s, now_s)
        self._bank.pass_time(self._now_s)
        self._drawn.pass_time(self._now_s, most_s=float(self._infer_s.max(initial=0.0)))
        self._visited.pass_time(self._now_s, most_s=self._loads.dearest_visit_s)
        return self._now_s

    def _look(self, now_s: float) -> None:
        """Looks over all streams, unless that was done just now."""
        if now_s - self._looked_s < _LOOKS_EVERY_S:
            return
        self._looked_s = now_s
        active = [each for each in self._streams.values() if each.sends(now_s)]
        late = [each.late(now_s, self.weights.least_every_s) for each in active]
        self._latest = np.max(late, axis=0) if late else np.zeros(len(self.names))
        self._loads.value(active, self._infer_s, self.price)

    def _dearest_s(self) -> float:
        """The seconds of what takes most: an inference, or half a load where not all models fit."""
        loads = [cost.load_s / 2.0 for name, cost in self.costs.items() if self._loads.fits(name)]
        return max([*self._infer_s.tolist(), *(loads if self._loads.take_turns else [])], default=0.0)
