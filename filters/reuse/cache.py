"""The result cache: results that were computed, found again by the embedding of their input."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from .index import L1Index
from .result_key import ResultKeys
from .store import CacheSettings, Entry, ResultStore

Reason = Literal["empty", "too far", "not homogeneous", "expired"]
REASONS: tuple[Reason, ...] = ("empty", "too far", "not homogeneous", "expired")
# The mean of equal distances may be a rounding below each of them.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Miss:
    """Why the cache gives no answer.

    Attributes:
        reason: one of `REASONS`.
        distance: to the nearest neighbour (L1); infinite if there is none.
    """

    reason: Reason
    distance: float = math.inf


@dataclass(frozen=True)
class Hit:
    """An answer from the cache.

    Attributes:
        output: the model's, for a near input; not to be written to.
        theta: how homogeneous the neighbours are, from 0 to 1.
        distance: to the nearest neighbour (L1).
        agreement: the share of the neighbours with this result, from 0 to 1.
        age_s: how long ago the model returned it.
    """

    output: Array
    theta: float
    distance: float
    agreement: float
    age_s: float


@dataclass(frozen=True)
class CacheStats:
    """What a cache holds and did: entries, hits, misses by reason, entries removed to make room."""

    entries: int
    hits: int
    misses: dict[Reason, int]
    evicted: int


class ResultCache:
    """A bounded cache of one model's results, safe to use from many threads.

    A result is given only if the nearest neighbour is within `gate` and the neighbours are homogeneous by `theta`.

    Args:
        output: what the model returns.
        dims: an embedding's length.
        version: the model's digest; results of another version are not taken.
        gate: the greatest L1 distance to the nearest neighbour; farther neighbours have no vote either.
        theta: the least homogeneity, from 0 to 1.
        settings: how it is run.

    Raises:
        InvalidInput: one of these is out of its range.
    """

    def __init__(
        self,
        output: OutputSpec,
        *,
        dims: int,
        version: str,
        gate: float,
        theta: float = 0.5,
        settings: CacheSettings | None = None,
    ) -> None:
        if not 0.0 <= gate < float("inf"):
            raise InvalidInput(f"gate must be a distance of at least 0, not {gate:g}")
        if not 0.0 <= theta <= 1.0:
            raise InvalidInput(f"theta must be from 0 to 1, not {theta:g}")
        self.output, self.dims, self.gate, self.theta = output, dims, gate, theta
        self.settings = settings = settings or CacheSettings()
        self._version = version
        index = L1Index(dims, settings.capacity, approximate_above=settings.approximate_above)
        same = ResultKeys(output, step=settings.step, at_least=settings.at_least)
        self._store = ResultStore(index, same, settings.eviction)
        self._hits = 0
        self._misses: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many results it holds."""
        return len(self._store)

    @property
    def version(self) -> str:
        """The version of the model whose results it holds."""
        return self._version

    def use_version(self, version: str) -> None:
        """Sets the model's version from now on; results of another one are dropped."""
        with self._lock:
            if version != self._version:
                self._version = version
                self._store.drop(np.flatnonzero(self._store.index.used))

    def clear(self) -> None:
        """Drops all results."""
        with self._lock:
            self._store.drop(np.flatnonzero(self._store.index.used))

    def lookup(self, embedding: Array, now_s: float) -> Hit | Miss:
        """The result for an input, or why none may be given.

        Args:
            embedding: float32 (dims,).
            now_s: on the clock that was given with the results.

        Raises:
            InvalidInput: it is no finite vector of `dims` numbers.
        """
        with self._lock:
            found = self._look(embedding, now_s)
            if isinstance(found, Hit):
                self._hits += 1
            else:
                self._misses[found.reason] += 1
            return found

    def insert(self, embedding: Array, output: Array, version: str, now_s: float) -> bool:
        """Adds a result that was computed; returns False if it is of another version of the model.

        A repeat of an entry, by embedding and result, renews it.

        Raises:
            InvalidInput: the embedding or the output has another form.
        """
        entry = Entry(embedding, self._checked(output), now_s)
        with self._lock:
            if version != self._version:
                return False
            if self._store.full:
                self._store.drop(self._expired(np.flatnonzero(self._store.index.used), now_s))
            self._store.put(entry, self.settings.neighbours)
            return True

    def stats(self) -> CacheStats:
        """What it holds now, and what it did since it was made."""
        with self._lock:
            return CacheStats(len(self._store), self._hits, dict(self._misses), self._store.evicted)

    def entries(self) -> list[Entry]:
        """What it holds, the least recently used first."""
        return self.snapshot()[1]

    def snapshot(self) -> tuple[str, list[Entry]]:
        """The version of the model and what it holds, at one moment."""
        with self._lock:
            return self._version, list(self._store.entries())

    def restore(self, entries: Sequence[Entry]) -> None:
        """Adds what `entries` of a cache returned, with how often each was used.

        Raises:
            InvalidInput: an entry does not fit this cache.
        """
        with self._lock:
            for entry in entries:
                checked = Entry(entry.embedding, self._checked(entry.output), entry.inserted_s, entry.uses)
                self._store.put(checked, neighbours=0)

    def _look(self, embedding: Array, now_s: float) -> Hit | Miss:
        distances, rows = self._store.index.nearest(embedding, self.settings.neighbours)
        if len(rows) == 0:
            return Miss("empty")
        reached = distances[0] <= self.gate
        expired = self._expired(rows, now_s)
        if len(expired):
            self._store.drop(self._expired(np.flatnonzero(self._store.index.used), now_s))
            found = self._look(embedding, now_s)
            was_in_reach = reached and expired[0] == rows[0]
            return found if isinstance(found, Hit) or not was_in_reach else replace(found, reason="expired")
        if not reached:
            return Miss("too far", float(distances[0]))
        near = distances <= self.gate
        distances, rows = distances[near], rows[near]
        known = len(self.output.classes) if self.output.kind == "label" else self._store.results
        said = vote(distances, self._store.keys[rows], known)
        if said.theta < self.theta:
            return Miss("not homogeneous", float(distances[0]))
        row = int(rows[said.place])
        self._store.use(row)
        age_s = now_s - float(self._store.inserted_s[row])
        return Hit(self._store.output(row), said.theta, float(distances[0]), said.share, age_s)

    def _expired(self, rows: Array, now_s: float) -> Array:
        """Those of the rows that are too old."""
        if self.settings.ttl_s is None:
            return rows[:0]
        # A result from the far future is of another clock, so its age is unknown.
        return np.asarray(rows[np.abs(now_s - self._store.inserted_s[rows]) >= self.settings.ttl_s])

    def _checked(self, output: Array) -> Array:
        value = self.output.check(output).copy()
        value.flags.writeable = False
        return value


