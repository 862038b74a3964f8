"""Gates of which nothing was learnt: what costs nothing, and what every filter is compared with."""

import random

import cv2
import numpy as np

from ...outputs import Array, OutputSpec
from ..modalities.stream import Shrinker
from .base import Decision, Unsent


class FreeGate:
    """What gates have in common of which nothing was learnt: nobody knows what they lose."""

    accuracy: float | None = None

    def unsent(self, model: str, output: OutputSpec) -> Unsent:
        """The answer for the last kept input, on trust."""
        return Unsent()

    def close(self) -> None:
        """Nothing outlives it."""


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
