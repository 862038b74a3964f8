"""What each way to answer is expected to agree: the one figure that plans both choose and promise by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, NEVER, STEM, Measured, Route, Table
from .all_sets import subset_maxima

_REPORTED = 0.2
"""The last block's part of a recording."""
_USUAL = 1.8
"""How much more is lost later than in a recording's own blocks, where these say little of it: of eight cameras."""
_USUAL_LOSSES = 0.5
_LATER = 1.2
"""What comes after a recording is further away than its last block: between what schedules of eight clips lost later
under little compute (1.4 times as much) and under little memory (as much, as they choose by the input)."""
_SITE_LOSSES = 2.0


def _pooled_loss(cell: Measured) -> float:
    return 1.0 - (1.0 - _REPORTED) * cell.validation - _REPORTED * cell.report


@dataclass(frozen=True)
class Outlook:
    """How much more is lost later than was measured, on the last block compared with all of the recording.

    Choices are made between inputs that came before and after those that links learnt from; what comes later is further
    away. It is one figure for all ways of a kind: so the best choice of more ways is never worse, and by this very
    figure plans both choose and promise.

    Attributes:
        free: of holding and constants.
        linked: of links.
    """

    free: float = 1.0
    linked: float = 1.0

    def expected(self, route: Route) -> float:
        """The agreement that a way to answer is expected to reach."""
        factor = self.linked if route.origin == "linked" else self.free
        return max(0.0, 1.0 - factor * _pooled_loss(route.measured))

    @classmethod
    def of_site(cls, streams: Sequence[Iterable[Table]]) -> list["Outlook"]:
        """Each stream's, drawn towards that of all together."""
        losses = np.asarray([_losses(tables) for tables in streams])
        site = (losses.sum(axis=0)[:, 1] + _USUAL * _USUAL_LOSSES) / (losses.sum(axis=0)[:, 0] + _USUAL_LOSSES)
        found = (losses[:, :, 1] + site * _SITE_LOSSES) / (losses[:, :, 0] + _SITE_LOSSES)
        return [cls(*(float(value) for value in np.maximum(_LATER * row, 1.0))) for row in found]


def _losses(tables: Iterable[Table]) -> Array:
    """What is lost by the best way at each age, free or linked, on all blocks and on the last: (2, 2)."""
    found = np.zeros((2, 2))
    for table in tables:
        for age in range(BUCKETS):
            free = [table.constant, *table.held[age : age + 1]]
            for at, cells in enumerate((free, [row[age] for row in table.linked.values()])):
                if cells:
                    best = min(cells, key=_pooled_loss)
                    found[at] += _pooled_loss(best), 1.0 - best.report
    return found / BUCKETS


def free_route(table: Table, age: int, outlook: Outlook) -> Route:
    """The better of the constant and the last output held."""
    constant = Route("constant", (), table.constant)
    if age == NEVER:
        return constant
    held = Route("held", (), table.held[age])
    return held if outlook.expected(held) >= outlook.expected(constant) else constant


def link_routes(table: Table, available: frozenset[str], age: int) -> list[Route]:
    """The links from sources that are all available."""
    return [Route("linked", names, row[age]) for names, row in table.linked.items() if available.issuperset(names)]


def best_route(table: Table, available: frozenset[str], age: int, outlook: Outlook) -> Route:
    """The way that is expected to agree most; of equals what is free, then what has fewer sources."""
    routes = [free_route(table, age, outlook), *link_routes(table, available, age)]
    return max(routes, key=lambda route: (outlook.expected(route), -len(route.sources)))


@dataclass(frozen=True)
class Expected:
    """What is expected of one target's answers at each age, as arrays.

    Attributes:
        free: without any link: float (BUCKETS,).
        sources: which models each link needs: bool (links, models).
        values: what each link reaches: float (links, BUCKETS).
    """

    free: Array
    sources: Array
    values: Array

    @classmethod
    def of(cls, table: Table, names: Sequence[str], outlook: Outlook) -> "Expected":
        """A target's, the models in the order of `names`; links from others are left out."""
        free = [outlook.expected(free_route(table, age, outlook)) for age in range(BUCKETS)]
        sources, values = [], []
        for needed, row in table.linked.items():
            # The stem is always there.
            models = [name for name in needed if name != STEM]
            if set(models) <= set(names):
                sources.append([name in models for name in names])
                values.append([outlook.expected(Route("linked", needed, cell)) for cell in row])
        return cls(
            np.asarray(free),
            np.asarray(sources, bool).reshape(-1, len(names)),
            np.asarray(values, np.float64).reshape(-1, BUCKETS),
        )

    def by_sets(self, inside: Array) -> Array:
        """The best of each set of some models, int (n,), whose place is the set's bit: (BUCKETS, 2 ** n)."""
        within = np.zeros(self.sources.shape[1], bool)
        within[inside] = True
        rows = ~(self.sources & ~within).any(axis=1)
        masks = (self.sources[rows][:, inside] << np.arange(len(inside))).sum(axis=1).astype(np.int64)
        # The ages lie together in memory: the many sets are then walked in long runs, also for the lowest bits.
        best = np.full((1 << len(inside), BUCKETS), -1.0)
        best[0] = self.free
        np.maximum.at(best, masks, self.values[rows])
        return subset_maxima(best).T

    def of_sets(self, sets: Array) -> Array:
        """The best of each given set, bool (n, models): (BUCKETS, n)."""
        found = np.repeat(self.free[:, None], len(sets), axis=1)
        for at, chosen in enumerate(sets):
            usable = ~(self.sources & ~chosen).any(axis=1)
            found[:, at] = np.maximum(self.free, self.values[usable].max(axis=0, initial=-1.0))
        return found
