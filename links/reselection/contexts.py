"""What the ways to answer reach in each context, and what that means for what comes in now."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ...outputs import Array
from ..table import Measured, Table
from .context import Context
from .discounted import KEPT
from .posterior import Posterior, Seen
from .profile import by_target

MOST_CONTEXTS = 256
"""So many are remembered; the one unseen for longest is forgotten."""


class Contexts:
    """Posteriors by context, each shrunk towards that of all contexts together, which is shrunk towards training's.

    Args:
        tables: what training measured, by target.
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._trained = dict(tables)
        self._all = {target: Posterior(table) for target, table in tables.items()}
        self._by_context: OrderedDict[Context, dict[str, Posterior]] = OrderedDict()
        self._inputs: dict[Context, float] = {}

    def came(self, context: Context) -> None:
        """Counts an input."""
        self._inputs[context] = self._inputs.get(context, 0.0) + 1.0

    def observe(self, context: Context, seen: Iterable[Seen]) -> None:
        """Records what an input of a context showed."""
        own = self._by_context.setdefault(
            context, {target: Posterior(table) for target, table in self._trained.items()}
        )
        self._by_context.move_to_end(context)
        while len(self._by_context) > MOST_CONTEXTS:
            self._by_context.popitem(last=False)
        for target, found in by_target(seen).items():
            self._all[target].observe(found)
            own[target].observe(found)

    def forget(self, kept: float = KEPT) -> None:
        """A period is over: what was seen counts less, and which contexts come in is counted anew."""
        for posteriors in (self._all, *self._by_context.values()):
            for posterior in posteriors.values():
                posterior.forget(kept)
        self._inputs.clear()

    def shares(self) -> dict[Context, float]:
        """The contexts of the inputs that came since the last period, and their shares."""
        total = sum(self._inputs.values())
        return {context: count / total for context, count in self._inputs.items()}

    def as_arrays(self) -> dict[str, Array]:
        """What was seen and is not forgotten, in arrays that `numpy.savez` takes."""
        names = [(context.group, str(context.hour), context.activity) for context in self._by_context]
        found = {"contexts": np.asarray(names, np.str_).reshape(-1, 3)}
        for index, posteriors in enumerate((self._all, *self._by_context.values())):
            found |= {f"{index} {target}": posterior.as_array() for target, posterior in posteriors.items()}
        return found

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Goes on from what `as_arrays` gave, for the same tables; which contexts come in is counted anew.

        Raises:
            KeyError, ValueError: it is not what `as_arrays` gave, or of other tables.
        """
        contexts = [Context(group, int(hour), activity) for group, hour, activity in arrays["contexts"].tolist()]
        for index, context in enumerate((None, *contexts)):
            own = {target: Posterior(table) for target, table in self._trained.items()}
            for target, posterior in own.items():
                posterior.restore(arrays[f"{index} {target}"])
            if context is None:
                self._all = own
            else:
                self._by_context[context] = own

    def tables(self, shares: Mapping[Context, float] | None = None) -> dict[str, Table]:
        """What each target's ways reach over a mixture of contexts; by default that of the inputs that came."""
        shares = self.shares() if shares is None else shares
        found = {}
        for target, trained in self._trained.items():
            everywhere = self._all[target].table(trained)
            parts = [
                (
                    share,
                    self._by_context[context][target].table(everywhere) if context in self._by_context else everywhere,
                )
                for context, share in shares.items()
            ]
            found[target] = _mixed(parts, everywhere)
        return found


def _mixed(parts: list[tuple[float, Table]], shape: Table) -> Table:
    """The mean of tables with the same ways; `shape` itself if there are none."""
    if not parts:
        return shape

    def mean(cells: list[Measured]) -> Measured:
        value = sum(share * cell.validation for (share, _), cell in zip(parts, cells, strict=True))
        return replace(cells[0], validation=value)

    tables = [table for _, table in parts]
    return Table(
        mean([table.constant for table in tables]),
        tuple(mean([table.held[age] for table in tables]) for age in range(len(shape.held))),
        {
            sources: tuple(mean([table.linked[sources][age] for table in tables]) for age in range(len(row)))
            for sources, row in shape.linked.items()
        },
    )
