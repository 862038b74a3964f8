"""The interface of a gate: whether a model should see an input, and which answer stands in where it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ...outputs import Array, OutputSpec


@dataclass(frozen=True)
class Substitute:
    """The answer that stands in for a model's output on an input that the model does not see.

    Attributes:
        origin: "skipped" (the input holds nothing of interest), "reused" (an earlier answer is repeated) or "local" (a
            head on a stem's features, or a smaller model, says what the model would).
        value: the output; None: the model's output for the last kept input.
        confidence: the agreement with the model's real output as it was measured in calibration, from 0 to 1; 0 if it
            was not measured.
        trusted: whether that agreement is certified.
        sources: local: what said it, by name.
    """

    origin: Literal["skipped", "reused", "local"] = "reused"
    value: Array | None = None
    confidence: float = 0.0
    trusted: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelOutput:
    """What a model itself returned for an input.

    Attributes:
        value: its output.
        digest: of the model's file, to tell versions apart.
    """

    value: Array
    digest: str


Learn = Callable[[Mapping[str, ModelOutput]], None]
"""Takes the models' outputs for one input, by the models' names."""


@dataclass(frozen=True)
class Decision:
    """What a gate decides on one input.

    Attributes:
        keep: whether the models should see it.
        score: how much it is needed: the more is new in it, the higher; each gate has a scale of its own. None: the
            gate has no measure of that, or failed on this input.
        threshold: it is kept if its score is above.
        answers: the models that need not run on this input, even if it is kept, with the substitute for each; None: the
            one that the gate's `substitute` gives. If the input is not kept, so are the models that are not named here.
        learn: to be called with the models' outputs for this input, once there are any; None: nothing is learned. An
            input that is not kept has outputs where the audit draws it.
        features: what the gate's stem makes of the input (float32), where it has one; None otherwise.
        failed: whether the gate failed on it, and keeps it for want of anything better.
    """

    keep: bool
    score: float | None = None
    threshold: float = 0.0
    answers: Mapping[str, Substitute | None] = field(default_factory=dict)
    learn: Learn | None = None
    features: Array | None = None
    failed: bool = False


class Gate(Protocol):
    """Decides on the inputs of one stream, in their order.

    Attributes:
        name: what it is called in tables.
        accuracy: the mean agreement with the models that it promises; None: it promises nothing.
    """

    name: str
    accuracy: float | None

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Decides on the next input, captured at `captured_s` seconds."""

    def reset(self) -> None:
        """Starts a new stream: its first input is kept."""

    def rebase(self) -> None:
        """Starts anew from what the camera sees from now on: no earlier input, and no result of one, is of use."""

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """The answer for a model with such outputs on what is not kept."""

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """What was lost on an input, by the loss that the gate's accuracy is a promise about: from 0 to 1.

        Args:
            answers: what stood in for the models that it says need not run, each with its value.
            exact: what models say of the input themselves; of those that the gate was learnt from it takes all there
                are, and those that have no answer lose nothing.
            outputs: these models' output specs.

        Returns:
            None if the gate promises nothing of any of these models, or can't judge it here.
        """

    def close(self) -> None:
        """Ends it, and writes what has to outlive it; may be called twice."""
