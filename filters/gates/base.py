"""What a gate is: it decides input by input what is kept, and says how the rest is answered for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ...outputs import Array, OutputSpec


@dataclass(frozen=True)
class Unsent:
    """How a model is answered for on the inputs that are not kept.

    Attributes:
        origin: "skipped" (such inputs say nothing) or "reused" (the answer is that for the last kept input).
        value: what it is taken to have said; None: what it said of the last kept input.
        confidence: the agreement with what it would have said that was measured when the gate was calibrated; 0 where
            nothing was.
        trusted: whether that is certified.
    """

    origin: Literal["skipped", "reused"] = "reused"
    value: Array | None = None
    confidence: float = 0.0
    trusted: bool = False


@dataclass(frozen=True)
class Ran:
    """What a model itself said of an input.

    Attributes:
        value: its output.
        digest: the model file's: which version said it.
    """

    value: Array
    digest: str


Learn = Callable[[Mapping[str, Ran]], None]


@dataclass(frozen=True)
class Decision:
    """What a gate says of one input.

    Attributes:
        keep: whether a model should look at it.
        score: how needed it is.
        threshold: it is kept if its score is above.
        answers: the models that need not run on this input, kept or not, and how they are answered for; None: as the
            gate's `unsent` says. So are the models that are not named here, if the input is not kept.
        learn: to be told what the models said of this input, by name, once they have; None: it wants to know nothing.
        asks: whether it is kept only to hear that, so that the models themselves have to look at it.
    """

    keep: bool
    score: float
    threshold: float
    answers: Mapping[str, Unsent | None] = field(default_factory=dict)
    learn: Learn | None = None
    asks: bool = False


class Gate(Protocol):
    """Decides for the inputs of one stream, in their order.

    Attributes:
        name: what it is called in tables.
        accuracy: the mean agreement that it promises to keep; None: it promises nothing.
    """

    name: str
    accuracy: float | None

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next frame (uint8 BGR), captured at `captured_s` seconds."""

    def reset(self) -> None:
        """Starts a new stream: its first frame is kept."""

    def unsent(self, model: str, output: OutputSpec) -> Unsent:
        """How a model with such outputs is answered for on what is not kept."""

    def close(self) -> None:
        """Ends it; what is to outlive it is written."""
