"""The links that can answer for models that do not run, as arrays: by target, sources and what each was measured at."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, STEM, Table

UNUSED = -1.0
"""In the place of a value: a link that is not used, or none."""


@dataclass(frozen=True)
class Ways:
    """Every measured link, as arrays.

    Attributes:
        targets: whom each answers for, ascending: int (ways,).
        sources: which models must all run: bool (ways, models).
        values: the agreement it reaches, `UNUSED` where what is free is as good: float (ways,) or (ways, BUCKETS).
    """

    targets: Array
    sources: Array
    values: Array

    @classmethod
    def of(cls, tables: Sequence[Table], names: Sequence[str]) -> "Ways":
        """All links of the tables, in the order of `names`, at every age: values are (ways, BUCKETS).

        Left out is what can never be the best: no better than what is free at any age, or than a link from fewer of
        its sources at every age.
        """
        place = {name: index for index, name in enumerate(names)}
        targets: list[int] = []
        sources: list[Array] = []
        values: list[Array] = []
        for own, table in enumerate(tables):
            merits = np.asarray([table.free(age).measured.validation for age in range(BUCKETS)])
            single = np.full((len(names), BUCKETS), UNUSED)
            for needed, row in sorted(table.linked.items(), key=lambda item: len(item[0])):
                # The stem is always there.
                models = [name for name in needed if name != STEM]
                if names[own] in models or not all(name in place for name in models):
                    continue
                reached = np.asarray([cell.validation for cell in row])
                reached = np.where(reached > merits, reached, UNUSED)
                members = [place[name] for name in models]
                fewer = single[members].max(axis=0, initial=UNUSED)
                if (reached <= fewer).all():
                    continue
                if len(members) == 1:
                    single[members[0]] = np.maximum(single[members[0]], reached)
                targets.append(own)
                sources.append(np.isin(np.arange(len(names)), members))
                values.append(reached)
        return cls(
            np.asarray(targets, np.int64),
            np.asarray(sources, bool).reshape(-1, len(names)),
            np.asarray(values).reshape(-1, BUCKETS),
        )

    def at(self, age: int) -> "Ways":
        """The links that are used at one age: values are (ways,)."""
        values = self.values[:, age]
        used = values > UNUSED
        return Ways(self.targets[used], self.sources[used], values[used])

    @property
    def models(self) -> int:
        """How many models there are."""
        return int(self.sources.shape[1])

    @cached_property
    def _needs(self) -> tuple[Array, Array]:
        """Each link's sources, as pairs of a link's place and a model's."""
        rows, members = np.nonzero(self.sources)
        return rows, members

    def _missing(self, chosen: Array) -> Array:
        """How many of its sources each link lacks: (ways,). A product would wake all of BLAS's threads."""
        rows, members = self._needs
        return np.bincount(rows[~chosen[members]], minlength=len(self.targets))

    def best(self, chosen: Array) -> Array:
        """What the links reach when `chosen` run, bool (models,): (models,) or (models, BUCKETS), else `UNUSED`."""
        rows = np.flatnonzero(self._missing(chosen) == 0)
        found = np.full((self.models, *self.values.shape[1:]), UNUSED)
        if len(rows):
            targets = self.targets[rows]
            starts = np.flatnonzero(np.append(True, targets[1:] != targets[:-1]))
            found[targets[starts]] = np.maximum.reduceat(self.values[rows], starts, axis=0)
        return found

    def added(self, chosen: Array) -> Array:
        """What each further model would make possible: (further, target) or (further, target, BUCKETS)."""
        missing = self._missing(chosen)
        rows = np.flatnonzero(missing == 1)
        further = (self.sources[rows] & ~chosen).argmax(axis=1)
        shape = (self.models, self.models, *self.values.shape[1:])
        found = np.full(shape, UNUSED)
        np.maximum.at(found, (further, self.targets[rows]), self.values[rows])
        return found
