"""Filters beside each other, on the part of a recording that had no say in any of them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.events import Event
from ...traces.site import camera_of
from ...traces.trace import Trace
from ..spec import FilterSpec, load_filter
from ..training.losses import Losses
from .evaluate import FilterEvaluation, evaluate_filter
from .judged_part import MOST_INPUTS, Judge, Point, cut_of


@dataclass(frozen=True)
class Side:
    """One of the filters.

    Attributes:
        name: its file's.
        spec: what it says of itself.
        point: what it sends, finds and misses.
        evaluation: what `infilink evaluate filter` says of it on the same inputs.
    """

    name: str
    spec: FilterSpec
    point: Point
    evaluation: FilterEvaluation


@dataclass(frozen=True)
class SideBySide:
    """Filters on the same inputs.

    Attributes:
        sides: the filters.
        events: the true ones.
        first: the index of the first judged input in the recording.
        judged: how many inputs judged.
        judged_bytes: their size as they were recorded.
        judged_s: how long they last.
    """

    sides: tuple[Side, ...]
    events: tuple[Event, ...]
    first: int
    judged: int
    judged_bytes: int
    judged_s: float


def side_by_side(paths: Sequence[Path], trace: Trace, *, progress: Progress | None = None) -> SideBySide:
    """Runs filters over the judged part of a recording, each as its file says.

    Args:
        paths: the filters' files.
        trace: the recording.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: they are asked different things, or one was learnt from other models.
    """
    camera = camera_of(trace.path)
    specs = [load_filter(path)[0].of_camera(camera) for path in paths]
    asked = {(spec.rule, tuple(spec.models)) for spec in specs}
    if len(asked) > 1:
        rules = ", ".join(f"{path.name} {spec.rule!r}" for path, spec in zip(paths, specs, strict=True))
        raise InvalidInput(
            f"these filters can't stand side by side, as different inputs are redundant by them: {rules}"
        )
    offset = max(0, len(trace) - MOST_INPUTS)
    with trace.part(offset, len(trace)) as newest:
        cut = cut_of(newest)
        with newest.part(0, cut.judged) as before, newest.part(cut.judged, cut.inputs) as judged:
            sides = []
            for i, (path, spec) in enumerate(zip(paths, specs, strict=True)):
                told = part_of(progress, i / len(paths), (i + 1) / len(paths))
                found, kept = _evaluated(path, before, judged, told)
                judge = Judge(judged, Losses(judged, tuple(spec.models), spec.rule_with(())), partial(_free_of, spec))
                point = judge.point(path.name, spec.threshold, kept, held=spec.held)
                sides.append(Side(path.name, spec, point, found))
            return SideBySide(
                sides=tuple(sides),
                events=tuple(judge.events),
                first=offset + cut.judged,
                judged=len(judged),
                judged_bytes=int(judge.sizes.sum()),
                judged_s=float(judged.captured_s[-1] - judged.captured_s[0]),
            )


def _free_of(spec: FilterSpec, rate: float) -> Mapping[str, float]:
    """The free gates' thresholds where the filter was learnt, at its own rate there."""
    return spec.free


def _evaluated(path: Path, before: Trace, trace: Trace, progress: Progress | None) -> tuple[FilterEvaluation, Array]:
    """What is said of a filter, and what it keeps: bool (inputs,)."""
    with TemporaryDirectory() as folder:
        table = Path(folder) / "decisions.csv"
        found = evaluate_filter(path, trace, decisions=table, before=before, progress=progress)
        with table.open(newline="", encoding="utf-8") as file:
            # With several models an input has a row for each.
            rows = {row["sequence"]: row["decision"] == "keep" for row in csv.DictReader(file)}
    return found, np.asarray(list(rows.values()))
