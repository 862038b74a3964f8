"""A stretch of a stream's time, and what was sent and said in it, to be handed on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ...errors import InvalidInput
from ...units import format_bytes
from ..ledger.database import Database
from ..ledger.query import Found, Wanted, count_results, find_results
from .decoding import Picture, SentPictures

LONGEST_US = 7 * 86_400 * 10**6
"""The longest stretch that is told of at once."""
MOST_BYTES = 256 * 2**20
"""What the pictures of one export may take."""
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Stretch:
    """A stretch of a stream's time.

    Attributes:
        stream: its name.
        since_us: Unix time.
        until_us: the same; not included.

    Raises:
        InvalidInput: it is none, or too long.
    """

    stream: str
    since_us: int
    until_us: int

    def __post_init__(self) -> None:
        if not 0 < self.until_us - self.since_us <= LONGEST_US:
            raise InvalidInput(
                f"`since_us`, `until_us`: microseconds since 1970, the first before the second, at most "
                f"{LONGEST_US // _DAY_US} days apart, not {self.since_us} and {self.until_us}"
            )


@dataclass(frozen=True)
class Material:
    """What there is of a stretch.

    Attributes:
        stretch: which.
        model: the model whose results are wanted; empty: all.
        database: the ledger's.
        sent: the pictures.
    """

    stretch: Stretch
    model: str
    database: Database
    sent: SentPictures

    def check_results(self, most: int) -> None:
        """Makes sure that there are not too many results. Raises InvalidInput."""
        with self.database.read() as connection:
            count = count_results(connection, self._wanted)
        if count > most:
            raise InvalidInput(f"{count:,} results are too many: at most {most:,}; choose a shorter time or a model")

    def check_pictures(self, most: int) -> None:
        """Makes sure that there are pictures, and not too many.

        Raises:
            InvalidInput: saying what to do.
        """
        wanted = (
            "SELECT count(*), coalesce(sum(size_bytes), 0) FROM sent "
            "WHERE stream = ? AND at_us >= ? AND at_us < ? AND payload IS NOT NULL"
        )
        stretch = self.stretch
        with self.sent.sent.read() as database:
            given = (stretch.stream, stretch.since_us, stretch.until_us)
            count, size_bytes = database.execute(wanted, given).fetchone()
        if not count:
            raise InvalidInput(
                f"no pictures of {stretch.stream} are kept of this time; its results alone: `infilink results export`"
            )
        if count > most or size_bytes > MOST_BYTES:
            raise InvalidInput(
                f"{count:,} pictures of {format_bytes(size_bytes)} are too many: at most {most:,}, of "
                f"{format_bytes(MOST_BYTES)}; choose a shorter time"
            )

    @contextmanager
    def pictures(self) -> Iterator[Iterator[Picture]]:
        """The pictures in their order, read one at a time."""
        stretch = self.stretch
        with self.sent.between(stretch.stream, stretch.since_us, stretch.until_us) as found:
            yield found

    def results(self) -> Iterator[Found]:
        """What was said, in the order in which it was answered, read some at a time."""
        with self.database.read() as connection:
            for found in find_results(connection, self._wanted):
                # The name of a device alone means all its streams.
                if found.device == self.stretch.stream:
                    yield found

    @property
    def _wanted(self) -> Wanted:
        stretch = self.stretch
        return Wanted(
            devices=(stretch.stream,),
            models=(self.model,) if self.model else (),
            since_us=stretch.since_us,
            until_us=stretch.until_us,
        )
