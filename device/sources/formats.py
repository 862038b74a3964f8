"""What lines say: texts, rows of numbers, JSON; each format is one class that makes inputs or samples of them."""

from typing import NamedTuple, Protocol

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array


class NothingYet(InvalidInput):
    """The first lines do not show what lines are; those that come after them may."""


class Item(NamedTuple):
    """What some lines say.

    Attributes:
        value: rows of samples (n, channels), or one whole input.
        times_s: the source's own time of each row, or of the input; None: it says none.
    """

    value: Array
    times_s: Array | None = None


class Format(Protocol):
    """Makes items of lines.

    Attributes:
        form: what an item is, whole; its rate and windows are none of a format's business. None: not known yet.
        per_line: whether each line is an item; else several lines make one, which can be cut into its rows.
        says_times: whether lines say their times; known with the form.
    """

    form: InputForm | None
    per_line: bool
    says_times: bool

    def begin(self, lines: list[bytes]) -> None:
        """Finds out what lines are, from the first of them.

        Raises:
            NothingYet: they don't show it.
            InvalidInput: they are nothing that can be read.
        """

    def anew(self) -> None:
        """Says that another file begins, which may have a header of its own."""

    def items(self, lines: list[bytes]) -> list[Item]:
        """What is in these lines; what is wrong with one is told, and the line left out."""


def utf8(text: str) -> Array:
    """A text as an input: its bytes."""
    return np.frombuffer(text.encode(), np.uint8)
