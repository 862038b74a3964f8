"""The rows of the results file: what was decided on an input, and one model's result for it."""

from dataclasses import dataclass, replace
from typing import Self

from ..outputs import Array


@dataclass(frozen=True)
class InputRow:
    """One input, as the agent decided on it.

    Attributes:
        sequence: the input's.
        captured_s: when it was captured.
        kept: whether it was to be sent.
        score: how much it needs the models, by the gate; None: by a gate without such a measure.
        threshold: the score above which the gate keeps an input.
        decide_s: the time that the decision took.
        decided_s: when it was decided on, from the run's start.
        sent_bytes: the size of its message, with its frame if that was asked for; 0: nothing of it was sent.
        audit_probability: above 0: the filter would not have kept it, but it was sent, as it was with this probability.
        level: the governor's level at that time; empty: everything ran.
        camera: "moved" or "blinded" while the camera does not see what it saw; empty: it does.
    """

    sequence: int
    captured_s: float
    kept: bool
    score: float | None
    threshold: float
    decide_s: float
    decided_s: float
    sent_bytes: int = 0
    audit_probability: float = 0.0
    level: str = ""
    camera: str = ""

    def sent(self, size_bytes: int) -> Self:
        """The same row with the size of the input's message."""
        return replace(self, sent_bytes=size_bytes)


@dataclass(frozen=True)
class ResultRow:
    """One model's result for one input.

    Attributes:
        model: the model's name.
        sequence: the input's.
        captured_s: when the input was captured.
        origin: how the result was obtained: "executed", "linked", "held", "constant", "local", "skipped" or "reused".
            "local" is an answer of this device: of the model itself, which then has no sources, or of a head
            or a smaller model, which is its source.
        confidence: the result's; with a reference, that the reference's result still holds.
        trusted: whether the confidence is certified; with a reference, the reference's own has to be as well.
        sources: the models whose outputs it was predicted from.
        reference: the kept input whose value this is; None: the value is its own.
        value: the output; None where `reference` has it.
        trust: how the result is certified: "exact", "certified", "unsure", "uncalibrated" or "revoked"; empty: by
            `trusted`.
    """

    model: str
    sequence: int
    captured_s: float
    origin: str
    confidence: float
    trusted: bool
    sources: tuple[str, ...] = ()
    reference: int | None = None
    value: Array | None = None
    trust: str = ""
