"""The ledger's database: a SQLite file, or PostgreSQL by its URL; what is committed is on disk."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from ...errors import InvalidInput, Overloaded
from ...files import check_format, is_full
from .format import FORMAT, READS
from .migrate import FIRST, migrate
from .place import POSTGRES, check_place
from .tables import ANSWERS, FORMATS, METADATA

logger = logging.getLogger(__name__)

Trouble = Literal["full", "away"]
"""Why nothing can be written for now: no room on its disk, or the database does not answer."""

_LOCKED_S = 30.0
_CONNECT_S = 10
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# SQLSTATE: no room; and what begins so: a connection lost or refused, shutting down or starting up, too many of them,
# a deadlock.
_PG_FULL, _PG_AWAY = "53100", ("08", "57", "53", "40")


class Database:
    """The ledger's tables, made if they are not there; threads may share it.

    Args:
        place: a SQLite file's path, or the URL of a PostgreSQL database.
        create: whether to make what is missing: otherwise the ledger has to be there.

    Attributes:
        name: how to speak of it; without the password.

    Raises:
        InvalidInput: it can't be opened, is no ledger, or of a newer infilink.
    """

    def __init__(self, place: Path | str, *, create: bool = True) -> None:
        self.path = place if isinstance(place, Path) else None
        url = _url(place)
        self.name = str(place) if self.path is not None else url.render_as_string(hide_password=True)
        try:
            if self.path is not None:
                if not create and not self.path.exists():
                    raise InvalidInput(f"{self.path}: there is no such ledger")
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._engine = _engine(url)
            self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")
            self._reader = self._engine
            self._inserts: dict[Table, tuple[str, Callable[[Mapping[str, Any]], Any] | None]] = {}
            if self.path is None:
                self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
            try:
                self._prepare(create=create)
            except BaseException:
                self.close()
                raise
        except (OSError, SQLAlchemyError) as error:
            raise InvalidInput(
                f"{self.name}: can't be opened as a ledger: {told(error)}; give another `ledger`"
            ) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends; nothing of it is where the block raises."""
        with self._writer.begin() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """The same for what somebody asks for and can ask for again.

        Raises:
            Overloaded: it can't be written now; all stays as it was.
        """
        try:
            with self.write() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise Overloaded(f"the ledger can't be written, so all stays as it was: {told(error)}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view of what is there now, which what is written meanwhile does not change."""
        with self._reader.connect() as connection:
            yield connection

    def insert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Puts rows into a table, all with the same columns; a table's rows always have the same.

        The statement is made once: SQLAlchemy takes longer over it each time than SQLite takes to do what it says.
        """
        known = self._inserts.get(table)
        if known is None:
            made: Any = insert(table).inline().compile(dialect=connection.dialect, column_keys=list(rows[0]))
            known = str(made), itemgetter(*made.positiontup) if made.positional else None
            self._inserts[table] = known
        statement, in_order = known
        connection.exec_driver_sql(statement, list(rows if in_order is None else map(in_order, rows)))

    def trouble(self, error: Exception) -> Trouble | None:
        """Why nothing can be written for now; None: it is this row that can't be."""
        orig: Any = error.orig if isinstance(error, DBAPIError) else error
        state = getattr(orig, "sqlstate", None)
        if is_full(orig) or state == _PG_FULL:
            return "full"
        if not isinstance(error, DBAPIError):
            return None
        if error.connection_invalidated:
            return "away"
        if isinstance(orig, sqlite3.Error):
            return "away" if getattr(orig, "sqlite_errorcode", 0) & 0xFF in _BUSY else None
        if state is None:
            # psycopg could not reach the server, which therefore said nothing.
            return "away" if type(orig).__name__ == "OperationalError" else None
        return "away" if state.startswith(_PG_AWAY) else None

    @contextmanager
    def failures_named(self) -> Iterator[None]:
        """Says of what fails inside, which ledger it was.

        Raises:
            InvalidInput: the database failed.
        """
        try:
            yield
        except SQLAlchemyError as error:
            raise InvalidInput(f"{self.name}: {told(error)}") from error

    def close(self) -> None:
        """Closes all connections; closing twice is fine."""
        self._engine.dispose()

    def _prepare(self, *, create: bool) -> None:
        # Who only reads does not wait for who writes.
        with self._engine.begin() as connection:
            found = _format(connection)
        if found is None and not create:
            raise InvalidInput(f"{self.name}: is no ledger")
        check_format(found or FORMAT, READS, path=self.name, what="a ledger")
        if found == FORMAT:
            if create:
                self._add_indices()
            return
        with self._writer.begin() as connection:
            if _format(connection) == FIRST:
                logger.info("%s: is a ledger of format %d: it is converted", self.name, FIRST)
                count = migrate(connection)
                logger.info("%s: took over %d answers, as if they had been given now", self.name, count)
            METADATA.create_all(connection)
            if connection.execute(select(FORMATS.c.number)).first() is None:
                connection.execute(FORMATS.insert(), {"number": FORMAT})
            if self.path is not None:
                connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT:d}")

    def _add_indices(self) -> None:
        """Makes those that a ledger of an older infilink lacks; what reads a ledger works without."""
        with self._engine.begin() as connection:
            there = {each["name"] for each in inspect(connection).get_indexes(ANSWERS.name)}
        missing = [index for index in ANSWERS.indexes if index.name not in there]
        if not missing:
            return
        with self._writer.begin() as connection:
            for index in missing:
                index.create(connection, checkfirst=True)


def _url(place: Path | str) -> URL:
    if isinstance(place, Path):
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(check_place(place))  # type: ignore[arg-type]
    except (ValueError, ArgumentError) as error:
        raise InvalidInput(f"the ledger: {error}" if isinstance(error, ValueError) else _NO_URL) from None
    return url


_NO_URL = f"the ledger: can't be read as a URL: write {POSTGRES}://USER@HOST/DATABASE"


def _engine(url: URL) -> Engine:
    try:
        if url.drivername != "sqlite":
            # A server that is gone without a word is noticed by what was sent and not received.
            given = {"connect_timeout": _CONNECT_S, "tcp_user_timeout": int(_LOCKED_S * 1000)}
            engine = create_engine(url, pool_pre_ping=True, connect_args=given)
        else:
            engine = create_engine(url, connect_args={"timeout": _LOCKED_S})
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"a ledger in PostgreSQL needs the package {error.name!r}: pip install 'infilink[postgres]'"
        ) from error
    event.listen(engine, "connect", _set_up_sqlite if url.drivername == "sqlite" else _set_up_postgres)
    if url.drivername == "sqlite":
        event.listen(engine, "begin", _begin)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Python's module begins transactions by itself, and not before all statements; `_begin` does.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # A commit waits until the disk has it, and not only until the system has: a power failure loses nothing.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # As in PostgreSQL.
    connection.execute("PRAGMA case_sensitive_like = ON")


def _set_up_postgres(connection: Any, _: Any) -> None:
    # Whatever the server's or the user's default is.
    connection.execute("SET synchronous_commit = on")
    connection.commit()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _format(connection: Connection) -> int | None:
    """The format of the ledger that is there; None: there is none yet."""
    tables = inspect(connection)
    if tables.has_table(FORMATS.name):
        return connection.execute(select(FORMATS.c.number)).scalar()
    if connection.dialect.name == "sqlite" and (marked := connection.exec_driver_sql("PRAGMA user_version").scalar()):
        return int(marked)
    return FIRST if tables.has_table(ANSWERS.name) else None


def told(error: Exception | None) -> str:
    """What went wrong, without the statement and its values."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(orig).split())
