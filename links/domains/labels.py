"""What a person said of some inputs of a trace: the outputs of a virtual model, the oracle (TPAMI 2023)."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InvalidInput, UnknownModel
from ...outputs import Array, OutputSpec
from ...traces.log_cell import read_cell
from ...traces.trace import Trace

KEYS = ("sequence", "captured_s", "time")
LABEL = "label"


@dataclass(frozen=True)
class Labels:
    """Labels of a trace's inputs.

    Attributes:
        rows: int64, indices of the trace's inputs, rising.
        values: the label of each, as an output.
    """

    rows: Array
    values: list[Array]

    def __len__(self) -> int:
        """How many."""
        return len(self.values)


def read_labels(path: Path, output: OutputSpec, trace: Trace) -> Labels:
    """Labels from a CSV file: `sequence` or a time (`captured_s`, `time`, seconds) beside `label`.

    Rows without a label, and inputs without a row, are simply not labelled.

    Args:
        path: the file.
        output: the labels' type; a cell is read as `infilink import` reads it (docs/LINKS.md).
        trace: whose inputs they are of. A time is that of the nearest input, within half a step.

    Raises:
        InvalidInput: the file can't be read, a label does not fit, or is of no input or of one that has a label.
    """
    found: dict[int, Array] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            key = next((name for name in KEYS if name in (reader.fieldnames or ())), "")
            if not key or LABEL not in (reader.fieldnames or ()):
                raise InvalidInput(
                    f"{path}: the first line must name {' or '.join(KEYS)}, and {LABEL}; it names "
                    f"{', '.join(reader.fieldnames or ()) or 'nothing'}"
                )
            for cells in reader:
                where = f"{path}: line {reader.line_num}"
                if not (cells[LABEL] or "").strip():
                    continue
                row = _row(trace, key, cells[key] or "", where)
                if row in found:
                    raise InvalidInput(f"{where}: this input has a label already; leave one out")
                found[row] = _value(output, cells[LABEL], where)
    except OSError as error:
        raise InvalidInput(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path}: can't be read as CSV ({error})") from error
    if not found:
        raise InvalidInput(f"{path}: holds no label; write a line for each labelled input: 17,busy")
    rows = sorted(found)
    return Labels(np.asarray(rows, np.int64), [found[row] for row in rows])


def labels_of(trace: Trace, oracle: str) -> Labels:
    """The outputs of a model of the trace that stands for the truth.

    Raises:
        UnknownModel: there is none of that name.
    """
    if oracle not in trace.models:
        raise UnknownModel(oracle, tuple(trace.models))
    return Labels(np.arange(len(trace)), trace.outputs(oracle))


def _row(trace: Trace, key: str, cell: str, where: str) -> int:
    try:
        wanted = float(cell)
    except ValueError as error:
        raise InvalidInput(f"{where}: {key} {cell!r} is no number") from error
    known = trace.sequences if key == KEYS[0] else trace.captured_s
    at = int(np.clip(np.searchsorted(known, wanted), 0, len(known) - 1))
    if at and abs(known[at - 1] - wanted) <= abs(known[at] - wanted):
        at -= 1
    near = 0.0 if key == KEYS[0] else (float(np.median(np.diff(known))) / 2 if len(known) > 1 else 0.0)
    if not abs(known[at] - wanted) <= near + 1e-9:
        raise InvalidInput(
            f"{where}: the trace has no input of {key} {cell}; the nearest is {known[at]:g}, they run from "
            f"{known[0]:g} to {known[-1]:g}"
        )
    return at


def _value(output: OutputSpec, cell: str, where: str) -> Array:
    try:
        value = read_cell(output, cell)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {LABEL}: {error}") from error
    assert value is not None, "empty cells were left out"
    return output.check(value)
