"""Whoever takes note of what becomes of a stream's inputs: the results file, and what delivers results as they come."""

from collections.abc import Callable, Iterable
from typing import Protocol

from .result_rows import InputRow, ResultRow


class ResultLog(Protocol):
    """Takes note of inputs and their results, from any thread."""

    def add_input(self, row: InputRow, results: Iterable[ResultRow] = ()) -> None:
        """An input was decided on; with the results that are known already."""

    def add_results(
        self,
        sequence: int,
        received_s: float,
        results: Iterable[ResultRow],
        *,
        late: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """The results came of an input that was sent; `then` is called once that is kept for good."""

    def add_sent(self, sequence: int, size_bytes: int) -> None:
        """More was sent of an input: its frame, which was asked for."""

    def add_refused(self, sequence: int, reason: str, *, then: Callable[[], None] | None = None) -> None:
        """An input that was kept has no results, for this reason; `then` as with these."""


class BothLogs:
    """Two as one: each is told of everything.

    Args:
        file: the first, which says when what it was told of is written for good.
        other: the second.
    """

    def __init__(self, file: ResultLog, other: ResultLog) -> None:
        self.file = file
        self.other = other

    def add_input(self, row: InputRow, results: Iterable[ResultRow] = ()) -> None:
        """An input was decided on; with the results that are known already."""
        results = tuple(results)
        self.file.add_input(row, results)
        self.other.add_input(row, results)

    def add_results(
        self,
        sequence: int,
        received_s: float,
        results: Iterable[ResultRow],
        *,
        late: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """The results came of an input that was sent; `then` is called once that is kept for good."""
        results = tuple(results)
        self.file.add_results(sequence, received_s, results, late=late, then=then)
        self.other.add_results(sequence, received_s, results, late=late)

    def add_sent(self, sequence: int, size_bytes: int) -> None:
        """More was sent of an input: its frame, which was asked for."""
        self.file.add_sent(sequence, size_bytes)
        self.other.add_sent(sequence, size_bytes)

    def add_refused(self, sequence: int, reason: str, *, then: Callable[[], None] | None = None) -> None:
        """An input that was kept has no results, for this reason; `then` as with these."""
        self.file.add_refused(sequence, reason, then=then)
        self.other.add_refused(sequence, reason)
