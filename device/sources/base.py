"""The base of every source: the input, and the protocol that sources follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from ...filters.packets.gate import Choice
from ...models.inputs.form import InputForm
from ...outputs import Array

Times = Literal["read", "invented", "order"]
"""Whether the times of inputs are the source's own (or their arrival), were made up from a guessed rate, or only say in
which order inputs come, as those of a file's lines: a second from one to the next."""


@dataclass(frozen=True)
class Input:
    """One input of a source: a picture, a window of a sound or signal, a text.

    Attributes:
        sequence: its number within the source, from 0, without gaps.
        captured_s: when it was captured: in a recording its presentation time, from 0 at the first frame, and rising
            on when the recording is played again; of a live source the monotonic clock's time when it arrived.
        value: of the kind that the source's form says (`models/inputs/form.py`): a picture is uint8 BGR, height x width
            x 3. Of an input that was not decoded it is empty.
        source_s: where in the recording it stands, the same each time that it is played; None: the source is live.
        choice: what a packet gate said of it; None: there is none.
    """

    sequence: int
    captured_s: float
    value: Array
    source_s: float | None = None
    choice: Choice | None = None

    @property
    def decoded(self) -> bool:
        """Whether it has a value: a packet gate may have left it out."""
        return self.choice is None or self.choice.decode


class Source(Protocol):
    """Gives inputs, one after another, until it ends; `close` it, or use it as a context manager.

    Attributes:
        name: as the user names it, without passwords.
        form: what its inputs are.
        inputs_per_s: how many come in a second, on average.
        input_count: about how many it will give; None: not known.
        live: whether inputs come when they are captured, and are lost when nobody takes them.
        times: what the times of its inputs are worth.
    """

    name: str
    form: InputForm
    inputs_per_s: float
    input_count: int | None
    live: bool
    times: Times

    def __iter__(self) -> Iterator[Input]: ...

    def close(self) -> None:
        """Releases the source; closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
