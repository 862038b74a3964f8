"""Lines of text: each an input; of a table (TSV, CSV) one column of it."""

import csv

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from .complaints import Complaints
from .cut import Cut
from .formats import Item, utf8


class TextFormat:
    """Makes a text of each line that is not empty.

    Args:
        cut: `text_column` says which column, if lines have several: its number from 0, or its name in the first line.
        complaints: told of lines that are no UTF-8 or lack the column.
    """

    per_line = True
    says_times = False

    def __init__(self, cut: Cut, complaints: Complaints) -> None:
        self.form: InputForm | None = InputForm(modality="text")
        self._column = cut.text_column
        self._complaints = complaints
        self._separator = ""
        self._index: int | None = None
        self._is_header = False
        self.anew()

    def begin(self, lines: list[bytes]) -> None:
        """Nothing: any line will do."""

    def anew(self) -> None:
        """The column is looked up again in the next line, if it has a name."""
        self._index = int(self._column) if self._column.isdecimal() else None
        self._separator = ""

    def items(self, lines: list[bytes]) -> list[Item]:
        """Each line's text."""
        found = []
        for line in lines:
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self._complaints.add("no UTF-8", f"a line is no UTF-8 ({line[:40]!r}): it is left out")
                continue
            self._is_header = False
            if self._column:
                text = self._cell(text) or ""
            if text.strip():
                found.append(Item(utf8(text)))
            elif self._complaints.strict and not self._is_header:
                self._complaints.add("is empty", "a line is empty")
        return found

    def _cell(self, line: str) -> str | None:
        """The column's text; None: this line has none."""
        if not line.strip():
            return None
        self._separator = self._separator or ("\t" if "\t" in line else ";" if ";" in line and "," not in line else ",")
        # Between tabs quotes are letters, as nothing needs them.
        tabs = self._separator == "\t"
        cells = line.split("\t") if tabs else next(csv.reader([line], delimiter=self._separator))
        if self._index is None:
            if self._column not in cells:
                raise InvalidInput(f"`text_column` {self._column!r} is none of {', '.join(map(repr, cells))}")
            self._index = cells.index(self._column)
            self._is_header = True
            return None
        if self._index >= len(cells):
            self._complaints.add(
                "lacks the column",
                f"a line has {len(cells)} columns, none with the number {self._index}: it is left out",
            )
            return None
        return cells[self._index]
