"""Rows of numbers: a sensor's CSV, with or without a header, from a file or a port."""

import csv
import re
from collections import Counter

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .columns import Columns, is_number, named_columns, number, numbered_columns, sane
from .complaints import Complaints
from .cut import Cut
from .formats import Item, NothingYet

_SPACES = re.compile(r"[ \t]+")
_MOST = float(np.finfo(np.float32).max)
_LOOKED_AT, _LOOKED_AT_FOR_PREAMBLE = 16, 64


class TableFormat:
    """Makes samples of rows: float32 (rows, channels).

    Args:
        cut: which columns are channels, and which is the time.
        complaints: told of rows that can't be read.
        per_line: whether each row is an item of its own.
    """

    def __init__(self, cut: Cut, complaints: Complaints, *, per_line: bool = False) -> None:
        self.cut = cut
        self.per_line = per_line
        self.form = InputForm(modality="signal", channels=cut.channels) if cut.channels and cut.time_column else None
        self.says_times = bool(cut.time_column) and cut.time_column != "-"
        self._complaints = complaints
        self._separator: str | None = None
        self._columns: Columns | None = None
        self._left_out = False

    def begin(self, lines: list[bytes]) -> None:
        """Finds the columns."""
        self._check_first(lines)
        texts = self._texts(lines)
        if not texts:
            raise NothingYet("holds no rows")
        if self.per_line and not any(_separator_of(text) or _has_numbers(_SPACES.split(text)) for text in texts):
            raise NothingYet(f"holds no number ({texts[-1][:60]!r})")
        self._find(texts)
        assert self._columns is not None
        self.form = InputForm(modality="signal", channels=self._columns.names)
        self.says_times = self._columns.time is not None
        # They are read again from their beginning; other files and other headers have to have the same channels.
        self.cut = self.cut.model_copy(update={"channels": self._columns.names})
        self._columns = None

    def anew(self) -> None:
        """The columns are found again in the next lines."""
        self._columns, self._separator, self._left_out = None, None, False

    def items(self, lines: list[bytes]) -> list[Item]:
        """The rows, as one item or each as its own."""
        texts = self._texts(lines)
        if self._left_out or not texts:
            return []
        if self._columns is None:
            try:
                self._check_first(lines)
                texts = self._find(texts)
            except InvalidInput as error:
                self._complaints.add("has other columns", f"{error}; the file is left out")
                self._left_out = True
                return []
        if not texts:
            return []
        item = self._read(texts)
        if not self.per_line:
            return [item] if len(item.value) else []
        times_s = item.times_s
        return [
            Item(item.value[i : i + 1], None if times_s is None else times_s[i : i + 1]) for i in range(len(item.value))
        ]

    def _check_first(self, lines: list[bytes]) -> None:
        """Makes sure that the names of a file's columns can be read: without them others would be taken for them."""
        first = next((line for line in lines if line.strip()), b"")
        try:
            first.decode()
        except UnicodeDecodeError as error:
            if not self.per_line:
                raise InvalidInput(f"its first row is no UTF-8 ({first[:40]!r}): save it as UTF-8") from error

    def _texts(self, lines: list[bytes]) -> list[str]:
        found = []
        for line in lines:
            try:
                text = line.decode().strip()
            except UnicodeDecodeError:
                self._complaints.add("no UTF-8", f"a row is no UTF-8 ({line[:40]!r}): it is left out")
                continue
            if text and not text.startswith("#"):
                found.append(text)
        return found

    def _find(self, texts: list[str]) -> list[str]:
        """Finds the columns; gives the rows without the header."""
        texts = self._without_preamble(texts)
        first = self._cells(texts[0])
        rest = texts
        if all(is_number(cell) for cell in first):
            rows = [row for row in map(self._cells, texts[:256]) if len(row) == len(first)]
            self._columns = numbered_columns(np.array([[number(cell) for cell in row] for row in rows]), self.cut)
        else:
            rest = texts[1:]
            # By most of the first rows: the units may stand below the names, or a number be missing.
            sample = [self._cells(text) for text in rest[:_LOOKED_AT]]
            cells = [[row[place] for row in sample if place < len(row)] for place in range(len(first))]
            numeric = [2 * sum(map(is_number, column)) >= len(column) for column in cells]
            names = [cell.strip() for cell in first]
            self._columns = named_columns(names, numeric, self.cut)
            words = [name for place, name in enumerate(names) if not numeric[place] and place != self._columns.time]
            if words and not self.cut.channels:
                self._complaints.add(
                    "holds words",
                    f"its columns {', '.join(words)[:80]} hold no numbers: left out (for texts: text:PATH)",
                    lost=False,
                )
        if self.form is not None and len(self._columns.names) != len(self.form.channels):
            found, columns = ", ".join(self._columns.names), ", ".join(self.form.channels)
            self._columns = None
            raise InvalidInput(f"has the columns {found}, not {columns}")
        return rest

    def _without_preamble(self, texts: list[str]) -> list[str]:
        """The rows from the header on: loggers write their name and settings above it. Settles the separator."""
        self._separator = _separator_of(texts[0])
        sample = [(_separator_of(text), text) for text in texts[:_LOOKED_AT_FOR_PREAMBLE]]
        shapes = Counter(
            (separator, len(cells)) for separator, text in sample if _has_numbers(cells := _split(text, separator))
        )
        if not shapes:
            # Only words have come yet: those without a separator stand above those with one.
            begin = 0 if self._separator else next((i for i, (each, _) in enumerate(sample) if each), 0)
            separator = sample[begin][0]
        else:
            (separator, count), times = shapes.most_common(1)[0]
            if 2 * times <= shapes.total():
                return texts
            begin = next(i for i, (_, text) in enumerate(sample) if len(_split(text, separator)) == count)
            if begin and count <= len(self._cells(texts[0])):
                return texts
            if begin and self._separator == separator and _has_numbers(_split(texts[begin], separator)):
                return texts  # A header that lacks a name.
        self._separator = separator
        if begin:
            self._complaints.add(
                "preamble",
                f"it begins with what is no row ({texts[0][:40]!r}): passed over up to {texts[begin][:40]!r}",
                lost=False,
            )
        return texts[begin:]

    def _read(self, texts: list[str]) -> Item:
        columns = self._columns
        assert columns is not None
        fast = self._read_fast(texts, columns)
        if fast is not None:
            return fast
        values, times = [], []
        for text in texts:
            cells = self._cells(text)
            row = self._row(cells, columns)
            if row is None:
                columns = self._columns
                assert columns is not None
                continue
            values.append(row)
            if columns.time is not None:
                times.append(cells[int(columns.time)])
        array = np.array(values, np.float32).reshape(-1, len(columns.channels))
        if columns.time is None:
            return Item(array)
        return self._timed(array, columns.seconds(times))

    def _row(self, cells: list[str], columns: Columns) -> list[float] | None:
        """A row's channels; None, and said, if it can't be read."""
        wanted = [int(place) for place in columns.channels]
        last = max(wanted if columns.time is None else [*wanted, int(columns.time)])
        if last >= len(cells):
            self._complaints.add("lacks columns", f"a row has {len(cells)} columns, not {last + 1}: it is left out")
            return None
        row = [number(cells[place]) for place in wanted]
        if (np.abs(row) <= _MOST).all():
            return row
        names = [cell.strip() for cell in cells]
        if not any(is_number(name) for name in names) and all(names.count(name) == 1 for name in columns.names):
            # A logger that was started again writes its header again.
            self._columns = named_columns(names, [True] * len(names), self.cut)
        else:
            self._complaints.add(
                "no number", f"a row has an empty cell or no number ({', '.join(cells)[:80]}): it is left out"
            )
        return None

    def _timed(self, values: Array, times_s: Array) -> Item:
        known = np.isfinite(times_s)
        if not known.all():
            self._complaints.add("no time", "a row has no time that can be read: it is left out")
            values, times_s = values[known], times_s[known]
        return Item(values, times_s)

    def _read_fast(self, texts: list[str], columns: Columns) -> Item | None:
        """The same with NumPy's parser, where nothing is wrong with any row; else None."""
        if self._separator == ";" or any('"' in text for text in texts[:1]):
            return None
        places = [int(place) for place in columns.channels]
        wanted = places if columns.time is None else [*places, int(columns.time)]
        try:
            read = np.loadtxt(texts, delimiter=self._separator or None, usecols=wanted, comments=None, ndmin=2)
        except ValueError:
            return None
        if not (np.abs(read[:, : len(places)]) <= _MOST).all() or not np.isfinite(read).all():
            return None
        values = read[:, : len(places)].astype(np.float32)
        if columns.time is None:
            return Item(values)
        unit_s = columns.unit_s
        times_s = sane(read[:, -1] * unit_s) if unit_s is not None else columns.seconds(list(read[:, -1]))
        return self._timed(values, times_s)

    def _cells(self, text: str) -> list[str]:
        return _split(text, self._separator or "")


def _split(text: str, separator: str) -> list[str]:
    """The cells of a row; with decimal points, also where it has commas."""
    if not separator:
        return _SPACES.split(text)
    try:
        cells = next(csv.reader([text], delimiter=separator), [])
    except csv.Error:  # A lone end of line in it, or a cell of 128 KiB.
        cells = text.split(separator)
    if separator == ";":
        cells = [cell.replace(",", ".") if is_number(cell.replace(",", ".")) else cell for cell in cells]
    return cells


def _has_numbers(cells: list[str]) -> bool:
    return not all(np.isnan(number(cell)) for cell in cells)


def _separator_of(line: str) -> str:
    """What stands between the cells; empty: spaces."""
    return next((each for each in (";", "\t", ",") if each in line), "")
