"""Outputs that another system logged, read from a table (CSV, Parquet) or from arrays (NPZ)."""

import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..models.spec import ModelSpec
from ..outputs import Array
from .log_cell import is_missing, read_cell
from .log_csv import read_csv
from .log_time import TIMES, named, not_rising, seconds, time_column, told

logger = logging.getLogger(__name__)

INPUTS = "inputs"

Cells = tuple[str, dict[str, Any]]
"""A row of a table: what it is called in an error, and its cells by column."""


@dataclass(frozen=True)
class Logged:
    """What was logged, row by row.

    Attributes:
        source: what it was read from.
        captured_s: when each row's input was captured, seconds, rising.
        outputs: each model's outputs by row, as arrays or as `log_cell.FORMS` has them; None where it has none.
        inputs: the inputs by row; None if they were not logged.
        names: what each row is called in an error, such as "line 7"; by default "row 5".
    """

    source: str
    captured_s: Sequence[float] | Array
    outputs: Mapping[str, Sequence[Any]]
    inputs: Sequence[Array] | None = None
    names: Sequence[str] = ()

    def __len__(self) -> int:
        """How many rows."""
        return len(self.captured_s)

    def name(self, row: int) -> str:
        """What a row is called in an error."""
        return self.names[row] if self.names else f"row {row}"


def read_logged(path: Path, models: Mapping[str, ModelSpec], *, time: str = "") -> Logged:
    """Reads a log. docs/LINKS.md shows each form.

    - CSV or Parquet, wide: a row an input; a column a model (`NAME`), or a column a class or number (`NAME:PART`).
    - CSV or Parquet, long: a row an output: columns `model` and `value`, and `class` if a row is one class's number.
    - NPZ: an array a model, one row an input; boxes and tokens one below the other, with `NAME:lengths` beside.

    Args:
        path: the file; its ending says which.
        models: each model's spec.
        time: the column of capture times; by default the first there is of `log_time.TIMES`, in any case.

    Raises:
        InvalidInput: the file can't be read, a model has no column, or a cell can't be read; names row and model.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    kind = path.suffix.lower()
    if kind == ".npz":
        return _read_npz(path, models, time)
    if kind not in (".csv", ".tsv", ".parquet"):
        raise InvalidInput(f"{path}: a log ends in .csv, .tsv, .parquet or .npz; save it as one of these")
    if kind == ".parquet":
        columns, rows = _parquet_rows(path)
    else:
        columns, rows = read_csv(path, lambda names: bool(time_column(names, time)))
    at = time_column(columns, time)
    if not at:
        raise InvalidInput(
            f"{path}: has no column of times{f' {time!r}' if time else ''}: name it {' or '.join(TIMES)}, or give "
            f"--time (columns: {_listed(columns)})"
        )
    model, value = named(columns, "model"), named(columns, "value")
    if model and value:
        return _read_long(path, models, _Long(at, model, value, named(columns, "class")), rows)
    return _read_wide(path, models, at, columns, rows)


def _parquet_rows(path: Path) -> tuple[list[str], Iterator[Cells]]:
    """A Parquet file's columns and rows.

    Raises:
        InvalidInput: it can't be read, or pyarrow is not installed.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"{path}: reading Parquet needs the package pyarrow: `pip install pyarrow`, or save it as CSV or NPZ"
        ) from error
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow raises many types of its own
        raise InvalidInput(f"{path}: can't be read as Parquet: {error}") from error
    return table.column_names, ((f"row {i}", cells) for i, cells in enumerate(table.to_pylist()))


@dataclass(frozen=True)
class _Long:
    """The columns of a long log; `of` is empty where no row is of one class."""

    time: str
    model: str
    value: str
    of: str


def _read_wide(
    path: Path, models: Mapping[str, ModelSpec], time: str, columns: Sequence[str], rows: Iterator[Cells]
) -> Logged:
    parts = {name: _parts(path, spec, columns) for name, spec in models.items()}
    names: list[str] = []
    captured_s: list[float] = []
    outputs: dict[str, list[Array | None]] = {name: [] for name in models}
    for row, cells in rows:
        names.append(row)
        captured_s.append(seconds(cells[time], f"{path}: {row}", time))
        for name, spec in models.items():
            outputs[name].append(_output(spec, _gathered(cells, name, parts[name]), f"{path}: {row}"))
    return Logged(str(path), captured_s, outputs, names=names)


def _parts(path: Path, spec: ModelSpec, columns: Sequence[str]) -> tuple[str, ...]:
    """The parts a model's output is spread over, in order; none if one column holds it all."""
    found = [column.removeprefix(f"{spec.name}:") for column in columns if column.startswith(f"{spec.name}:")]
    if spec.name in columns and not found:
        return ()
    output = spec.output
    wanted = output.classes if output.classes else tuple(str(i) for i in range(output.length))
    if not found:
        example = f" or {spec.name}:{wanted[0]}, ..." if output.kind in ("label", "multilabel", "vector") else ""
        raise InvalidInput(
            f"{path}: model {spec.name!r} has no column; name it {spec.name}{example} (columns: {_listed(columns)})"
            + (f"; {near} is written otherwise" if (near := named(columns, spec.name)) else "")
        )
    if spec.name in columns or output.kind not in ("label", "multilabel", "vector"):
        raise InvalidInput(
            f"{path}: model {spec.name!r} has the column {spec.name}:{found[0]}, but its output of kind {output.kind} "
            f"stands in one column, {spec.name}"
        )
    unknown = [part for part in found if part not in wanted]
    lacking = [part for part in wanted if part not in found]
    if unknown or lacking:
        told = [f"{spec.name}:{part} is none of the spec's" for part in unknown[:3]]
        told += [f"{spec.name}:{part} is missing" for part in lacking[:3]]
        raise InvalidInput(
            f"{path}: the columns of {spec.name!r} do not fit its spec: {', '.join(told)} (the spec has "
            f"{_listed(wanted)}; where the vocabulary changed, name every class it ever had)"
        )
    return tuple(wanted)


