"""Which model is loaded next and what goes for it: each second of the memory's use to where it prevents most."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...models.cost import ModelCost
from ...outputs import Array
from .worth import EDGES_S, StreamWorth

_AGES_S = np.geomspace(0.05, 256.0, 50)
_MIDDLES_S = np.sqrt([0.125**2, *(EDGES_S * [*EDGES_S[1:], 128.0])])
"""The ages that the measured ones stand for."""
_PAYS_WITHIN_S, _CLEARLY = 30.0, 1.3
"""A model that is to stay makes up for its load within this time, and prevents clearly more than what it displaces."""
_SURELY = 2.0
"""So many times what is lost by it has a visit to prevent: the one of many that looks best looks better than it is."""
_BRINGS = 4.0
"""A load brings so many times what its seconds would bring elsewhere: what streams expect of it is believed less."""
_STAYS_S = 1.0
"""A model that was loaded stays at least so long, or until all streams were served."""


@dataclass(frozen=True)
class Memory:
    """What loaded models may take, on each of the places that they run on: the machine's own memory, or a card's.

    Attributes:
        budgets_bytes: by place; None: no limit.
        places: where each model runs; a model that is not named: on the first place.
    """

    budgets_bytes: Mapping[str, int | None]
    places: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, budget_bytes: "int | Memory | None") -> "Memory":
        """One place, where a number or None is given."""
        return budget_bytes if isinstance(budget_bytes, Memory) else cls({"host": budget_bytes})

    def place(self, name: str) -> str:
        """Where a model runs."""
        return self.places.get(name, next(iter(self.budgets_bytes)))

    def budget_bytes(self, name: str) -> int | None:
        """What models may take where that one runs."""
        return self.budgets_bytes[self.place(name)]


@dataclass(frozen=True)
class Load:
    """A model to load, what is to be unloaded for it before, and whether that is only to compare its answers."""

    model: str
    unload: tuple[str, ...] = ()
    compares: bool = False


class Loads:
    """What is worth being in memory.

    A load serves every stream that waits for the model: that prevents what one run on every stream is worth. It is
    compared with what is lost in the meantime by what goes for it, which has to be loaded again: by itself, or together
    with the loads that wait beside it, as one way back is enough for several of them.
    A model that would prevent clearly more by staying than those that are there takes their place, too: its seconds
    prevent what would be lost while it is away, the best length of that chosen.

    Args:
        costs: each model's; what is put in place of one counts from then on.
        memory: what loaded models may take.
        audit: the share of time in which models may be loaded to compare their answers, as far as `audits_s` goes.

    Attributes:
        waiting: by model, the losses that one run on every stream would prevent beyond its cost.
        keeping: by model, the losses a second that it prevents by staying loaded.
        counts: by model, how often it was loaded.
        spent_s: the seconds of these loads.
        dearest_visit_s: what the dearest model takes for a load and a run on every stream.
    """

    def __init__(self, costs: Mapping[str, ModelCost], *, memory: Memory, audit: float) -> None:
        self.costs = costs
        self.memory = memory
        self.audit = audit
        self.waiting = dict.fromkeys(costs, 0.0)
        self.keeping = dict.fromkeys(costs, 0.0)
        self.counts = dict.fromkeys(costs, 0)
        self.spent_s = 0.0
        self.dearest_visit_s = 0.0
        self._active: Sequence[StreamWorth] = ()
        self._visit_s = 0.0
        self._runs_s = np.zeros(len(costs))
        self._began_s = np.inf
        self._missed = np.zeros((len(costs), len(_AGES_S)))
        self._since_s: dict[str, float] = {}
        self._left_s: dict[str, float] = {}
        self._compared: set[str] = set()
        # What stays, but for visits of others.
        self._at_home: set[str] = set()

    def see(self, now_s: float, loaded: Collection[str]) -> None:
        """These models can run now."""
        self._since_s = {name: self._since_s.get(name, float(np.nextafter(now_s, -np.inf))) for name in loaded}

    def to_compare(self, stream: StreamWorth) -> Array:
        """The models that were loaded to be compared, and have not run on the stream since: bool (models,)."""
        since_s = [self._since_s.get(name, -np.inf) if name in self._compared else -np.inf for name in self.costs]
        result: Array = np.asarray(since_s) > stream.ran_s
        return result

    def fits(self, name: str) -> bool:
        """Whether a model fits into the memory at all."""
        budget_bytes = self.memory.budget_bytes(name)
        return budget_bytes is None or self.costs[name].memory_bytes <= budget_bytes

    @property
    def take_turns(self) -> bool:
        """Whether not all models fit at once."""
        needs_bytes = dict.fromkeys(self.memory.budgets_bytes, 0)
        for name, cost in self.costs.items():
            needs_bytes[self.memory.place(name)] += cost.memory_bytes
        budgets = self.memory.budgets_bytes.items()
        return any(most is not None and most < needs_bytes[place] for place, most in budgets)

    def value(self, streams: Sequence[StreamWorth], infer_s: Array, price: float) -> None:
        """Finds out what loading and keeping each model is worth to the streams that send."""
        self._active = streams
        run_cost = infer_s * min(price, 1e12)
        loads_s = [cost.load_s for cost in self.costs.values()]
        self._runs_s = infer_s * _looking(streams, len(infer_s))
        self.dearest_visit_s = float((loads_s + self._runs_s).max(initial=0.0))
        # Until every stream has had an input, a model that was loaded has not served them all.
        self._visit_s = min(float(np.median([each.every_s for each in self._active] or [0.0])), _STAYS_S)
        self.waiting = dict(zip(self.costs, _waiting(self._active, run_cost).tolist(), strict=True))
        self._missed = _missed(self._active, run_cost)
        self.keeping = dict(zip(self.costs, _keeping(self._missed, np.asarray(loads_s)).tolist(), strict=True))

    def next(
        self,
        now_s: float,
        *,
        loaded: Collection[str],
        busy: Collection[str],
        never: Collection[str],
        must: Collection[str],
        late: Collection[str],
        price: float,
        saved_s: float,
        audits_s: float,
    ) -> Load | None:
        """The load that is worth most now, if one is worth what it costs and displaces; None: all stays.

        Args:
            now_s: the time.
            loaded: the models that take memory now, those that are being loaded among them.
            busy: those of them that can't be unloaded now.
            never: the models that are not to be loaded now.
            must: the models that are to be loaded whatever they are worth.
            late: the models that a stream has waited for longer than it may.
            price: what a second of the processors has to bring elsewhere.
            saved_s: the processors' seconds that may be spent at once.
            audits_s: those that may be spent on models that are loaded to be compared.
        """
        if self._began_s == np.inf:
            self._began_s = now_s
            self._at_home.update(loaded)
        away = [name for name in self.costs if name not in loaded and name not in never and self.fits(name)]
        for name in self.costs:
            self._left_s.setdefault(name, now_s)
        for name in loaded:
            # What is loaded, or being loaded, and could not run yet has served nobody.
            self._since_s.setdefault(name, now_s)
        visits_s = dict(zip(self.costs, self._runs_s.tolist(), strict=True))
        compare = [
            name
            for name in away
            if self.audit * (now_s - self._left_s[name]) > (load_s := self.costs[name].load_s)
            and load_s + visits_s[name] <= audits_s
        ]
        worth = {name: self.waiting[name] / max(self.costs[name].load_s + self._visit_s, 1e-3) for name in away}
        brings = {name: max(worth[name], self._keeps(name)) for name in away}
        asked = _BRINGS * min(price, 1e12)
        pays = {name for name in away if self.waiting[name] > asked * self.costs[name].load_s}
        waiting = sorted(away, key=lambda name: (name not in must, name not in late, -brings[name]))
        for name in waiting:
            forced = name in late or name in compare
            if name not in must and (self.costs[name].load_s > saved_s or not (forced or name in pays)):
                continue
            go = self._room(name, loaded, [*busy] if name in must else [*busy, *self._unserved(now_s)])
            if go is None:
                continue
            lost = sum(max(self._keeps(gone) - self._told(name, gone), 0.0) for gone in go)
            stays = self._keeps(name) > lost * (1.0 + self.costs[name].load_s / _PAYS_WITHIN_S)
            visits = [name, *(other for other in waiting if other != name and other in pays)]
            if name in must or forced or stays or self._makes_up(visits, go, asked):
                return self._begin(name, go, now_s, to_compare=name in compare, stays=stays or not go)
        return None

    def _keeps(self, name: str) -> float:
        """What a model prevents by staying; what takes its place for good has to prevent clearly more."""
        return self.keeping[name] * (_CLEARLY if name in self._at_home else 1.0)

    def _told(self, name: str, gone: str) -> float:
        """What a model prevents a second by telling of one that goes for it."""
        place = list(self.costs)
        of = [each.told_of(place.index(name), place.index(gone)) / max(each.every_s, 1e-3) for each in self._active]
        return float(sum(of))

    def _makes_up(self, visits: Sequence[str], go: Sequence[str], price: float) -> bool:
        """Whether visits, the first one or some more after it, prevent more than is lost until all is as before."""
        prevented = away_s = 0.0
        for name in visits:
            load_s = self.costs[name].load_s
            prevented += self.waiting[name] - price * load_s
            away_s += load_s + self._visit_s
            if prevented > _SURELY * sum(self._missed_by(gone, away_s) for gone in go):
                return True
        return False

    def _missed_by(self, name: str, seconds: float) -> float:
        """What is lost by a model that is loaded again after so many seconds."""
        missed = self._missed[list(self.costs).index(name)]
        return float(np.interp(seconds + self.costs[name].load_s, _AGES_S, missed))

    def _unserved(self, now_s: float) -> list[str]:
        """The models that some stream had no input for since they can run: they stay, for as long as a load at most."""
        first_s = np.full(len(self.costs), np.inf)
        for each in self._active:
            first_s = np.where(each.weight > 0.0, np.minimum(first_s, each.seen_s), first_s)
        first = dict(zip(self.costs, first_s.tolist(), strict=True))
        return [
            name
            for name, since_s in self._since_s.items()
            if (since_s >= first[name] and now_s - since_s < max(self.costs[name].load_s, _STAYS_S))
            or now_s - self._began_s < _STAYS_S
        ]

    def _room(self, wanted: str, loaded: Collection[str], stay: Collection[str]) -> tuple[str, ...] | None:
        """What goes to make room for a model, what prevents least for its bytes first; None: there is not enough."""
        budget_bytes = self.memory.budget_bytes(wanted)
        if budget_bytes is None:
            return ()
        place = self.memory.place(wanted)
        sizes = {name: self.costs[name].memory_bytes for name in loaded if self.memory.place(name) == place}
        lacking = sum(sizes.values()) + self.costs[wanted].memory_bytes - budget_bytes
        go: list[str] = []
        for name in sorted(sizes.keys() - {*stay}, key=lambda name: (self._keeps(name) / max(1, sizes[name]), name)):
            if lacking <= 0:
                break
            go.append(name)
            lacking -= sizes[name]
        for name in [*go]:
            if lacking + sizes[name] <= 0:
                go.remove(name)
                lacking += sizes[name]
        return tuple(go) if lacking <= 0 else None

    def _begin(self, name: str, unload: tuple[str, ...], now_s: float, *, to_compare: bool, stays: bool) -> Load:
        for gone in unload:
            self._since_s.pop(gone, None)
            self._left_s[gone] = now_s
            self._compared.discard(gone)
        if to_compare:
            self._compared.add(name)
        if stays:
            self._at_home.difference_update(unload)
            self._at_home.add(name)
        self.counts[name] += 1
        self.spent_s += self.costs[name].load_s
        return Load(name, unload, to_compare)


def _waiting(streams: Sequence[StreamWorth], run_cost: Array) -> Array:
    if not streams:
        return np.zeros(len(run_cost))
    result: Array = np.maximum(np.stack([each.gain for each in streams]) - run_cost, 0.0).sum(axis=0)
    return result


def _missed(streams: Sequence[StreamWorth], run_cost: Array) -> Array:
    """What is lost while a model is away for each of `_AGES_S`, beyond what is lost anyway, float (models, ages)."""
    missed = np.zeros((len(run_cost), len(_AGES_S)))
    if not streams:
        return missed
    rates = np.asarray([1.0 / max(each.every_s, 1e-3) for each in streams])
    looking = _looking(streams, len(run_cost))
    rate = sum(rate * (each.weight > 0.0) for rate, each in zip(rates, streams, strict=True)) + np.zeros(len(run_cost))
    every_s = looking / np.maximum(rate, 1e-9)
    by_age = sum(rate * each.weight[:, None] * each.fresh for rate, each in zip(rates, streams, strict=True))
    tells = sum(rate * each.tells for rate, each in zip(rates, streams, strict=True)) + np.zeros(len(run_cost))
    for at, losses in enumerate(np.asarray(by_age)):
        # While it is away, it tells nothing of others either.
        lost = np.interp(_AGES_S, _MIDDLES_S, losses) + tells[at]
        # At this price every stream is served so seldom, loaded or not, that so much is lost a second anyway.
        cycle = looking[at] * run_cost[at]
        usual = float(((_area(lost) + cycle) / np.maximum(_AGES_S, every_s[at])).min()) * (cycle > 0.0)
        missed[at] = _area(np.maximum(lost - usual, 0.0))
    return missed


def _looking(streams: Sequence[StreamWorth], models: int) -> Array:
    """On how many of the streams each model is weighed, (models,)."""
    result: Array = np.sum([each.weight > 0.0 for each in streams], axis=0) + np.zeros(models)
    return result


def _keeping(missed: Array, loads_s: Array) -> Array:
    """What staying loaded prevents a second, float (models,).

    A model that goes for `T` seconds, the last of them for being loaded again, frees its memory for all but these. The
    absence that is cheapest counts.
    """
    freed_s = _AGES_S - loads_s[:, None]
    able = freed_s > 0.05 * loads_s[:, None]
    result: Array = np.divide(missed, freed_s, out=np.full(missed.shape, np.inf), where=able).min(axis=1)
    return result


def _area(values: Array) -> Array:
    """The integral over ages up to each of `_AGES_S`."""
    steps = np.diff(_AGES_S) * (values[1:] + values[:-1]) / 2.0
    result: Array = np.concatenate([[values[0] * _AGES_S[0]], steps]).cumsum()
    return result
