"""The events of one stream, from the ledger: from when until when a model said that something is there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_

from ...protos import edge_pb2
from ...traces.events import GAP_S
from ..ledger.tables import ANSWERS, AUDITS, RESULTS

MOST_EVENTS = 200
"""So many events of a stretch are told, the newest."""
_MOST_CHANGES = 5000
_MOST_AUDITS = 5000


@dataclass(frozen=True)
class StreamEvent:
    """A class that a model said is there, over a run of answers: what is not sent in between says nothing else.

    Attributes:
        model: who said so.
        what: the class.
        answer: the ledger's number of the first answer that did.
        session, sequence: name its input.
        start_us: when that was answered.
        end_us: when the first answer came that no longer says so; None: none has yet.
        began_before: whether it was there already as the stretch began.
        origin, confidence, trust, why: how the first answer came to be.
        took_s: how long the coordinator took over it.
        agreement: the mean agreement of the answers of its time that were compared with the model's; None: none was.
        audits: how many were.
    """

    model: str
    what: str
    answer: int
    session: str
    sequence: int
    start_us: int
    end_us: int | None
    began_before: bool
    origin: str
    confidence: float
    trust: str
    why: str
    took_s: float
    agreement: float | None = None
    audits: int = 0


def find_events(connection: Connection, stream: str, since_us: int, until_us: int) -> tuple[list[StreamEvent], bool]:
    """The newest events in a stretch of time, in the order of their starts, and whether there are more.

    Args:
        connection: to the ledger.
        stream: its name.
        since_us: Unix time.
        until_us: the same; not included.
    """
    changes = _changes(connection, stream, since_us, until_us)
    earlier = select(ANSWERS.c.number).where(ANSWERS.c.device == stream, ANSWERS.c.answered_us < since_us).limit(1)
    is_first = connection.execute(earlier).first() is None
    events = [event for rows in _by_model(changes).values() for event in _runs(rows, is_first=is_first)]
    events.sort(key=lambda event: (event.start_us, event.model, event.what))
    newest = events[-MOST_EVENTS:]
    return (
        _with_audits(connection, stream, _with_trust(connection, newest), since_us, until_us),
        len(newest) < len(events) or len(changes) == _MOST_CHANGES,
    )


def _changes(connection: Connection, stream: str, since_us: int, until_us: int) -> list[Row[Any]]:
    """The answers that name other classes than the one before, in their order; if there are too many, the newest."""
    before = func.lag(RESULTS.c.classes).over(partition_by=RESULTS.c.model, order_by=ANSWERS.c.number)
    of_answers = [ANSWERS.c[name] for name in ("number", "session", "sequence", "answered_us", "executed_s")]
    of_results = [RESULTS.c[name] for name in ("model", "classes", "origin", "confidence", "why")]
    said = (
        select(*of_answers, *of_results, before.label("before"))
        .join(RESULTS, RESULTS.c.answer == ANSWERS.c.number)
        .where(ANSWERS.c.device == stream, ANSWERS.c.answered_us >= since_us, ANSWERS.c.answered_us < until_us)
        .subquery()
    )
    changed = select(said).where(said.c.before.is_(None) | (said.c.before != said.c.classes))
    rows = connection.execute(changed.order_by(said.c.number.desc()).limit(_MOST_CHANGES)).all()
    return list(reversed(rows))


def _by_model(changes: Iterable[Row[Any]]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for row in changes:
        found.setdefault(row.model, []).append(row)
    return found


def _runs(changes: Sequence[Row[Any]], *, is_first: bool) -> list[StreamEvent]:
    """A model's events; those of a class with no more than `GAP_S` between them are one."""
    found: list[StreamEvent] = []
    newest: dict[str, int] = {}
    there = set[str]()
    for row in changes:
        named = set(row.classes.split("\n")[1:-1])
        for what in there - named:
            found[newest[what]] = replace(found[newest[what]], end_us=row.answered_us)
        for what in sorted(named - there):
            at = newest.get(what)
            if at is not None and row.answered_us - (found[at].end_us or 0) <= GAP_S * 1e6:
                found[at] = replace(found[at], end_us=None)
                continue
            newest[what] = len(found)
            found.append(_begun(row, what, began_before=row.before is None and not is_first))
        there = named
    return found


def _begun(row: Row[Any], what: str, *, began_before: bool) -> StreamEvent:
    return StreamEvent(
        model=row.model,
        what=what,
        answer=row.number,
        session=row.session,
        sequence=row.sequence,
        start_us=row.answered_us,
        end_us=None,
        began_before=began_before,
        origin=row.origin,
        confidence=row.confidence,
        trust="",
        why=row.why,
        took_s=row.executed_s,
    )


def _with_trust(connection: Connection, events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """What stands behind the first answer of each: its output says that."""
    keys = {(event.answer, event.model) for event in events}
    if not keys:
        return []
    wanted = select(RESULTS.c.answer, RESULTS.c.model, RESULTS.c.output, RESULTS.c.origin, RESULTS.c.trusted)
    rows = connection.execute(wanted.where(tuple_(RESULTS.c.answer, RESULTS.c.model).in_(keys)))
    said: Mapping[tuple[int, str], str] = {
        (row.answer, row.model): _trust(row.origin, row.output, trusted=row.trusted) for row in rows
    }
    return [replace(event, trust=said.get((event.answer, event.model), "")) for event in events]


def _trust(origin: str, output: bytes, *, trusted: bool) -> str:
    if origin == "local":
        return "exact"
    return str(edge_pb2.Output.FromString(output).trust) or ("certified" if trusted else "uncalibrated")


def _with_audits(
    connection: Connection, stream: str, events: Sequence[StreamEvent], since_us: int, until_us: int
) -> list[StreamEvent]:
    wanted = (
        select(AUDITS.c.at_us, AUDITS.c.model, AUDITS.c.agreement)
        .where(AUDITS.c.device == stream, AUDITS.c.at_us >= since_us, AUDITS.c.at_us < until_us)
        .order_by(AUDITS.c.number.desc())
        .limit(_MOST_AUDITS)
    )
    audits = connection.execute(wanted).all()
    found = []
    for event in events:
        end_us = until_us if event.end_us is None else event.end_us
        agreed = [row.agreement for row in audits if row.model == event.model and event.start_us <= row.at_us <= end_us]
        mean = sum(agreed) / len(agreed) if agreed else None
        found.append(replace(event, agreement=mean, audits=len(agreed)))
    return found
