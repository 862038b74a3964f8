"""Token sequences as numbers, for links: a fixed description of what a sequence holds, and its ids in a bounded row.

The description is what a target that is a vector is predicted from: how long the sequence is, how often each token and
each pair of neighbours occurs in it. The start and the end count as neighbours, so it also tells what comes first and
last. It does not tell the order of tokens that are further apart. The row of ids keeps the order, for networks that
read token by token. A GRU trained beside the description was tried: where the order of distant tokens counts (task
"far" of `tests/bench/links/bench_sequences.py`, 500 and 1500 inputs) it brought 0.92 and 0.87 instead of 0.87 and
0.85, elsewhere nothing, for about three times the training. The paper's LSTM reaches 0.94 and 0.99 there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...outputs import Array

NOTHING = 0
"""The id behind a sequence's end, and so also the end itself."""
OTHER = 1
"""The id of every token that the recording did not have."""
FIRST = 2
"""The id of the first token that the recording had."""
LONGEST = 64
_MOST_TOKENS = 4000
_COUNTED = 64
_BUCKETS = 32
# More of them describe what was seen once or twice: with 96, a count that is just the length agreed in 56 % of the
# outputs; with 32 in 94 % (300 inputs learnt from, task "words" of `tests/bench/links/bench_sequences.py`).
_PAIRS = 32
_HASH = 2654435761


@dataclass(frozen=True)
class Tokens:
    """What a recording's sequences hold.

    Attributes:
        kept: the tokens that have an id of their own, the most frequent first: int64.
        pairs: the neighbours that are counted, each as one number (`_pair_keys`), rising: int64.
        longest: how many tokens of a sequence are read or predicted.
    """

    kept: Array
    pairs: Array
    longest: int

    @classmethod
    def fit(cls, values: Sequence[Array]) -> "Tokens":
        """The tokens and pairs of these sequences that are worth describing."""
        seen = Counter(np.concatenate([np.zeros(0, np.int64), *values]).tolist())
        # Of equally frequent ones the smaller first, so that the order of the recording does not matter.
        kept = [token for token, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TOKENS]]
        pairs: Counter[int] = Counter()
        for value in values:
            pairs.update(set(_pair_keys(value).tolist()))
        best = [key for key, _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:_PAIRS]]
        longest = max([1, *(min(len(value), LONGEST) for value in values)])
        return cls(np.asarray(kept, np.int64), np.sort(np.asarray(best, np.int64)), longest)

    @property
    def size(self) -> int:
        """How many ids there are, `NOTHING` and `OTHER` included."""
        return FIRST + len(self.kept)

    def describe(self, value: Array) -> Array:
        """The raw description (float32): length, counts of the frequent tokens and of hashes of the rest, of pairs."""
        ids = self._ids(value)
        counted = min(len(self.kept), _COUNTED)
        frequent = (ids >= FIRST) & (ids < FIRST + counted)
        counts = np.bincount(ids[frequent] - FIRST, minlength=counted)
        buckets = np.zeros(0, np.int64)
        if len(self.kept) > _COUNTED:
            buckets = np.bincount(value[~frequent] * _HASH % 2**32 % _BUCKETS, minlength=_BUCKETS)
        keys = _pair_keys(value)
        at = np.searchsorted(self.pairs, keys)
        known = at < len(self.pairs)
        known[known] = self.pairs[at[known]] == keys[known]
        pairs = np.bincount(at[known], minlength=len(self.pairs))
        return np.concatenate([[len(value)], counts, buckets, pairs]).astype(np.float32)

    def row(self, value: Array) -> Array:
        """The ids of one sequence, cut at `longest` and filled up with `NOTHING`: float32 (longest,)."""
        row = np.full(self.longest, NOTHING, np.float32)
        cut = value[: self.longest]
        row[: len(cut)] = self._ids(cut)
        return row

    def value(self, row: Array) -> Array:
        """The tokens (int64) that a row of ids stands for: up to its end, without those that are not known."""
        ids = np.asarray(row).astype(np.int64)
        ends = np.flatnonzero(ids == NOTHING)
        ids = ids[: ends[0]] if len(ends) else ids
        return np.asarray(self.kept[ids[ids >= FIRST] - FIRST])

    def translation(self, other: "Tokens") -> Array:
        """For each id here the id of the same token there (int64), `OTHER` where it has none."""
        there = {token: FIRST + index for index, token in enumerate(other.kept.tolist())}
        return np.asarray([NOTHING, OTHER, *(there.get(token, OTHER) for token in self.kept.tolist())], np.int64)

    @cached_property
    def _ranked(self) -> tuple[Array, Array]:
        """The places of the kept tokens in rising order, and the tokens so ordered."""
        order = np.argsort(self.kept, kind="stable")
        return order, self.kept[order]

    def _ids(self, value: Array) -> Array:
        order, ranked = self._ranked
        if not len(ranked):
            return np.full(len(value), OTHER, np.int64)
        at = np.minimum(np.searchsorted(ranked, value), len(ranked) - 1)
        return np.where(ranked[at] == value, order[at] + FIRST, OTHER)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kept": self.kept.tolist(), "pairs": self.pairs.tolist(), "longest": self.longest}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Tokens":
        """Reads what `as_dict` wrote."""
        return cls(np.asarray(data["kept"], np.int64), np.asarray(data["pairs"], np.int64), int(data["longest"]))


def _pair_keys(value: Array) -> Array:
    """Every two neighbours as one number; 0 stands for the start and for the end. Tokens are below 2**31."""
    if not len(value):
        return np.zeros(0, np.int64)
    padded = np.concatenate([[0], value.astype(np.int64) + 1, [0]])
    return np.asarray(padded[:-1] * 2**31 + padded[1:])
