"""One model's answer to one input: its value, how it came to be, and how far to trust it."""

from dataclasses import dataclass
from typing import Literal

from ..outputs import Array


@dataclass(frozen=True)
class Linked:
    """One model's answer to one input.

    Attributes:
        value: the output, as the model itself would give it.
        confidence: the probability that the exact model would agree; 1 if it ran.
        origin: how the value came to be.
        sources: the models it was predicted from.
        trusted: whether outputs of this confidence were certified to disagree in at most one of ten.
    """

    value: Array
    confidence: float
    origin: Literal["executed", "linked", "held", "constant"]
    sources: tuple[str, ...] = ()
    trusted: bool = False


@dataclass(frozen=True)
class Exact:
    """An exact output and its vector."""

    value: Array
    vector: Array
