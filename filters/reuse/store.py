"""What a result cache stores: its settings, and rows of embeddings, outputs, times and uses, with eviction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .index import APPROXIMATE_ABOVE, L1Index
from .result_key import AT_LEAST, ResultKeys

Eviction = Literal["lru", "lfu"]
EVICTIONS: tuple[Eviction, ...] = ("lru", "lfu")


@dataclass(frozen=True)
class CacheSettings:
    """How a result cache is run.

    Attributes:
        capacity: how many results it holds at most.
        neighbours: K, how many of the nearest are asked.
        ttl_s: after so many seconds on the caller's clock a result expires; None: never.
        eviction: which result makes room: "lru", the least recently used one; "lfu", the least frequently used one.
        step: for scalars: results in the same step count as the same, in the scalar's unit; None: half its tolerance.
        at_least: the agreement from which vectors, masks and boxes by place count as the same, from 0 to 1.
        approximate_above: how many results are searched exactly.

    Raises:
        InvalidInput: one of these is out of its range.
    """

    capacity: int = 1000
    neighbours: int = 10
    ttl_s: float | None = None
    eviction: Eviction = "lru"
    step: float | None = None
    at_least: float = AT_LEAST
    approximate_above: int = APPROXIMATE_ABOVE

    def __post_init__(self) -> None:
        for name in ("capacity", "neighbours", "approximate_above"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.ttl_s is not None and not 0.0 < self.ttl_s < float("inf"):
            raise InvalidInput(f"ttl_s must be a number of seconds above 0, or None for never, not {self.ttl_s:g}")
        if self.eviction not in EVICTIONS:
            raise InvalidInput(f"eviction must be {' or '.join(EVICTIONS)}, not {self.eviction!r}")
        if self.step is not None and not 0.0 < self.step < float("inf"):
            raise InvalidInput(f"step must be a number above 0, or None for half of the tolerance, not {self.step:g}")
        if not 0.0 < self.at_least <= 1.0:
            raise InvalidInput(f"at_least must be above 0 and at most 1, not {self.at_least:g}")


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        embedding: of its input, float32 (dims,).
        output: the model's.
        inserted_s: when it was computed, on the caller's clock.
        uses: how often it has been given since.
    """

    embedding: Array
    output: Array
    inserted_s: float
    uses: int = 0


class ResultStore:
    """A fixed number of rows, each an entry or empty. Not thread-safe.

    Args:
        index: the embeddings; the store alone writes to it.
        same: when two results count as the same.
        eviction: which entry makes room: "lru", the least recently used one; "lfu", the least frequently used one.
    """

    def __init__(self, index: L1Index, same: ResultKeys, eviction: Eviction) -> None:
        self.index = index
        self.evicted = 0
        self.keys = np.zeros(index.capacity, np.int64)
        self.inserted_s = np.zeros(index.capacity)
        self._same, self._eviction = same, eviction
        self._outputs: list[Array | None] = [None] * index.capacity
        self._uses = np.zeros(index.capacity, np.int64)
        self._used_at = np.zeros(index.capacity, np.int64)
        self._free = list(range(index.capacity - 1, -1, -1))
        self._holders: dict[int, int] = {}
        self._clock = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self.index)

    @property
    def full(self) -> bool:
        """Whether the next entry needs another's row."""
        return not self._free

    @property
    def results(self) -> int:
        """How many different results there are."""
        return len(self._holders)

    def output(self, row: int) -> Array:
        """The output in a row that holds an entry."""
        value = self._outputs[row]
        assert value is not None, "the row holds an entry"
        return value

    def put(self, entry: Entry, neighbours: int) -> None:
        """Adds an entry. A repeat of one, by embedding and result, renews that one; a full store makes room.

        Args:
            entry: the entry.
            neighbours: among how many of the nearest a repeat is looked for; 0: it is known to be no repeat.

        Raises:
            InvalidInput: the embedding is no finite vector of the right length.
        """
        key = self._same.number(entry.output)
        row = self._repeated(entry.embedding, key, neighbours) if neighbours else None
        if row is None:
            if self.full:
                self._evict()
            row = self._free[-1]
            self.index.put(row, entry.embedding)
            self._free.pop()
            self._holders[key] = self._holders.get(key, 0) + 1
            self._uses[row] = entry.uses
        self._outputs[row], self.keys[row], self.inserted_s[row] = entry.output, key, entry.inserted_s
        self._touch(row)

    def use(self, row: int) -> None:
        """Counts that a row's result was given."""
        self._uses[row] += 1
        self._touch(row)

    def drop(self, rows: Array) -> None:
        """Empties rows that hold an entry."""
        for row in rows.tolist():
            self.index.remove(row)
            self._outputs[row] = None
            self._free.append(row)
            key = int(self.keys[row])
            self._holders[key] -= 1
            if self._holders[key] == 0:
                del self._holders[key]

    def entries(self) -> Iterator[Entry]:
        """Every entry, the least recently used first."""
        for row in np.argsort(self._used_at, kind="stable").tolist():
            value = self._outputs[row]
            if value is not None:
                yield Entry(self.index.vector(row), value, float(self.inserted_s[row]), int(self._uses[row]))

    def _repeated(self, embedding: Array, key: int, neighbours: int) -> int | None:
        """The row that holds the same result for the same embedding."""
        distances, rows = self.index.nearest(embedding, neighbours)
        same = rows[(distances <= 0.0) & (self.keys[rows] == key)]
        return int(same[0]) if len(same) else None

    def _touch(self, row: int) -> None:
        self._clock += 1
        self._used_at[row] = self._clock

    def _evict(self) -> None:
        by_use = self._eviction == "lfu"
        row = np.lexsort((self._used_at, self._uses))[0] if by_use else np.argmin(self._used_at)
        self.drop(np.asarray([row]))
        self.evicted += 1
