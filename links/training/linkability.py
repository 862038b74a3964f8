"""How well each model's output is predicted from each other's: the pairs themselves, kept beside the links.

A table (`table.py`) keeps what is of use to a plan. This keeps also what is not, so that it can be shown.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...errors import InvalidInput
from ...evidence import fixed_sequence, interval
from ...files import check_format, replacing
from ...outputs import Array
from ..table import BUCKETS, NEVER, STEM, Measured, Table
from ..trust.certificate import ALPHA
from .measure import Cases, TargetCases, replay
from .predictor import Predictor

LINKABILITY = "linkability.json"
FORMAT = 2
_READS = (1, 2)


@dataclass(frozen=True)
class Reached:
    """What one way to answer for a model reached on the last block, which nothing was learnt from or chosen on.

    Attributes:
        agreement: mean agreement with the exact outputs.
        gain: that less what the better of holding and the constant reached on the same inputs.
        inputs: on how many inputs; None: not kept.
        runs: how many independent runs of inputs these are; None: not kept.
        gain_error: standard error of the gain, from `runs`.
    """

    agreement: float
    gain: float
    inputs: int | None = None
    runs: float | None = None
    gain_error: float | None = None

    @property
    def skill(self) -> float | None:
        """Gain as a share of what was to be gained: 1 perfect, 0 no better; None where nothing was to be gained."""
        left = 1.0 - (self.agreement - self.gain)
        return self.gain / left if left > 1e-6 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the agreement lies with 95 % confidence (Clopper-Pearson, on the runs); None: not known."""
        if self.runs is None:
            return None
        runs = max(1, math.floor(self.runs))
        right = self.agreement * runs
        return interval(math.floor(right + 1e-9), runs)[0], interval(math.ceil(right - 1e-9), runs)[1]


Row = tuple[Reached | None, ...]
"""By age bucket, `NEVER` included; None where no input has a last output of that age, or nothing was kept."""


@dataclass(frozen=True)
class Linkability:
    """One target's row of the matrix.

    Attributes:
        constant: the best constant.
        held: its own last exact output; None at `NEVER`.
        sources: a link from one other model alone (and the target's own last output, if it has one), by model.
        itself: a link from nothing but the target's own last output; at `NEVER` from nothing at all, so that what a
            source tells can be told from what a link says anyway.
        others: a link from all other models together; of many from those of them that tell most.
        stem: a link from the stem's features alone.
    """

    constant: Row
    held: Row
    sources: Mapping[str, Row] = field(default_factory=dict)
    itself: Row = (None,) * BUCKETS
    others: Row = (None,) * BUCKETS
    stem: Row = (None,) * BUCKETS

    @classmethod
    def measure(
        cls,
        cases: TargetCases,
        link: Predictor | None,
        sets: Collection[tuple[str, ...]] | None = None,
    ) -> Self:
        """Replays every single source, all of them together, holding and the constant over the last block.

        Args:
            cases: the target's.
            link: the link; None if there is none to be measured.
            sets: the sets of sources that it can predict from; None: any.
        """
        judge, report = cases.judge, cases.report
        reached = {
            "constant": judge.constant(cases.constant, report.inputs),
            "held": judge.held(report.inputs, report.earlier),
        }
        if link is None:
            rows = _rows(reached, report)
            return cls(rows["constant"], (*rows["held"][:NEVER], None))
        names = link.sources
        ways = {f"from {name}": (name,) for name in names} | {"itself": (), "others": link.together}
        if link.reads_stem:
            ways["stem"] = (STEM,)
        wanted = {way: sources for way, sources in ways.items() if sets is None or sources in sets}
        for way, of in wanted.items():
            reached[way] = replay(link, judge, of, report, sure=False).agreements
        rows = _rows(reached, report)
        none: Row = (None,) * BUCKETS
        return cls(
            rows["constant"],
            (*rows["held"][:NEVER], None),
            {name: rows.get(f"from {name}", none) for name in names},
            rows.get("itself", none),
            rows.get("others", none),
            rows.get("stem", none),
        )

    @classmethod
    def of_table(cls, table: Table, others: tuple[str, ...]) -> Self:
        """What a table tells of it: the links that are of use to a plan, without how sure they are."""

        def row(cells: tuple[Measured, ...]) -> Row:
            return tuple(Reached(cell.report, cell.report - level) for cell, level in zip(cells, free, strict=False))

        held = [cell.report for cell in table.held]
        free = [max(table.constant.report, level) for level in held] + [table.constant.report]
        linked = {sources: row(cells) for sources, cells in table.linked.items()}
        none: Row = (None,) * BUCKETS
        return cls(
            row((table.constant,) * BUCKETS),
            (*row(table.held), None),
            {name: linked.get((name,), none) for name in others},
            linked.get((), none),
            linked.get(tuple(others), none),
            linked.get((STEM,), none),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "constant": _plain(self.constant),
            "held": _plain(self.held),
            "sources": {name: _plain(row) for name, row in self.sources.items()},
            "itself": _plain(self.itself),
            "others": _plain(self.others),
            "stem": _plain(self.stem),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], kept: slice = slice(None)) -> Self:
        """Reads what `as_dict` wrote; of each cell the `kept` values."""

        def row(cells: list[list[Any] | None]) -> Row:
            return tuple(None if cell is None else Reached(*cell[kept]) for cell in cells)

        sources = {name: row(cells) for name, cells in data["sources"].items()}
        stem = row(data["stem"]) if "stem" in data else (None,) * BUCKETS
        return cls(row(data["constant"]), row(data["held"]), sources, row(data["itself"]), row(data["others"]), stem)


