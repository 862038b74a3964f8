"""Deletes results from a ledger, also while a coordinator writes to it: a piece at a time."""

from sqlalchemy import delete, exists, select

from .database import Database
from .query import Wanted
from .tables import ANSWERS, RESULTS

_AT_ONCE = 500


def delete_results(database: Database, wanted: Wanted) -> int:
    """Deletes the results that are meant, and the inputs of which none is left.

    Such an input is answered anew if its device sends it again.

    Returns:
        How many results were deleted.
    """
    count = deleted = _delete_some(database, wanted)
    while deleted:
        deleted = _delete_some(database, wanted)
        count += deleted
    return count


def _delete_some(database: Database, wanted: Wanted) -> int:
    meant = select(RESULTS.c.answer).join(ANSWERS, ANSWERS.c.number == RESULTS.c.answer)
    meant = meant.where(*wanted.of_answers, *wanted.of_results).distinct().limit(_AT_ONCE)
    with database.write() as connection:
        numbers = list(connection.execute(meant).scalars())
        if not numbers:
            return 0
        gone = connection.execute(delete(RESULTS).where(RESULTS.c.answer.in_(numbers), *wanted.of_results)).rowcount
        left = exists().where(RESULTS.c.answer == ANSWERS.c.number)
        connection.execute(delete(ANSWERS).where(ANSWERS.c.number.in_(numbers), ~left))
    return gone
