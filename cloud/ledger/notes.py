"""Reads the ledger's journal, and its audits summed up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, func, select

from .query import any_of, like, of_device
from .tables import AUDITS, JOURNAL


def read_journal(
    connection: Connection,
    kinds: Sequence[str],
    devices: Sequence[str],
    models: Sequence[str],
    since_us: int | None,
    until_us: int | None,
    *,
    newest: int,
) -> list[Row[Any]]:
    """The newest entries, in the order in which they were made; of names `*` and `?` are allowed."""
    conditions = [
        *any_of(JOURNAL.c.kind == kind for kind in kinds),
        *any_of(of_device(JOURNAL.c.device, name) for name in devices),
        *any_of(like(JOURNAL.c.model, name) for name in models),
        *_within(JOURNAL.c.at_us, since_us, until_us),
    ]
    found = select(JOURNAL).where(*conditions).order_by(JOURNAL.c.number.desc()).limit(newest)
    return list(connection.execute(found).all())[::-1]


def read_audits(
    connection: Connection,
    devices: Sequence[str],
    models: Sequence[str],
    since_us: int | None,
    until_us: int | None,
) -> list[Row[Any]]:
    """For each device, model and origin how many audits there were, what was expected of them and what was found."""
    of = (AUDITS.c.device, AUDITS.c.model, AUDITS.c.origin)
    conditions = [
        *any_of(of_device(AUDITS.c.device, name) for name in devices),
        *any_of(like(AUDITS.c.model, name) for name in models),
        *_within(AUDITS.c.at_us, since_us, until_us),
    ]
    figures = (
        func.count().label("audits"),
        func.avg(AUDITS.c.confidence).label("expected"),
        func.avg(AUDITS.c.agreement).label("agreed"),
    )
    return list(connection.execute(select(*of, *figures).where(*conditions).group_by(*of).order_by(*of)).all())


def _within(column: Column[int], since_us: int | None, until_us: int | None) -> list[ColumnElement[bool]]:
    first = [] if since_us is None else [column >= since_us]
    return [*first, *([] if until_us is None else [column < until_us])]
