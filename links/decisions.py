"""The decisions of an evaluation as CSV: one row per input and model."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..models import ModelSpec
from ..outputs import Array
from .graph import Linked

COLUMNS = (
    "sequence",
    "captured_s",
    "model",
    "score",
    "decision",
    "origin",
    "served",
    "true",
    "agreement",
    "trust",
    "region",
)


def decision_rows(
    models: Mapping[str, ModelSpec],
    moment: tuple[int, float],
    answers: Mapping[str, Linked],
    exact: Mapping[str, Array],
    agreements: Mapping[str, float],
) -> Iterator[tuple[object, ...]]:
    """The rows of one input, captured at `moment` (its sequence number and time)."""
    for name, answer in answers.items():
        output = models[name].output
        yield (
            moment[0],
            round(moment[1], 6),
            name,
            round(answer.confidence, 6),
            "run" if answer.origin == "executed" else "predict",
            answer.origin,
            output.summary(answer.value),
            output.summary(exact[name]),
            round(agreements[name], 6),
            answer.trust,
            "" if answer.region is None else answer.region.text(output),
        )


@contextmanager
def decision_writer(path: Path | None) -> Iterator[Callable[[Iterable[tuple[object, ...]]], None] | None]:
    """A function that writes rows under a header; the file gets its name when it is whole."""
    if path is None:
        yield None
        return
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            yield writer.writerows
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
