"""What an operator has said of devices, and how they enrolled: in the ledger's database, where it lasts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, insert, inspect, select

from ...errors import Overloaded
from ..ledger.database import Database

MOST_ENTRIES = 20_000
"""Devices of which something is kept."""

State = Literal["", "paused", "drained", "revoked"]
"""What was said of a device last; empty: nothing, it comes and goes as it likes."""

# Not one of the ledger's own: those of before have none.
_METADATA = MetaData()
_TABLE = Table(
    "fleet",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("revoked_s", BigInteger, nullable=False),
    Column("enrolled", Text, nullable=False),
    Column("enrolled_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class FleetEntry:
    """What is kept of one device.

    Attributes:
        name: the device.
        state: what was said of it last.
        by: who said so.
        since_us: when, Unix time.
        revoked_s: what was given to it up to this second of Unix time proves nothing any more; 0: it was never revoked.
        enrolled: what it got as it enrolled: "certificate", "token"; empty: it did not.
        enrolled_us: when.
        expires_us: until when that holds; 0: until it is revoked.
    """

    name: str
    state: State = ""
    by: str = ""
    since_us: int = 0
    revoked_s: int = 0
    enrolled: str = ""
    enrolled_us: int = 0
    expires_us: int = 0


class FleetEntries:
    """All entries, in memory and on disk.

    Args:
        database: the ledger's; whoever gave it closes it.

    Raises:
        InvalidInput: the database can't be read.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known: dict[str, FleetEntry] = {}
        names = [field.name for field in fields(FleetEntry)]
        with database.failures_named(), database.read() as connection:
            # Made with the first entry: a coordinator starts on a full disk, too.
            if inspect(connection).has_table(_TABLE.name):
                rows = connection.execute(select(*(_TABLE.c[name] for name in names))).all()
                self._known = {row.name: FleetEntry(**dict(zip(names, row, strict=True))) for row in rows}

    @property
    def all(self) -> Mapping[str, FleetEntry]:
        """Every device of which something is kept."""
        return self._known

    def of(self, name: str) -> FleetEntry:
        """What is known of a device."""
        return self._known.get(name) or FleetEntry(name)

    def save(self, entry: FleetEntry) -> None:
        """Writes an entry; it is on disk when this returns, and counts from then on.

        Raises:
            Overloaded: it can't be written now, or there are too many; all stays as it was.
        """
        if entry.name not in self._known and len(self._known) >= MOST_ENTRIES:
            raise Overloaded(f"{MOST_ENTRIES} devices are known already")
        with self.database.change() as connection:
            _METADATA.create_all(connection)
            connection.execute(delete(_TABLE).where(_TABLE.c.name == entry.name))
            connection.execute(insert(_TABLE), asdict(entry))
        self._known = {**self._known, entry.name: entry}