def _gathered(cells: Mapping[str, Any], name: str, parts: Sequence[str]) -> Any:
    if not parts:
        return cells[name]
    found = [cells[f"{name}:{part}"] for part in parts]
    if all(is_missing(cell) for cell in found):
        return None
    return found


def _read_long(path: Path, models: Mapping[str, ModelSpec], columns: _Long, rows: Iterator[Cells]) -> Logged:
    found: dict[str, dict[float, Any]] = {name: {} for name in models}
    others: dict[str, None] = {}
    for row, cells in rows:
        where = f"{path}: {row}"
        name, at = str(cells[columns.model]).strip(), seconds(cells[columns.time], where, columns.time)
        if name not in models:
            others[name] = None
            continue
        mine = found[name]
        before = next(reversed(mine), None)
        if before is not None and at < before:
            rows_told = ("the row above", repr(name))
            raise InvalidInput(f"{where}: {not_rising(before, at, rows_told, _usual_step_s(mine))}")
        of = str(cells.get(columns.of) or "").strip()
        if of:
            value = _output_number(cells[columns.value], where, name)
            classes = mine.setdefault(at, {})
            if not isinstance(classes, dict) or of in classes:
                raise InvalidInput(f"{where}: {name!r} has this class at {told(at)} already; leave one out")
            classes[of] = value
        elif at in mine:
            raise InvalidInput(f"{where}: {name!r} has an output at {told(at)} already; leave one out")
        else:
            mine[at] = _output(models[name], cells[columns.value], where)
    if others:
        logger.warning(
            "%s: left out %s: no spec has that name; the specs are %s",
            path,
            _listed(list(others)),
            _listed(list(models)),
        )
    times = sorted(set().union(*found.values()))
    outputs = {
        name: [_whole(models[name], mine.get(at), f"{path}: time {told(at)}") for at in times]
        for name, mine in found.items()
    }
    return Logged(str(path), times, outputs, names=[f"time {told(at)}" for at in times])


def _usual_step_s(times: Mapping[float, Any]) -> float:
    return float(np.median(np.diff(list(times)))) if len(times) > 1 else 0.0


def _whole(spec: ModelSpec, value: Any, where: str) -> Array | None:
    """The output of a time: what one row said, or what several said of a class each."""
    if not isinstance(value, dict):
        return None if value is None else np.asarray(value)
    if all(number is None for number in value.values()):
        return None
    lacking = [name for name in spec.output.classes if value.get(name) is None]
    if lacking:
        raise InvalidInput(f"{where}: {spec.name!r} has no number for class {lacking[0]!r}; give one for each class")
    return _output(spec, value, where)


def _read_npz(path: Path, models: Mapping[str, ModelSpec], time: str) -> Logged:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile's, numpy's and others
        raise InvalidInput(f"{path}: can't be read as NPZ without pickled objects: {error}") from error
    at = time_column(list(arrays), time)
    if not at or arrays[at].ndim != 1:
        raise InvalidInput(
            f"{path}: needs an array {time or TIMES[0]} of one dimension (arrays: {_listed(list(arrays))})"
        )
    times = arrays[at]
    if times.dtype.kind == "M":
        times = (times - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    captured_s = [seconds(value, f"{path}: row {i}", at) for i, value in enumerate(times.tolist())]
    lengths = {name: arrays.get(f"{name}:lengths") for name in models}
    outputs = {}
    for name, spec in models.items():
        if name not in arrays:
            raise InvalidInput(f"{path}: has no array {name!r} (arrays: {_listed(list(arrays))})")
        values: Sequence[Any] = list(arrays[name])
        of = lengths[name]
        if of is not None:
            if int(of.sum()) != len(values):
                raise InvalidInput(
                    f"{path}: {name}:lengths add up to {int(of.sum())}, but {name} has {len(values)} rows"
                )
            values = np.split(arrays[name], np.cumsum(of)[:-1])
        if len(values) != len(captured_s):
            raise InvalidInput(
                f"{path}: {name} has {len(values)} rows and {at} has {len(captured_s)}: they are not of the same inputs"
                + (f"; give {name}:lengths, how many {spec.output.kind} each has" if of is None else "")
            )
        outputs[name] = [_output(spec, value, f"{path}: row {i}") for i, value in enumerate(values)]
    inputs = arrays.get(INPUTS)
    if inputs is not None and len(inputs) != len(captured_s):
        raise InvalidInput(f"{path}: {INPUTS} has {len(inputs)} rows and {at} has {len(captured_s)}")
    return Logged(str(path), captured_s, outputs, None if inputs is None else list(inputs))


def _output(spec: ModelSpec, cell: Any, where: str) -> Array | None:
    try:
        return read_cell(spec.output, cell)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {spec.name}: {error}") from error


def _output_number(cell: Any, where: str, name: str) -> float | None:
    if is_missing(cell):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{where}: {name}: {cell!r} is no number; a row of one class has one") from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
