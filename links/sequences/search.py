"""Reads a sequence out of a decoder, token by token: greedy with a width of 1, else the best of so many at a time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np

from ...models.encoding.tokens import NOTHING
from ...outputs import Array

WIDTH = 3


@dataclass(frozen=True)
class Decoding:
    """How a sequence is read, and what its confidence is.

    Attributes:
        start: the id that stands before the first token.
        longest: how many tokens it has at most.
        width: how many beginnings are followed at a time; 1: greedy.
        slope: of the log-odds of the mean token probability, to those of agreement (Platt).
        shift: added to them.
    """

    start: int
    longest: int
    width: int = WIDTH
    slope: float = 1.0
    shift: float = 0.0

    def confidence(self, probability: Array) -> Array:
        """The probabilities of agreement (n,) that go with mean token probabilities (n,)."""
        inside = np.clip(np.asarray(probability, np.float64), 1e-4, 1.0 - 1e-4)
        logit = np.log(inside / (1.0 - inside))
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * logit + self.shift))), np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `as_dict` wrote."""
        return cls(**data)


class Stepper(Protocol):
    """One step of a decoder."""

    def __call__(self, fixed: Mapping[str, Array], state: Array, tokens: Array, position: int) -> tuple[Array, Array]:
        """The logits of the next token (n, ids) and the next state (n, size).

        Args:
            fixed: what the encoder made, each (n, ...).
            state: (n, size).
            tokens: the ids before: int64 (n,).
            position: how many tokens stand before.
        """
        ...


def search(step: Stepper, fixed: Mapping[str, Array], state: Array, decoding: Decoding) -> tuple[Array, Array]:
    """The most probable sequences that are found, by the mean log-probability of their tokens, the end included.

    Args:
        step: the decoder.
        fixed: what the encoder made, each (n, ...).
        state: the first state (n, size).
        decoding: from where, how far, and how many at a time.

    Returns:
        Rows of ids, filled up with `NOTHING`: int64 (n, longest); and the mean probabilities of the tokens (n,).
    """
    count, width = len(state), decoding.width
    rows = np.arange(count)[:, None] * width
    fixed = {name: np.repeat(value, width, axis=0) for name, value in fixed.items()}
    state = np.repeat(state, width, axis=0)
    ids = np.zeros((count * width, decoding.longest + 1), np.int64)
    tokens = np.full(count * width, decoding.start, np.int64)
    # All begin the same: but for the first they would be the same sequence several times.
    total = np.where(np.arange(count * width) % width == 0, 0.0, -np.inf)
    probability, steps = np.zeros(count * width), np.zeros(count * width)
    open_ = np.ones(count * width, bool)
    for position in range(decoding.longest + 1):
        logits, state = step(fixed, state, tokens, position)
        logs = _log_softmax(logits)
        if position == decoding.longest:
            logs = np.where(np.arange(logs.shape[1]) == NOTHING, logs, -np.inf)
        # What has ended goes on with nothing, for nothing.
        ended = np.where(np.arange(logs.shape[1]) == NOTHING, 0.0, -np.inf)
        sums = total[:, None] + np.where(open_[:, None], logs, ended)
        best = _best(sums.reshape(count, -1), width)
        origin, tokens = (rows + best // logs.shape[1]).ravel(), (best % logs.shape[1]).ravel()
        total = sums[origin, tokens]
        gained = np.where(open_[origin], np.exp(logs[origin, tokens]), 0.0)
        probability, steps = probability[origin] + gained, steps[origin] + open_[origin]
        ids, state = ids[origin], state[origin]
        ids[:, position] = tokens
        open_ = open_[origin] & (tokens != NOTHING)
        if not open_[np.isfinite(total)].any():
            break
    score = np.where(np.isfinite(total), total / np.maximum(steps, 1.0), -np.inf).reshape(count, width)
    winner = rows[:, 0] + score.argmax(axis=1)
    return ids[winner, : decoding.longest], probability[winner] / np.maximum(steps[winner], 1.0)


def _best(scores: Array, width: int) -> Array:
    """Where the highest scores of each row are (n, width), the highest first; of equals the first."""
    # As often the maximum as is wanted: with thousands of ids a fraction of the time that sorting takes.
    left, rows = scores.copy(), np.arange(len(scores))
    best = np.empty((len(scores), width), np.int64)
    for column in range(width):
        best[:, column] = left.argmax(axis=1)
        left[rows, best[:, column]] = -np.inf
    return best


def _log_softmax(logits: Array) -> Array:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
