"""CSV as people's programs write it: any usual encoding, with commas, semicolons or tabs, and decimal commas."""

import codecs
import csv
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InvalidInput

logger = logging.getLogger(__name__)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t|"
_BLOCK_BYTES = 1 << 20
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def read_csv(
    path: Path, is_header: Callable[[list[str]], bool]
) -> tuple[list[str], Iterator[tuple[str, dict[str, Any]]]]:
    """A CSV file's columns, and its rows (what each is called, and its cells), which are read as they are asked for.

    Args:
        path: the file.
        is_header: whether these are the columns of a log: among delimiters that may be meant, the one that makes them.

    Raises:
        InvalidInput: it is no text, two columns have one name, or (while rows are read) a row is no row of this table.
    """
    encoding = encoding_of(path)
    delimiter, skipped = _delimiter(path, encoding, is_header)

    def lines() -> Iterator[tuple[int, list[str]]]:
        with path.open(newline="", encoding=encoding, errors="replace") as file:
            reader = csv.reader(file, delimiter=delimiter)
            try:
                told = (cells for cells in reader if any(cell.strip() for cell in cells))
                for number, cells in enumerate(told):
                    if number >= skipped:
                        yield reader.line_num, cells
            except csv.Error as error:
                raise InvalidInput(
                    f"{path}: can't be read as CSV ({error}); save large outputs, such as masks, as NPZ"
                ) from error

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        below = lines()
        next(below)
        for line, cells in below:
            if len(cells) != len(columns):
                raise InvalidInput(
                    f"{path}: line {line} has {len(cells)} cells, the first line {len(columns)}; put text with "
                    f'{_NAMES[delimiter]} in quotes, and quotes within it twice ("[[0.1, ""car""]]")'
                )
            yield f"line {line}", dict(zip(columns, (plain_number(cell, delimiter) for cell in cells), strict=True))

    columns = [name.strip() for name in next(lines(), (0, []))[1]]
    # Spreadsheets write empty columns behind the last one.
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{path}: has two columns {twice!r}; rename one")
    return columns, rows()


_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def encoding_of(path: Path) -> str:
    """The encoding of a text file: by its mark, by its zeros, UTF-8 if all of it is, or else Windows' western one.

    Raises:
        InvalidInput: it holds zeros as no text does.
    """
    with path.open("rb") as file:
        block = file.read(_BLOCK_BYTES)
        for mark, name in _BOMS:
            if block.startswith(mark):
                return name
        zeros = block.count(0)
        if zeros:
            even, odd = block[::2].count(0), block[1::2].count(0)
            if max(even, odd) < len(block) / 8 or min(even, odd) > max(even, odd) / 8:
                raise InvalidInput(f"{path}: is no text; save it as CSV in UTF-8")
            return "utf-16-be" if even > odd else "utf-16-le"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            logger.warning("%s: is not in UTF-8; read as Windows-1252, in which ä, é and ñ stand", path)
            return "cp1252"
    return "utf-8"


def _delimiter(path: Path, encoding: str, is_header: Callable[[list[str]], bool]) -> tuple[str, int]:
    """What stands between cells, and how many lines before the columns tell that (Excel's `sep=;`)."""
    with path.open(newline="", encoding=encoding, errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
        told = re.fullmatch(r'"?sep=(.)"?\s*', first)
        if told is not None:
            return told.group(1), 1
        # A name in quotes may hold a line's end, so that the columns take several lines.
        text = first + "".join(file.readline() for _ in range(3))
    found: dict[str, list[str]] = {}
    for delimiter in _DELIMITERS:
        try:
            columns = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), [])
        except csv.Error:
            continue
        found[delimiter] = [name.strip() for name in columns]
    if not found:
        return ",", 0
    return max(found, key=lambda each: (is_header(found[each]), len(found[each]))), 0


def plain_number(cell: str, delimiter: str) -> str:
    """A cell; a number in it that has a decimal comma with a point instead.

    Between commas as delimiters `"1,234"` may be 1234 as well: that stays as it is, and is then no number.
    """
    text = cell.strip()
    if _GROUPED.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    if not _DECIMAL_COMMA.fullmatch(text) or (delimiter in ",|" and _THOUSANDS.fullmatch(text)):
        return cell
    return text.replace(",", ".")
