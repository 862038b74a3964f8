"""What a plan is chosen from: the models and what they cost, the streams and what was measured there, the room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import InvalidInput
from ...models.cost import ModelCost
from ...outputs import Array
from ..scheduling.weights import Weights
from ..table import Table
from .agreement import Expected, Outlook
from .rates import Rates, loaded_rates, turn_rates
from .streams import Stream
from .weights import shares

_MIB = 2**20
_NEVER_FITS = 2**60


@dataclass(frozen=True)
class Kind:
    """Streams that are alike: the same tables and the same rate.

    Attributes:
        streams: their names.
        tables: by model, in the problem's order.
        every_s: between two inputs of each.
        weights: each model's share of the objective there, of all its streams together: float (models,).
        outlook: how much more is lost there than was measured.
    """

    streams: tuple[str, ...]
    tables: tuple[Table, ...]
    every_s: float
    weights: Array
    outlook: Outlook


@dataclass(frozen=True)
class Problem:
    """What is chosen from, in arrays over the models' order.

    Attributes:
        names: the models.
        memory: each one's bytes; of a virtual model, which can't run, more than any budget.
        infer_s: processor seconds of each inference.
        load_s: seconds of each load, in which it takes one processor.
        kinds: the streams; the weights of all together sum to 1.
        budget_bytes: the memory there is.
        compute_cores: the processor seconds that may be spent in a second.
        takes_turns: whether models that do not stay may be loaded in turn.
    """

    names: tuple[str, ...]
    memory: Array
    infer_s: Array
    load_s: Array
    kinds: tuple[Kind, ...]
    budget_bytes: int
    compute_cores: float
    takes_turns: bool = True

    @classmethod
    def of(
        cls,
        costs: Mapping[str, ModelCost],
        streams: Sequence[Stream],
        *,
        budget_bytes: int | None,
        compute_cores: float,
        weights: Weights,
        turns: bool = True,
    ) -> "Problem":
        """The problem in arrays, the models in the order of their names; those without a cost are virtual.

        Raises:
            InvalidInput: there is no model or no stream, the streams' models differ, the budget is too small for the
                smallest model, or a weight makes no sense.
        """
        names = _names(costs, streams)
        known = {name: costs.get(name, ModelCost(_NEVER_FITS, 0.0, 0.0)) for name in names}
        if budget_bytes is None:
            budget_bytes = sum(cost.memory_bytes for cost in costs.values())
        _check_room(costs, budget_bytes, compute_cores)
        of_streams = np.asarray([weights.of_stream(stream.name) * stream.weight for stream in streams])
        if not of_streams.sum() > 0:
            raise InvalidInput("weights must not all be 0")
        of_streams = of_streams / of_streams.sum()
        of_models = shares(names, weights.models)
        alike: dict[tuple[object, ...], list[int]] = {}
        for at, stream in enumerate(streams):
            alike.setdefault((stream.inputs_per_s, *(id(stream.tables[name]) for name in names)), []).append(at)
        firsts = [members[0] for members in alike.values()]
        outlooks = Outlook.of_site([streams[at].tables.values() for at in firsts])
        kinds = [
            Kind(
                tuple(streams[at].name for at in members),
                tuple(streams[members[0]].tables[name] for name in names),
                1.0 / streams[members[0]].inputs_per_s,
                np.asarray(float(of_streams[members].sum()) * of_models),
                outlook,
            )
            for members, outlook in zip(alike.values(), outlooks, strict=True)
        ]
        return cls(
            names,
            np.asarray([known[name].memory_bytes for name in names], np.int64),
            np.asarray([known[name].infer_s for name in names]),
            np.asarray([known[name].load_s for name in names]),
            tuple(kinds),
            budget_bytes,
            compute_cores,
            turns,
        )

    @cached_property
    def cores(self) -> float:
        """The compute that can be of use: at most all on every input, and a load at a time of every model."""
        runs = sum(len(kind.streams) / kind.every_s for kind in self.kinds)
        most = float(runs * self.infer_s.sum() + (self.memory <= self.budget_bytes).sum())
        return min(self.compute_cores, most)

    @cached_property
    def turned_sizes(self) -> Array:
        """The sizes of models that may take turns, ascending."""
        return np.unique(self.memory[(self.memory <= self.budget_bytes) & self.takes_turns])

    @cached_property
    def expected(self) -> tuple[tuple[Expected, ...], ...]:
        """What is expected of each kind's answers of each model."""
        return tuple(
            tuple(Expected.of(table, self.names, kind.outlook) for table in kind.tables) for kind in self.kinds
        )

    @cached_property
    def virtual(self) -> Array:
        """Which models never run, as there is none."""
        return np.asarray(self.memory == _NEVER_FITS)

    @cached_property
    def counts(self) -> Array:
        """How many streams there are of each kind."""
        return np.asarray([len(kind.streams) for kind in self.kinds], np.float64)

    @cached_property
    def weights(self) -> Array:
        """Each pair's share of the objective, of all streams of a kind together: (kinds, models)."""
        return np.asarray([kind.weights for kind in self.kinds])

    @cached_property
    def loaded(self) -> Rates:
        """The choices for a model that stays loaded."""
        return loaded_rates([kind.every_s for kind in self.kinds])

    @cached_property
    def turns(self) -> Rates:
        """The choices for a model that takes turns."""
        return turn_rates([kind.every_s for kind in self.kinds])

    def loaded_prices(self, core_price: float) -> Array:
        """What each choice of a model that stays loaded costs: (kinds, models, choices)."""
        runs = self.counts[:, None] * self.loaded.runs_per_s
        return np.asarray(core_price * self.infer_s[:, None] * runs[:, None])

    def turn_prices(self, core_price: float, slot_price: float) -> Array:
        """What each choice of turns costs; what loads longer than a turn lasts can't be chosen: (models, choices)."""
        loading = np.outer(self.load_s, self.turns.loads_per_s)
        running = np.outer(self.infer_s, self.counts @ self.turns.runs_per_s)
        slots = loading + self.turns.occupied
        return np.where(slots <= 1.0 + 1e-9, core_price * (running + loading) + slot_price * slots, np.inf)


def _names(costs: Mapping[str, ModelCost], streams: Sequence[Stream]) -> tuple[str, ...]:
    if not costs:
        raise InvalidInput("there is no model to plan for")
    if not streams:
        raise InvalidInput("there is no stream to plan for")
    names = tuple(sorted(streams[0].tables))
    for stream in streams:
        other = sorted(set(stream.tables) ^ set(names)) or sorted(set(costs) - set(names))
        if other:
            raise InvalidInput(f"stream {stream.name!r}: model {other[0]!r} is known of some streams only")
    return names


def _check_room(costs: Mapping[str, ModelCost], budget_bytes: int, compute_cores: float) -> None:
    if not compute_cores > 0:
        raise InvalidInput(f"compute: {compute_cores:g} cores; give more than 0")
    smallest = min(costs, key=lambda name: (costs[name].memory_bytes, name))
    if budget_bytes < costs[smallest].memory_bytes:
        raise InvalidInput(
            f"a budget of {budget_bytes / _MIB:.1f} MiB holds no model: the smallest, {smallest}, needs "
            f"{costs[smallest].memory_bytes / _MIB:.1f} MiB"
        )
