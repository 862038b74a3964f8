"""Gates that are not learned: they cost nothing, and every filter is compared with them."""

import random
from collections.abc import Mapping

import cv2
import numpy as np

from ...outputs import Array, OutputSpec
from ..modalities.stream import Shrinker
from .base import Decision, Substitute


class FreeGate:
    """What these gates have in common: nobody has measured what they lose."""

    accuracy: float | None = None

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """The answer for the last kept input, on trust."""
        return Substitute()

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """It promises nothing."""
        return None

    def reset(self) -> None:
        """Starts a new stream."""

    def rebase(self) -> None:
        """As a new stream does."""
        self.reset()

    def close(self) -> None:
        """Nothing outlives it."""


class EveryGate(FreeGate):
    """Keeps every `step`-th input; with 1, all; 2.5 keeps two of five."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.name = "all" if step == 1 else f"every:{step:g}"
        self.reset()

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Keeps it if `step` inputs have passed since the last kept one, on average."""
        self._since += 1.0
        keep = self._since >= self.step
        self._since -= self.step if keep else 0.0
        return Decision(keep)

    def reset(self) -> None:
        """Starts a new stream."""
        self._since = self.step - 1.0


class FirstGate(FreeGate):
    """Keeps only the first input of a stream: what a constant answer is worth."""

    name = "first"

    def __init__(self) -> None:
        self._first = True

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Keeps the first."""
        first, self._first = self._first, False
        return Decision(first)

    def reset(self) -> None:
        """Starts a new stream."""
        self._first = True


class RandomGate(FreeGate):
    """Keeps a random share of the inputs."""

    def __init__(self, share: float, *, seed: int = 0) -> None:
        self.share = share
        self.seed = seed
        self.name = f"random:{share:g}"
        self._random = random.Random(seed)
        self._first = True

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Keeps it by a random draw."""
        keep = self._random.random() < self.share or self._first
        self._first = False
        return Decision(keep)

    def reset(self) -> None:
        """Starts a new stream, with the same random draws."""
        self._random = random.Random(self.seed)
        self._first = True


class DifferenceGate(FreeGate):
    """Keeps a frame whose grey picture differs from the last kept one's by more than `threshold`, on average."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.name = f"difference:{threshold:g}"
        self._shrinker = Shrinker()
        self._reference: Array | None = None

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Compares it with the last kept frame: from 0 (the same) to 1."""
        picture = self._shrinker.shrink(value)
        score = 1.0
        if self._reference is not None:
            score = cv2.norm(picture, self._reference, cv2.NORM_L1) / (255.0 * picture.size)
        keep = self._reference is None or score > self.threshold
        if keep:
            self._reference = np.array(picture)
        return Decision(keep, score, self.threshold)

    def reset(self) -> None:
        """Starts a new stream."""
        self._reference = None
