"""Reading a results file: every model's result for every input, and how it was obtained."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ..codec import unpack
from ..errors import InvalidInput
from ..outputs import Array
from .results_table import stream_of


class Results:
    """Reads a results file; every list has one item for each of `sequences`.

    Args:
        path: the file.

    Attributes:
        stream: whose results these are; empty: those of a device's only stream.

    Raises:
        InvalidInput: there is no such file, or it is not a results file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InvalidInput(f"{path}: there is no such results file")
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            sql = "SELECT sequence, captured_s, kept, sent_bytes FROM inputs ORDER BY sequence"
            rows = self._database.execute(sql).fetchall()
            names = self._database.execute("SELECT DISTINCT model FROM results ORDER BY model").fetchall()
            self.stream = stream_of(self._database)
        except sqlite3.Error as error:
            self._database.close()
            raise InvalidInput(f"{path}: is not a results file ({error})") from error
        self.sequences: list[int] = [row[0] for row in rows]
        self.captured_s: list[float] = [row[1] for row in rows]
        self.kept: list[bool] = [bool(row[2]) for row in rows]
        self.sent_bytes: list[int] = [row[3] for row in rows]
        self.models: list[str] = [row[0] for row in names]

    def served(self, model: str) -> list[Array]:
        """The value that a user had for each input: its own, or that of the input it refers to.

        An input without a result (dropped, refused) has the last value before it.

        Raises:
            InvalidInput: the file holds no output of this model.
        """
        own = {row[0]: unpack(row[1]) for row in self._rows("sequence, value", model) if row[1] is not None}
        if not own:
            raise InvalidInput(
                f"{self.path}: holds no output of {model!r} (it has: {', '.join(self.models) or 'none'})"
            )
        references = dict(self._rows("sequence, reference", model))
        last = next(iter(own.values()))
        values = []
        for sequence in self.sequences:
            source = references.get(sequence)
            last = own.get(sequence if source is None else source, last)
            values.append(last)
        return values

    def origins(self, model: str) -> list[str]:
        """How each input's result was obtained; "held" for an input without one."""
        found = dict(self._rows("sequence, origin", model))
        return [found.get(sequence, "held") for sequence in self.sequences]

    def trust(self, model: str) -> list[str]:
        """How each input's result is certified; empty where there is no result, or the file does not say."""
        columns = [row[1] for row in self._database.execute("PRAGMA table_info(results)")]
        found = dict(self._rows("sequence, trust", model)) if "trust" in columns else {}
        return [found.get(sequence, "") for sequence in self.sequences]

    def close(self) -> None:
        """Closes the file; closing twice is fine."""
        self._database.close()

    def __enter__(self) -> Self:
        """The results themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self.close()

    def _rows(self, columns: str, model: str) -> Sequence[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM results WHERE model = ? ORDER BY sequence"
        return self._database.execute(sql, (model,)).fetchall()
