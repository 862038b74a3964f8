"""A gate decides input by input what is kept; the free ones here, and `open_gate` for all of them by name."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from .pictures import Shrinker

FORMS = "all, every:K, random:RATE[:SEED], difference:THRESHOLD, or the path of a filter's .onnx file"


@dataclass(frozen=True)
class Decision:
    """What a gate says of one input.

    Attributes:
        keep: whether a model should look at it.
        score: how needed it is.
        threshold: it is kept if its score is above.
        origin: how the answer comes to be if it is not kept: "skipped" (it says nothing) or "reused" (the answer is
            that for the last kept input).
    """

    keep: bool
    score: float
    threshold: float
    origin: Literal["skipped", "reused"]


class Gate(Protocol):
    """Decides for the inputs of one stream, in their order."""

    name: str

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next frame (uint8 BGR), captured at `captured_s` seconds."""

    def reset(self) -> None:
        """Starts a new stream: its first frame is kept."""


class EveryGate:
    """Keeps every `step`-th input; with 1, all; 2.5 keeps two of five."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.name = "all" if step == 1 else f"every:{step:g}"
        self.reset()

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Keeps it if `step` inputs have passed since the last kept one, on average."""
        self._since += 1.0
        keep = self._since >= self.step
        decision = Decision(keep, self._since, self.step, "reused")
        self._since -= self.step if keep else 0.0
        return decision

    def reset(self) -> None:
        """Starts a new stream."""
        self._since = self.step - 1.0


class RandomGate:
    """Keeps a share of the inputs, by lot."""

    def __init__(self, share: float, *, seed: int = 0) -> None:
        self.share = share
        self.seed = seed
        self.name = f"random:{share:g}"
        self._random = random.Random(seed)
        self._first = True

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Draws a lot."""
        score = self._random.random()
        keep = self._first or score < self.share
        self._first = False
        return Decision(keep, 1.0 - score, 1.0 - self.share, "reused")

    def reset(self) -> None:
        """Starts a new stream, with the same lots."""
        self._random = random.Random(self.seed)
        self._first = True


class DifferenceGate:
    """Keeps a frame that differs from the last kept one by more than `threshold`, the mean over the grey picture."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.name = f"difference:{threshold:g}"
        self._shrinker = Shrinker()
        self._reference: Array | None = None

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Compares with the last kept frame, from 0 (the same) to 1."""
        picture = self._shrinker.shrink(frame)
        first = self._reference is None
        score = 1.0
        if self._reference is not None:
            score = cv2.norm(picture, self._reference, cv2.NORM_L1) / (255.0 * picture.size)
        keep = first or score > self.threshold
        if keep:
            self._reference = np.array(picture)
        return Decision(keep, score, self.threshold, "reused")

    def reset(self) -> None:
        """Starts a new stream."""
        self._reference = None


def open_gate(text: str | Path) -> Gate:
    """The gate that `text` names.

    Raises:
        InvalidInput: no such gate, or a file that is no filter; the message lists the forms.
    """
    from .runtime import FilterRuntime

    name, _, rest = str(text).partition(":")
    if str(text) == "all":
        return EveryGate(1)
    try:
        if name == "every":
            return EveryGate(_at_least(1.0, float(rest)))
        if name == "random":
            share, _, seed = rest.partition(":")
            return RandomGate(_share(float(share)), seed=int(seed or 0))
        if name == "difference":
            return DifferenceGate(_share(float(rest)))
    except ValueError as error:
        raise InvalidInput(f"gate {str(text)!r}: {error}; the forms are: {FORMS}") from error
    if not Path(text).is_file():
        raise InvalidInput(f"gate {str(text)!r}: there is no such gate or file; the forms are: {FORMS}")
    return FilterRuntime(Path(text))


def _at_least(least: float, value: float) -> float:
    if not value >= least:
        raise ValueError(f"{value:g} must be at least {least:g}")
    return value


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} must be from 0 to 1")
    return value
