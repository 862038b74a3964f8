"""The linkability matrix: a row a target, a column a way to answer for it, at one age of the last output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from ..table import BUCKETS, NEVER
from .linkability import Linkability, Reached

_OTHERS, _HELD, _CONSTANT = "all others", "held", "constant"
# From which skill on a cell is shown how: clearly worth a link, worth one, no better than what is free, worse.
_COLOURS = ((0.5, "bold green"), (0.05, "green"), (-0.05, "yellow"), (float("-inf"), "red"))


@dataclass(frozen=True)
class Matrix:
    """What every way to answer for every model reached.

    Attributes:
        columns: the ways: a link from one model alone, from all others together, holding, the best constant. A model
            in its own column: a link from nothing but its own last output; if it never ran, from nothing at all.
        rows: by target; None where nothing was measured.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Reached | None, ...]]

    @classmethod
    def of(cls, targets: Mapping[str, Linkability], age: int) -> Self:
        """The matrix at one age bucket; without a last output there is nothing to hold."""
        names = tuple(targets)
        free = (_CONSTANT,) if age == NEVER else (_HELD, _CONSTANT)
        nothing = (None,) * BUCKETS
        rows = {}
        for target, row in targets.items():
            ways = [row.itself if name == target else row.sources.get(name, nothing) for name in names]
            ways += [row.others, row.constant] if age == NEVER else [row.others, row.held, row.constant]
            rows[target] = tuple(way[age] for way in ways)
        return cls((*names, _OTHERS, *free), rows)

    def table(self, title: str) -> RichTable:
        """For the terminal: agreement, under it the skill over the better of holding and the constant, coloured."""
        table = RichTable(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("", no_wrap=True)
        for column in self.columns:
            table.add_column(column, justify="right", overflow="fold")
        for target, cells in self.rows.items():
            table.add_row(target, *(_text(cell, column) for column, cell in zip(self.columns, cells, strict=True)))
        return table


def _text(cell: Reached | None, column: str) -> Text:
    if cell is None:
        return Text("-", style="dim")
    agreement = f"{cell.agreement:.2f}"
    if column in (_HELD, _CONSTANT):
        return Text(agreement)
    skill = cell.skill
    if skill is None:
        # Nothing was to be gained.
        return Text(f"{agreement}\n-", style="red" if cell.gain < _COLOURS[-2][0] else "dim")
    style = next(colour for least, colour in _COLOURS if skill >= least)
    return Text(f"{agreement}\n{max(skill, -9.99):+.2f}", style=style)
