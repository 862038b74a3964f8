"""The rows of a logged table, CSV or Parquet, as cells by column."""

import csv
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InvalidInput

Cells = tuple[str, dict[str, Any]]
"""A row of a table: what it is called in an error, and its cells by column."""


def csv_rows(path: Path) -> tuple[list[str], Iterator[Cells]]:
    """The columns of a CSV file and, read as they are asked for, its rows.

    Raises:
        InvalidInput: two columns have one name, or (while rows are read) a row is no row of this table.
    """

    def rows() -> Iterator[Cells]:
        # What is no UTF-8 is then no number and no class name either.
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            next(reader)
            for cells in _lines(path, reader):
                if not cells:
                    continue
                if len(cells) != len(columns):
                    raise InvalidInput(
                        f"{path}: line {reader.line_num} has {len(cells)} cells, the first line {len(columns)}; put "
                        'text with commas in quotes, and quotes within it twice ("[[0.1, ""car""]]")'
                    )
                yield f"line {reader.line_num}", dict(zip(columns, cells, strict=True))

    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        columns = [name.strip() for name in next(csv.reader(file), [])]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{path}: has two columns {twice!r}; rename one")
    return columns, rows()


def _lines(path: Path, reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise InvalidInput(
            f"{path}: can't be read as CSV ({error}); save large outputs, such as masks, as NPZ"
        ) from error


def parquet_rows(path: Path) -> tuple[list[str], Iterator[Cells]]:
    """The columns of a Parquet file and its rows.

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