def write_linkability(folder: Path, targets: Mapping[str, Linkability]) -> None:
    """Writes it into a folder of links."""
    data = {"format": FORMAT, "targets": {name: each.as_dict() for name, each in targets.items()}}
    with replacing(folder / LINKABILITY) as part:
        part.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")


def read_linkability(folder: Path) -> dict[str, Linkability] | None:
    """What `write_linkability` wrote; None in a folder that an earlier version wrote.

    Raises:
        InvalidInput: the file is damaged, or of another format.
    """
    path = folder / LINKABILITY
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        check_format(data["format"], _READS, path=path, what="a file of linkabilities")
        # Format 1 took neighbours for nearly independent: how sure its figures are is not known.
        kept = slice(None) if data["format"] == FORMAT else slice(3)
        return {name: Linkability.from_dict(each, kept) for name, each in data["targets"].items()}
    except InvalidInput:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path}: is damaged ({error!r}); train the links again") from error


def _rows(reached: Mapping[str, Array], cases: Cases) -> dict[str, Row]:
    """Each way's agreements by age bucket, beside the better of holding and the constant there."""
    rows: dict[str, list[Reached | None]] = {way: [] for way in reached}
    for index in range(BUCKETS):
        of = cases.of(index)
        if not of.any():
            for row in rows.values():
                row.append(None)
            continue
        here = {way: agreements[of] for way, agreements in reached.items()}
        free = here["constant"]
        if index != NEVER and here["held"].mean() >= free.mean():
            free = here["held"]
        # Together, the best way first: how long runs are shows in those that are wrong more often.
        ways = sorted(here, key=lambda way: -float(here[way].mean()))
        runs = fixed_sequence(np.stack([1.0 - here[way] for way in ways]), target=ALPHA).runs
        for way, count in zip(ways, runs.tolist(), strict=True):
            rows[way].append(_reached(here[way], free, count))
    return {way: tuple(row) for way, row in rows.items()}


def _reached(agreements: Array, free: Array, runs: float) -> Reached:
    # Where nothing ever disagreed, all was one situation, for all that is known.
    runs = max(1.0, runs)
    gains = agreements - free
    error = float(gains.std()) / math.sqrt(runs)
    return Reached(float(agreements.mean()), float(gains.mean()), len(gains), runs, error)


def _plain(row: Row) -> list[list[float | int | None] | None]:
    return [None if cell is None else [_rounded(value) for value in astuple(cell)] for cell in row]


def _rounded(value: float | int | None) -> float | int | None:
    return np.round(value, 6).item() if isinstance(value, float) else value
