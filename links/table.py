"""How well each way to answer for a model was measured to do, by what is at hand and how old the last output is."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from .answer import Trust
from .trust.calibration import Calibration
from .trust.certificate import ALPHA, LEAST

Origin = Literal["linked", "held", "constant"]

AGE_EDGES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Ages are told apart by these; the bucket after the last one is "old"."""
MIDDLES_S = (0.5, *(edge * math.sqrt(2.0) for edge in AGE_EDGES_S))
"""The middle of each bucket."""
NEVER = len(AGE_EDGES_S) + 1
"""The bucket of "it never ran"."""
BUCKETS = NEVER + 1
STEM = "stem"
"""The name that the features of the links' stem go by among the sources; no model of such links may have it."""
ASSUMED_HELD = (0.95, 0.92, 0.88, 0.82, 0.74, 0.64, 0.54, 0.45)
"""What holding is taken to reach at each age where nothing was measured: outputs go stale."""
ASSUMED_EMPTY = 0.3
"""What an empty output is taken to reach where nothing was measured."""


def assumed_held(age_s: float) -> float:
    """What holding is taken to reach at an age where nothing was measured."""
    return float(np.interp(math.log(max(age_s, 1e-3)), np.log(MIDDLES_S), ASSUMED_HELD))


def at_hand(ran: Iterable[str]) -> frozenset[str]:
    """The sources there are where these models ran: they, and the stem, which looks at every input."""
    return frozenset((*ran, STEM))


def bucket(age_s: float | None) -> int:
    """Which of the `BUCKETS` an age falls into; None: it never ran."""
    if age_s is None:
        return NEVER
    for index, edge in enumerate(AGE_EDGES_S):
        if age_s < edge:
            return index
    return NEVER - 1


def bucket_bounds_s(index: int) -> tuple[float, float]:
    """From which age to which a bucket goes; the old one has no end."""
    edges = (0.0, *AGE_EDGES_S, math.inf)
    return edges[index], edges[index + 1]


@dataclass(frozen=True)
class Measured:
    """Agreement with the exact model, measured.

    Attributes:
        validation: on the block that choices are made on, drawn to what is assumed as far as little was seen.
        report: on the last block, which nothing was chosen on.
        threshold: the confidence above which a link's output is trusted; None: never, for want of evidence.
        calibration: how far such answers were from the exact outputs; None: not measured.
        runs: how many independent runs of trusted answers the threshold rests on.
    """

    validation: float
    report: float
    threshold: float | None = None
    calibration: Calibration | None = None
    runs: int = 0

    def as_list(self) -> list[Any]:
        """Plain values for JSON, without what is not there at the end."""
        plain = [round(self.validation, 6), round(self.report, 6), self.threshold, self.runs]
        return plain if self.calibration is None else [*plain, self.calibration.as_list()]

    @classmethod
    def from_list(cls, values: Sequence[Any], *, certified: bool = True) -> Self:
        """Reads what `as_list` wrote; not `certified`: an earlier version did, whose certificates count as none."""
        if not certified:
            return cls(*values[:2])
        validation, report, threshold, runs, *calibration = values
        found = Calibration.from_list(calibration[0]) if calibration else None
        return cls(validation, report, threshold, found, runs)


@dataclass(frozen=True)
class Route:
    """How to answer for a model: by which means, from which sources, and how well that was measured to do."""

    origin: Origin
    sources: tuple[str, ...]
    measured: Measured

    @property
    def certificate_text(self) -> str:
        """What the recording certified of it, in words."""
        threshold, runs = self.measured.threshold, self.measured.runs
        if threshold is None:
            return f"not certified on {runs} runs"
        sure = f" from a confidence of {threshold:g} on," if threshold > 0.0 else ""
        return f"certified{sure} on {runs} runs"

    def trust(self, confidence: float, alpha: float) -> Trust:
        """What the recording says of an answer of that confidence; certificates are for `ALPHA`."""
        threshold, calibration = self.measured.threshold, self.measured.calibration
        sure = threshold is not None and confidence >= threshold
        if sure and alpha >= ALPHA:
            return "certified"
        count = 0 if calibration is None else calibration.count
        return "unsure" if threshold is not None or count >= LEAST else "uncalibrated"


