"""Filters that are rolled out, and which one is wanted on which stream: in the ledger's database, where it lasts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from ...errors import Overloaded
from ..ledger.database import Database, told

MOST_WISHES = 20_000
"""Streams on which a filter is wanted."""
MOST_FILES = 500
_UNUSED_US = 3_600_000_000
"""A file that nobody wants any more is kept so long: who has just put it is about to say where it is wanted."""

# Not one of the ledger's own: those of before have none.
_METADATA = MetaData()
_WISHES = Table(
    "fleet_filters",
    _METADATA,
    Column("stream", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("before", Text, nullable=False),
    Column("earlier", Text, nullable=False),
    Column("replaced", Text, nullable=False),
    Column("figures", Text, nullable=False),
)
_FILES = Table(
    "fleet_filter_files",
    _METADATA,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("put_us", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class FilterFile:
    """A filter's file.

    Attributes:
        digest: its SHA-256, in hexadecimal.
        name: what people call it.
        size_bytes: how large it is.
        put_us: when it was put here, Unix time.
    """

    digest: str
    name: str
    size_bytes: int
    put_us: int = 0


@dataclass(frozen=True)
class Wish:
    """What is wanted on a stream.

    Attributes:
        stream: DEVICE, or DEVICE/STREAM.
        number: names it; a later one of the stream has a larger number.
        digest: of the filter; empty: what the device's own settings name.
        by: who said so.
        since_us: when, Unix time.
        before: what decided until then, likewise.
        earlier: what decided before that.
        replaced: what decided until then, as the device called it: the digest of its file, or its name.
        figures: how that did, as JSON (`figures_of`).
    """

    stream: str
    number: int
    digest: str
    by: str
    since_us: int
    before: str = ""
    earlier: str = ""
    replaced: str = ""
    figures: str = "{}"


class FilterStore:
    """All of it; wishes and the files' names in memory, too.

    Args:
        database: the ledger's; whoever gave it closes it.
        clock_ns: Unix time.

    Raises:
        InvalidInput: the database can't be read.
    """

    def __init__(self, database: Database, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.database = database
        self.clock_ns = clock_ns
        self._wishes: dict[str, Wish] = {}
        self._files: dict[str, FilterFile] = {}
        with database.failures_named(), database.read() as connection:
            # Made with the first of them: a coordinator starts on a full disk, too.
            if inspect(connection).has_table(_WISHES.name):
                for row in connection.execute(select(*(_WISHES.c[each.name] for each in fields(Wish)))):
                    self._wishes[row.stream] = Wish(*row)
                for row in connection.execute(select(*(_FILES.c[each.name] for each in fields(FilterFile)))):
                    self._files[row.digest] = FilterFile(*row)

    @property
    def wishes(self) -> Mapping[str, Wish]:
        """What is wanted, by stream."""
        return self._wishes

    @property
    def files(self) -> Mapping[str, FilterFile]:
        """The files that are here, by digest."""
        return self._files

    def put(self, file: FilterFile, content: bytes) -> None:
        """Keeps a file; those that nobody has wanted for long go.

        Raises:
            Overloaded: it can't be written now, or there are too many.
        """
        now_us = self.clock_ns() // 1000
        needed = {digest for each in self._wishes.values() for digest in (each.digest, each.before, each.earlier)} | {
            file.digest
        }
        old = [
            each.digest
            for each in self._files.values()
            if each.digest not in needed and each.put_us < now_us - _UNUSED_US
        ]
        if len(self._files) - len(old) >= MOST_FILES and file.digest not in self._files:
            raise Overloaded(f"{MOST_FILES} filters are kept already: try again in an hour")
        values = {**asdict(file), "put_us": now_us, "content": content}
        with self.database.change() as connection:
            _METADATA.create_all(connection)
            connection.execute(delete(_FILES).where(_FILES.c.digest.in_([*old, file.digest])))
            connection.execute(insert(_FILES), values)
        kept = {digest: each for digest, each in self._files.items() if digest not in old}
        self._files = {**kept, file.digest: FilterFile(file.digest, file.name, file.size_bytes, now_us)}

    def content(self, digest: str, start: int, size_bytes: int) -> bytes:
        """A part of a file.

        Raises:
            Overloaded: it can't be read now.
        """
        part = func.substr(_FILES.c.content, start + 1, size_bytes, type_=LargeBinary)
        try:
            with self.database.read() as connection:
                return bytes(connection.execute(select(part).where(_FILES.c.digest == digest)).scalar() or b"")
        except SQLAlchemyError as error:
            raise Overloaded(f"the ledger can't be read: {told(error)}") from error

    def want(self, wishes: Sequence[Wish]) -> None:
        """Writes what is wanted; it is on disk when this returns, and counts from then on.

        Raises:
            Overloaded: it can't be written now, or there are too many; all stays as it was.
        """
        after = {**self._wishes, **{each.stream: each for each in wishes}}
        if len(after) > MOST_WISHES:
            raise Overloaded(f"on {MOST_WISHES} streams a filter is wanted already")
        with self.database.change() as connection:
            _METADATA.create_all(connection)
            for each in wishes:
                connection.execute(delete(_WISHES).where(_WISHES.c.stream == each.stream))
                connection.execute(insert(_WISHES), asdict(each))
        self._wishes = after
