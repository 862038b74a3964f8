"""A gate decides input by input what is kept; the free ones here, and `open_gate` for all of them by name."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from ..errors import InvalidInput
from ..outputs import Array, OutputSpec
from .pictures import Shrinker

FORMS = (
    "all, first (and nothing after it), every:K, random:RATE[:SEED], difference:THRESHOLD, or the path of a filter's "
    ".onnx file; PATH@ACCURACY: with another accuracy than it was trained for; PATH#MODEL: one task of a filter for "
    "several models"
)


@dataclass(frozen=True)
class Decision:
    """What a gate says of one input.

    Attributes:
        keep: whether a model should look at it.
        score: how needed it is.
        threshold: it is kept if its score is above.
    """

    keep: bool
    score: float
    threshold: float


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


class FreeGate:
    """What gates have in common of which nothing was learnt: nobody knows what they lose."""

    accuracy: float | None = None

    def unsent(self, model: str, output: OutputSpec) -> Unsent:
        """The answer for the last kept input, on trust."""
        return Unsent()


class EveryGate(FreeGate):
    """Keeps every `step`-th input; with 1, all; 2.5 keeps two of five."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.name = "all" if step == 1 else f"every:{step:g}"
        self.reset()

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Keeps it if `step` inputs have passed since the last kept one, on average."""
        self._since += 1.0
        keep = self._since >= self.step
        decision = Decision(keep, self._since, self.step)
        self._since -= self.step if keep else 0.0
        return decision

    def reset(self) -> None:
        """Starts a new stream."""
        self._since = self.step - 1.0


class FirstGate(FreeGate):
    """Keeps a stream's first input alone: what a constant answer is worth."""

    name = "first"

    def __init__(self) -> None:
        self._first = True

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Keeps the first."""
        first, self._first = self._first, False
        return Decision(first, float(first), 0.5)

    def reset(self) -> None:
        """Starts a new stream."""
        self._first = True


class RandomGate(FreeGate):
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
        return Decision(keep, 1.0 - score, 1.0 - self.share)

    def reset(self) -> None:
        """Starts a new stream, with the same lots."""
        self._random = random.Random(self.seed)
        self._first = True


class DifferenceGate(FreeGate):
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
        return Decision(keep, score, self.threshold)

    def reset(self) -> None:
        """Starts a new stream."""
        self._reference = None


def open_gate(text: str | Path) -> Gate:
    """The gate that `text` names.

    Raises:
        InvalidInput: no such gate, or a file that is no filter; the message lists the forms.
    """
    from .runtime import FilterRuntime
    from .tasks import TasksRuntime, decides_for_several

    name, _, rest = str(text).partition(":")
    if str(text) == "all":
        return EveryGate(1)
    if str(text) == "first":
        return FirstGate()
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
    path, _, wanted = str(text).rpartition("@")
    if not path or Path(text).is_file():
        path, wanted = str(text), ""
    file, _, task = path.rpartition("#")
    if file and not Path(path).is_file():
        path = file
    else:
        task = ""
    if not Path(path).is_file():
        raise InvalidInput(f"gate {str(text)!r}: there is no such gate or file; the forms are: {FORMS}")
    try:
        if not task and decides_for_several(Path(path)):
            return TasksRuntime(Path(path))
        return FilterRuntime(Path(path), accuracy=_accuracy(wanted) if wanted else None, task=task)
    except ValueError as error:
        raise InvalidInput(f"gate {str(text)!r}: {error}; the forms are: {FORMS}") from error


def _at_least(least: float, value: float) -> float:
    if not value >= least:
        raise ValueError(f"{value:g} must be at least {least:g}")
    return value


def _accuracy(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise ValueError(f"an accuracy must be above 0 and below 1, not {value:g}")
    return value


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} must be from 0 to 1")
    return value