@dataclass(frozen=True)
class Table:
    """Everything measured for one target.

    Attributes:
        constant: the best constant, at any age.
        held: by age bucket, "old" included; the last exact output as it is.
        linked: by sources, then by age bucket, `NEVER` included.
    """

    constant: Measured
    held: tuple[Measured, ...]
    linked: Mapping[tuple[str, ...], tuple[Measured, ...]] = field(default_factory=dict)

    def held_at(self, age_s: float) -> float:
        """What holding is measured to reach at that age: between the middles of two buckets in proportion."""
        return float(np.interp(math.log(max(age_s, 1e-3)), np.log(MIDDLES_S), [cell.validation for cell in self.held]))

    def free(self, age: int) -> Route:
        """The last output held, or the constant if that was measured to be better."""
        constant = Route("constant", (), self.constant)
        if age == NEVER:
            return constant
        held = Route("held", (), self.held[age])
        return held if held.measured.validation >= constant.measured.validation else constant

    def best_link(self, available: frozenset[str], age: int) -> Route | None:
        """The best link from sources that are all available; of equals the one with fewer sources."""
        links = [
            Route("linked", sources, row[age]) for sources, row in self.linked.items() if available.issuperset(sources)
        ]
        return max(links, key=lambda route: (route.measured.validation, -len(route.sources)), default=None)

    def choose(self, available: frozenset[str], age: int) -> Route:
        """The best way to answer; with more sources available it is never worse (on the validation block)."""
        free, link = self.free(age), self.best_link(available, age)
        return free if link is None or link.measured.validation <= free.measured.validation else link

    @property
    def certified_runs(self) -> int:
        """The fewest runs that a certificate for this target rests on; 0: there is none."""
        cells = [self.constant, *self.held, *(cell for row in self.linked.values() for cell in row)]
        return min((cell.runs for cell in cells if cell.threshold is not None), default=0)

    def pruned(self) -> "Table":
        """The same without links that are never chosen: at every age one from fewer of its sources is as good."""
        kept: dict[tuple[str, ...], tuple[Measured, ...]] = {}
        for sources in sorted(self.linked, key=len):
            smaller = Table(self.constant, self.held, kept)
            row, available = self.linked[sources], frozenset(sources)
            for age in range(BUCKETS):
                if row[age].validation > smaller.choose(available, age).measured.validation:
                    kept[sources] = row
                    break
        return Table(self.constant, self.held, {name: row for name, row in self.linked.items() if name in kept})

    def uncertified(self) -> "Table":
        """The same with no certificate: of a recording that can't prove anything."""

        def row(cells: Sequence[Measured]) -> tuple[Measured, ...]:
            return tuple(Measured(cell.validation, cell.report) for cell in cells)

        return Table(row([self.constant])[0], row(self.held), {name: row(cells) for name, cells in self.linked.items()})

    def without_stem(self) -> "Table":
        """The same without the links that read the stem."""
        return Table(self.constant, self.held, {names: row for names, row in self.linked.items() if STEM not in names})

    def without_links(self) -> "Table":
        """The same with holding and the constant only."""
        return Table(self.constant, self.held)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "constant": self.constant.as_list(),
            "held": [cell.as_list() for cell in self.held],
            "linked": {"+".join(sources): [cell.as_list() for cell in row] for sources, row in self.linked.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, certified: bool = True) -> "Table":
        """Reads what `as_dict` wrote; not `certified`: an earlier version did, whose certificates count as none."""

        def row(cells: Sequence[Any]) -> tuple[Measured, ...]:
            return tuple(Measured.from_list(cell, certified=certified) for cell in cells)

        linked = {tuple(key.split("+")) if key else (): row(cells) for key, cells in data["linked"].items()}
        return cls(row([data["constant"]])[0], row(data["held"]), linked)
