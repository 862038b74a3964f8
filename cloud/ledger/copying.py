"""A copy of a ledger while it is written to: a file or another database, which is a ledger itself."""

from pathlib import Path

from sqlalchemy import Connection, Table, func, insert, select

from ...errors import InvalidInput
from ...files import replacing
from .database import Database
from .tables import ANSWERS, AUDITS, FORMATS, JOURNAL, LEARNT, METADATA

_AT_ONCE = 2000


def copy_ledger(source: Database, place: Path | str) -> int:
    """Copies a ledger as it is at this moment, whatever is written to it meanwhile.

    Args:
        source: the ledger.
        place: a new file, or the URL of a database that has no ledger with answers in it.

    Returns:
        How many answers it has.

    Raises:
        InvalidInput: there is something already, no room, or a database that can't be reached.
    """
    if isinstance(place, Path):
        if place.exists():
            raise InvalidInput(f"{place}: is there already; give another place")
        with replacing(place) as part:
            return _copy(source, part)
    return _copy(source, place)


def _copy(source: Database, place: Path | str) -> int:
    target = Database(place)
    try:
        with target.failures_named(), target.write() as into:
            if into.execute(select(ANSWERS.c.number).limit(1)).first() is not None:
                raise InvalidInput(f"{target.name}: has answers already; give an empty database")
            with source.failures_named(), source.read() as connection:
                for table in METADATA.sorted_tables:
                    if table is not FORMATS:
                        _copy_table(table, connection, into)
            count = into.execute(select(func.count()).select_from(ANSWERS)).scalar_one()
    finally:
        target.close()
    return int(count)


def _copy_table(table: Table, connection: Connection, into: Connection) -> None:
    # Where the database numbers rows by itself it has to go on from these: they are put in anew, in their order.
    numbered = table in (AUDITS, JOURNAL, LEARNT)
    columns = [column for column in table.columns if not (numbered and column.name == "number")]
    ordered = select(*columns).order_by(*table.primary_key.columns)
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(ordered).mappings()
    for group in rows.partitions(_AT_ONCE):
        into.execute(insert(table), [dict(row) for row in group])
