"""Who predicts whom, from what and how well: the cells of the plan page's table, as training measured them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...links.report.show import Matrix, Shown, age_text, show_links
from ...links.table import BUCKETS, MIDDLES_S, NEVER, STEM
from ...links.training.linkability import Reached

AGE = 4
"""The bucket of ages that is shown first: 8 to 16 s."""
_COLUMNS = {STEM: "stem (heads)"}
_WAYS = {
    STEM: "heads on the stem's features",
    "held": "its last output held",
    "constant": "a constant",
    "all others": "a link from all others",
}
_STEPS = ((0.5, "much"), (0.05, "some"), (-0.05, "none"), (float("-inf"), "worse"))
"""From which skill on a link is worth what."""


@dataclass(frozen=True)
class Measured:
    """One folder of links, as the page shows it.

    Attributes:
        name: the folder's.
        shown: what is known of it, by age bucket; of "never" what is known of the oldest.
    """

    name: str
    shown: tuple[Shown, ...]

    @classmethod
    def read(cls, folder: Path) -> "Measured":
        """Reads a folder; it takes as long as reading its files takes.

        Raises:
            InvalidInput: something in it is damaged.
        """
        ages = [MIDDLES_S[min(age, NEVER - 1)] for age in range(BUCKETS)]
        return cls(folder.name, tuple(show_links(folder, age_s=age_s) for age_s in ages))

    def table(self, age: int, served: Mapping[str, str]) -> dict[str, Any]:
        """The table for one bucket of ages.

        Args:
            age: the bucket.
            served: the digests of the models that are served now.
        """
        shown = self.shown[age]
        matrix = Matrix.of(shown.targets, age)
        rows = [
            {
                "model": target,
                "served": target in served,
                "cells": [_cell(cell, column, target) for column, cell in zip(matrix.columns, cells, strict=True)],
            }
            for target, cells in matrix.rows.items()
        ]
        return {
            "name": self.name,
            "columns": [_COLUMNS.get(column, column) for column in matrix.columns],
            "rows": rows,
            "verdicts": [{"model": each.target, "do": each.do, "text": each.text} for each in shown.verdicts],
            "predicts": [(name, round(skill, 2)) for name, skill in shown.predicts.items() if skill > 0.0],
            "missing": shown.missing,
            "cameras": shown.cameras,
        }


def ages() -> list[str]:
    """Every bucket of ages in words."""
    return [age_text(age) for age in range(BUCKETS)]


def _cell(cell: Reached | None, column: str, target: str) -> dict[str, Any]:
    """One cell: what is written in it, which step of the scale it is, and all that is known of it in words."""
    from_what = "a link from its own last output" if column == target else _WAYS.get(column, f"a link from {column}")
    if cell is None:
        return {"agreement": "", "skill": "", "step": "", "told": f"{target}, {from_what}: not measured"}
    free, skill = column in ("held", "constant"), cell.skill
    step = "" if free or skill is None else next(name for least, name in _STEPS if skill >= least)
    told = [f"{target}, {from_what}: agreement {cell.agreement:.3f}"]
    if cell.interval is not None:
        low, high = cell.interval
        told.append(f"{low:.3f} to {high:.3f} with 95 % confidence")
    if cell.inputs is not None:
        told.append(f"{cell.inputs} inputs")
    if not free:
        told.append("nothing was to be gained" if skill is None else f"skill {skill:+.2f} over what is free")
    return {
        "agreement": f"{cell.agreement:.2f}",
        "skill": "" if free or skill is None else f"{max(skill, -9.99):+.2f}",
        "step": step,
        "told": ", ".join(told),
    }