@dataclass(frozen=True)
class Vote:
    """The vote of near neighbours.

    Attributes:
        place: of the nearest neighbour with the commonest result, among those that were given.
        theta: homogeneity, from 0 (as mixed as can be) to 1 (all have the same result).
        share: of the counted neighbours, those with that result, from 0 to 1.
    """

    place: int
    theta: float
    share: float


def vote(distances: Array, keys: Array, classes: int) -> Vote:
    """The vote of the nearest, without those that are farther away than their mean.

    Where some are at distance 0, they alone vote: an exact repeat is answered by what it repeats. Between equally
    common results, the one with the nearest neighbour wins.

    Args:
        distances: of the K nearest, float (n,), rising, at least one.
        keys: the results' numbers, int (n,).
        classes: how many results the model or the cache knows.
    """
    exact = distances[0] <= 0.0
    reach = 0.0 if exact else float(np.mean(distances, dtype=np.float64)) * (1.0 + _ROUNDING)
    near = keys[distances <= reach]
    results, first, counts = np.unique(near, return_index=True, return_counts=True)
    best = min(range(len(results)), key=lambda i: (-counts[i], first[i]))
    return Vote(int(first[best]), homogeneity(counts, classes), float(counts[best] / len(near)))


def homogeneity(counts: Array, classes: int) -> float:
    """How much results agree, from 0 to 1, whatever the number of classes.

    The paper's max(N) / ||N||2 is at least 1 / sqrt(C), so with few classes every vote would pass a fixed threshold.
    Here it is scaled to begin at 0, with C the number of different results that there could be among these neighbours:
    as many as are known, but no more than neighbours and, as a result can always be new, no less than 2. So an even
    vote among all that could differ is 0, also between two classes, and a unanimous one is 1, also if one class is
    known.

    Args:
        counts: how many neighbours have each result: int (results,), at least one above 0.
        classes: how many results the model or the cache knows.
    """
    most = float(np.max(counts))
    theta = most / float(np.sqrt(np.square(counts, dtype=np.float64).sum()))
    least = 1.0 / np.sqrt(max(2, min(classes, int(np.sum(counts)))))
    return float(np.clip((theta - least) / (1.0 - least), 0.0, 1.0))
