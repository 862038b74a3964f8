"""What every way to answer for a target reaches now: the table of training, moved by what was seen since."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, NEVER, Measured, Origin, Table
from .discounted import KEPT, PRIOR_WEIGHT, Discounted


@dataclass(frozen=True)
class Seen:
    """How far one way to answer agreed with the exact output of one input.

    Attributes:
        target: the model that was answered for.
        origin: how.
        sources: from which other models; empty unless linked.
        age: the bucket of its last output's age.
        agreement: from 0 to 1.
    """

    target: str
    origin: Origin
    sources: tuple[str, ...]
    age: int
    agreement: float


class Posterior:
    """The ways of one target: rows are the constant, holding, and each link of the table; columns are age buckets.

    A link that breaks does so at every age, also at those that were not seen: else the best plan would be the one that
    has never been tried.

    Args:
        prior: what was measured in training, or in all contexts together.
        weight: how many observations that counts as.
    """

    def __init__(self, prior: Table, *, weight: float = PRIOR_WEIGHT) -> None:
        self._rows = {way: row for row, way in enumerate([("constant", ()), ("held", ()), *_links(prior)])}
        self._cells = Discounted(_values(prior), weight=weight)

    def observe(self, seen: Iterable[Seen]) -> None:
        """Records observations of this target; ways that the table does not have are passed over."""
        found = [(self._rows.get((one.origin, one.sources)), one) for one in seen]
        known = [(row, one) for row, one in found if row is not None]
        if known:
            rows = np.asarray([row for row, _ in known])
            ages = np.asarray([one.age for _, one in known])
            self._cells.add((rows, ages), np.asarray([one.agreement for _, one in known]))

    def forget(self, kept: float = KEPT) -> None:
        """A period is over."""
        self._cells.forget(kept)

    @property
    def weight(self) -> float:
        """How many observations, as far as they are not forgotten, it has of each cell at most."""
        return float(self._cells.counts.max(initial=0.0))

    def as_array(self) -> Array:
        """What was seen and is not forgotten: float32 (2, ways, BUCKETS), sums of agreements and counts."""
        return np.stack([self._cells.sums, self._cells.counts]).astype(np.float32)

    def restore(self, seen: Array) -> None:
        """Goes on from what `as_array` gave, for a table with the same links.

        Raises:
            ValueError: it was of a table with others.
        """
        if seen.shape != (2, *self._cells.sums.shape):
            raise ValueError(f"what was seen has shape {seen.shape}, the table's ways {self._cells.sums.shape}")
        self._cells.sums[:], self._cells.counts[:] = seen

    def table(self, prior: Table) -> Table:
        """The prior's table with the posterior means in place of what was measured.

        Args:
            prior: as was given first; or what has become of it since, with the same links.
        """
        means = self._cells.pooled(_values(prior))
        rows = {way: means[row] for way, row in self._rows.items()}
        constant = rows["constant", ()][NEVER]
        held = tuple(_moved(cell, value) for cell, value in zip(prior.held, rows["held", ()], strict=False))
        linked = {
            sources: tuple(_moved(cell, value) for cell, value in zip(row, rows["linked", sources], strict=True))
            for sources, row in prior.linked.items()
        }
        return Table(_moved(prior.constant, constant), held, linked)


def _links(table: Table) -> list[tuple[Origin, tuple[str, ...]]]:
    return [("linked", sources) for sources in table.linked]


def _values(table: Table) -> Array:
    """What was measured: (2 + links, BUCKETS); holding what never was is worth nothing."""
    held = [*(cell.validation for cell in table.held), 0.0]
    linked = [[cell.validation for cell in row] for row in table.linked.values()]
    return np.asarray([[table.constant.validation] * BUCKETS, held, *linked])


def _moved(cell: Measured, value: float) -> Measured:
    return replace(cell, validation=float(value))
