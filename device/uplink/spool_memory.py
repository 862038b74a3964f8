"""What is not on disk yet: inputs, in their order, single values, and what is to be told once they are."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Container, Iterator, Mapping

from .spool_rows import Head, Key, SpoolRow
from .spool_settings import Order

Told = Callable[[], None]


class SpoolMemory:
    """Not safe for several threads: whoever uses it has a lock.

    Attributes:
        size_bytes: what the inputs take.
        chain: the chain that more inputs may refer to; None: none.
        closed: chains that no more will refer to, and that this was not written of yet.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self.chain: Key | None = None
        self.closed: list[Key] = []
        self._known: dict[str, bytes] = {}
        self._new: dict[str, bytes] = {}
        self._rows: OrderedDict[Key, SpoolRow] = OrderedDict()
        self._untold: OrderedDict[Key, Told] = OrderedDict()

    def __len__(self) -> int:
        """How many inputs there are."""
        return len(self._rows)

    def __iter__(self) -> Iterator[SpoolRow]:
        """Each of them, the oldest first."""
        return iter(self._rows.values())

    @property
    def untold(self) -> int:
        """How many inputs, also such that are not to be sent, wait to be told of."""
        return len(self._untold)

    @property
    def values(self) -> dict[str, bytes]:
        """The single values that are to be written."""
        return dict(self._new)

    def value(self, name: str) -> bytes:
        """A single value, on disk or not; empty: there is none."""
        return self._new.get(name) or self._known.get(name, b"")

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a single value, which is to be written if it is new."""
        if self.value(name) != value:
            self._new[name] = value

    def written(self, values: Mapping[str, bytes]) -> None:
        """Takes note that these single values are on disk."""
        self._known.update(values)
        self._new = {name: value for name, value in self._new.items() if values.get(name) != value}

    def add(self, row: SpoolRow) -> None:
        """Adds an input."""
        self._rows[row.head.key] = row
        self.size_bytes += row.head.size_bytes
        chain = row.head.chain_key
        if chain is not None and chain != self.chain:
            if self.chain is not None:
                self.closed.append(self.chain)
            self.chain = chain

    def tell(self, key: Key, told: Told) -> None:
        """Has something called once an input is taken."""
        self._untold[key] = told

    def get(self, key: Key) -> SpoolRow | None:
        """An input; None: it is not here."""
        return self._rows.get(key)

    def pick(self, may_go: Callable[[Key], bool], order: Order = "oldest") -> SpoolRow | None:
        """The input that may go and is the oldest, the newest ("live"), or worth most ("value")."""
        rows = (self._rows[key] for key in (reversed(self._rows) if order == "live" else self._rows) if may_go(key))
        return max(rows, key=lambda row: row.head.value, default=None) if order == "value" else next(rows, None)

    def remove(self, key: Key) -> SpoolRow | None:
        """Takes an input out."""
        row = self._rows.pop(key, None)
        if row is not None:
            self.size_bytes -= row.head.size_bytes
        return row

    def drop(self, *, by_value: bool) -> list[Head]:
        """Takes out what is given up first, with all that may refer to it: the oldest, or what is worth least."""
        heads = [row.head for row in self._rows.values()]
        first = min(heads, key=lambda head: head.value) if by_value else heads[0]
        gone = [first] if first.chain is None else [head for head in heads if head.chain_key == first.chain_key]
        for head in gone:
            self.remove(head.key)
        return gone

    def to_write(self, answered: Container[Key]) -> list[SpoolRow]:
        """The inputs without an answer, and those of their chains: without these nobody could decode them."""
        waits = {row.head.chain_key for row in self if row.head.key not in answered}
        return [row for row in self if row.head.key not in answered or row.head.chain_key in waits - {None}]

    def take_closed(self, rows: Collection[SpoolRow], unsettled: Container[Key]) -> tuple[list[Key], set[Key]]:
        """The closed chains that are done with once these rows are written, and their inputs, which are forgotten.

        Args:
            rows: what is to be written.
            unsettled: inputs whose answers are not kept anywhere yet: these may still have to be written.
        """
        written = {row.head.key for row in rows}
        kept = {row.head.chain_key for row in self if row.head.key in unsettled and row.head.key not in written}
        closed = [chain for chain in self.closed if chain not in kept]
        gone = {row.head.key for row in self if row.head.chain_key in closed} - written
        for key in gone:
            self.remove(key)
        return closed, gone

    def take_told(self, keys: Container[Key] | None = None) -> list[Told]:
        """What is to be called for these inputs, or for all, in their order; once."""
        taken = [key for key in self._untold if keys is None or key in keys]
        return [self._untold.pop(key) for key in taken]

    def take_one_told(self, key: Key) -> Told | None:
        """What is to be called for one input; once."""
        return self._untold.pop(key, None)

    def waiting_to_be_told(self) -> set[Key]:
        """The inputs that something is to be called for."""
        return {*self._untold}
