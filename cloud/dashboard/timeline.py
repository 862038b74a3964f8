"""What the page of a stream says of a stretch of time: what was sent, what was not, what was audited and what was said.

Answers, audits and the journal come from the ledger, pictures and when they were captured from what is kept of them.
"""

import sqlite3
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..ledger.database import Database
from ..ledger.rows import Answered, InputKey, answer_message, spec_of
from ..ledger.tables import ANSWERS, AUDITS, JOURNAL, RESULTS, SPECS
from ..sent.store import Sent
from ..sent.stretch import Stretch
from ..sessions.session import LEFT_OUT, REQUESTS, STABLE, UNSTABLE, WHOLE
from .shown import Answer
from .stream_events import StreamEvent, find_events
from .tiles import boxes_on, said_lines

_BINS = 120
_MOST_NOTES = 200
_MOST_PICTURES = 24


def bin_of(stretch: Stretch) -> int:
    """How long each part of a stretch is that figures are told of, in microseconds."""
    return -(-(stretch.until_us - stretch.since_us) // _BINS)


class Timeline:
    """Reads what is known of streams; it waits for disks, so it is called in threads.

    Args:
        database: the ledger's.
        sent: the pictures; None: none are kept.
    """

    def __init__(self, database: Database, sent: Sent | None) -> None:
        self.database = database
        self.sent = sent

    def knows(self, stream: str) -> bool:
        """Whether the ledger has an answer of a stream."""
        with self.database.read() as connection:
            return (
                connection.execute(select(ANSWERS.c.number).where(ANSWERS.c.device == stream).limit(1)).first()
                is not None
            )

    def read(self, stretch: Stretch) -> dict[str, Any]:
        """All that the page shows of a stretch."""
        with self.database.read() as connection:
            bins = _bins(connection, stretch)
            events, are_more = find_events(connection, stretch.stream, stretch.since_us, stretch.until_us)
            told: dict[str, Any] = {
                "since_us": stretch.since_us,
                "until_us": stretch.until_us,
                "bin_us": bin_of(stretch),
                "known": _known(connection, stretch.stream),
                "more": are_more,
                "models": _models(connection, stretch),
                "level": _spans(connection, stretch, "level", LEFT_OUT, WHOLE),
                "camera": _spans(connection, stretch, "camera", UNSTABLE, STABLE),
                "notes": _notes(connection, stretch),
            }
        told |= {"pictures": [], "oldest_picture_us": None, "trouble": ""}
        starts: list[dict[str, Any]] = [{} for _ in events]
        if self.sent is not None:
            told["trouble"] = self.sent.trouble
            with self.sent.read() as database:
                _add_sent(database, stretch, bins)
                starts = [_start(database, stretch, event) for event in events]
                told |= _pictures(database, stretch)
        told["events"] = [asdict(event) | start for event, start in zip(events, starts, strict=True)]
        told["bins"] = [[at, *values] for at, values in sorted(bins.items())]
        return told

    def look(self, stream: str, session: str, sequence: int) -> dict[str, Any] | None:
        """One input: what was said of it, the boxes, and its picture's number; None: the ledger does not have it."""
        of_input = (ANSWERS.c.device == stream, ANSWERS.c.session == session, ANSWERS.c.sequence == sequence)
        with self.database.read() as connection:
            row = connection.execute(select(ANSWERS).where(*of_input)).first()
            if row is None:
                return None
            answer = Answer(_answered(connection, row), row.answered_us)
        told = {
            "session": session,
            "sequence": sequence,
            "answered_us": row.answered_us,
            "took_s": row.executed_s,
            "size": [row.width, row.height],
            "said": said_lines(answer),
            "boxes": boxes_on(answer),
            "picture": 0,
            "sent": None,
        }
        if self.sent is not None:
            with self.sent.read() as database:
                told |= _sent_as(database, stream, session, sequence)
        return told


def _answered(connection: Connection, row: Row[Any]) -> Answered:
    """An answer as it was given, from its rows."""
    joined = RESULTS.outerjoin(SPECS, SPECS.c.id == RESULTS.c.spec)
    wanted = select(RESULTS.c.model, RESULTS.c.output, RESULTS.c.origin, SPECS.c.spec).select_from(joined)
    rows = connection.execute(wanted.where(RESULTS.c.answer == row.number).order_by(RESULTS.c.place)).all()
    specs = {each.model: spec for each in rows if (spec := spec_of(each.spec)) is not None}
    message = answer_message(row.sequence, row.executed_s, [each.output for each in rows if each.origin != "local"])
    local = answer_message(row.sequence, 0.0, [each.output for each in rows if each.origin == "local"])
    key = InputKey(row.device, row.session, row.sequence)
    return Answered(key, message, captured_ns=row.captured_ns, specs=specs, given=tuple(local.result.outputs))


def _bins(connection: Connection, stretch: Stretch) -> dict[int, list[Any]]:
    """By the number of each part: how many inputs were sent, not sent, audited, their agreement, and kept pictures.

    An input that was not sent shows as a number that is missing between those that were.
    """
    part = ((ANSWERS.c.answered_us - stretch.since_us) // bin_of(stretch)).label("part")
    figures = (func.count().label("sent"), func.min(ANSWERS.c.sequence), func.max(ANSWERS.c.sequence))
    within = (
        ANSWERS.c.device == stretch.stream,
        ANSWERS.c.answered_us >= stretch.since_us,
        ANSWERS.c.answered_us < stretch.until_us,
    )
    rows = connection.execute(
        select(ANSWERS.c.session, part, *figures).where(*within).group_by(ANSWERS.c.session, part).order_by(part)
    )
    found: dict[int, list[Any]] = {}
    newest: dict[str, int] = {}
    for session, at, sent, first, last in rows:
        values = found.setdefault(at, [0, 0, 0, None, 0])
        values[0] += sent
        if not session.startswith(REQUESTS):
            values[1] += max(0, last - newest.get(session, first - 1) - sent)
            newest[session] = max(last, newest.get(session, last))
    of_audit = ((AUDITS.c.at_us - stretch.since_us) // bin_of(stretch)).label("part")
    audits = select(of_audit, func.count(AUDITS.c.sequence.distinct()), func.avg(AUDITS.c.agreement)).where(
        AUDITS.c.device == stretch.stream, AUDITS.c.at_us >= stretch.since_us, AUDITS.c.at_us < stretch.until_us
    )
    for at, audited, agreement in connection.execute(audits.group_by(of_audit)):
        values = found.setdefault(at, [0, 0, 0, None, 0])
        values[2], values[3] = audited, round(float(agreement), 4)
    return found


def _add_sent(database: sqlite3.Connection, stretch: Stretch, bins: dict[int, list[Any]]) -> None:
    counted = (
        "SELECT (at_us - :since) / :bin, sum(audited), count(payload) FROM sent "
        "WHERE stream = :stream AND at_us >= :since AND at_us < :until GROUP BY 1"
    )
    given = {"since": stretch.since_us, "until": stretch.until_us, "bin": bin_of(stretch), "stream": stretch.stream}
    for at, audited, pictures in database.execute(counted, given):
        values = bins.setdefault(at, [0, 0, 0, None, 0])
        values[2] += audited
        values[4] = pictures


def _start(database: sqlite3.Connection, stretch: Stretch, event: StreamEvent) -> dict[str, Any]:
    """How late the first answer of an event was, and a picture of it."""
    of_input = (
        "SELECT number, captured_us, payload IS NOT NULL FROM sent WHERE stream = ? AND session = ? AND sequence = ?"
    )
    found = database.execute(of_input, (stretch.stream, event.session, event.sequence)).fetchone()
    number, captured_us, has_picture = found or (0, 0, False)
    if not has_picture:
        first = (
            "SELECT number FROM sent WHERE stream = ? AND at_us >= ? AND at_us <= ? AND payload IS NOT NULL "
            "ORDER BY at_us LIMIT 1"
        )
        end_us = stretch.until_us if event.end_us is None else event.end_us
        later = database.execute(first, (stretch.stream, event.start_us, end_us)).fetchone()
        number = 0 if later is None else later[0]
    # Two clocks: one that is ahead of the other says nothing of how long it took.
    delay_us = event.start_us - captured_us if captured_us else -1
    return {"delay_s": None if delay_us < 0 else delay_us / 1e6, "captured_us": captured_us or None, "picture": number}


def _pictures(database: sqlite3.Connection, stretch: Stretch) -> dict[str, Any]:
    """Some pictures of a stretch, evenly over its time, and since when there are any."""
    wide = -(-(stretch.until_us - stretch.since_us) // _MOST_PICTURES)
    spread = (
        "SELECT min(number), session, sequence, at_us, audited FROM sent WHERE stream = :stream AND at_us >= :since "
        "AND at_us < :until AND payload IS NOT NULL GROUP BY (at_us - :since) / :wide ORDER BY at_us"
    )
    given = {"since": stretch.since_us, "until": stretch.until_us, "wide": wide, "stream": stretch.stream}
    rows = database.execute(spread, given).fetchall()
    oldest = "SELECT at_us FROM sent WHERE stream = ? AND payload IS NOT NULL ORDER BY at_us LIMIT 1"
    found = database.execute(oldest, (stretch.stream,)).fetchone()
    names = ("number", "session", "sequence", "at_us", "audited")
    return {
        "pictures": [dict(zip(names, row, strict=True)) for row in rows],
        "oldest_picture_us": None if found is None else found[0],
    }


def _sent_as(database: sqlite3.Connection, stream: str, session: str, sequence: int) -> dict[str, Any]:
    wanted = (
        "SELECT number, at_us, captured_us, audited, score, sent_bytes, encoding, payload IS NOT NULL FROM sent "
        "WHERE stream = ? AND session = ? AND sequence = ?"
    )
    row = database.execute(wanted, (stream, session, sequence)).fetchone()
    if row is None:
        return {}
    number, at_us, captured_us, audited, score, sent_bytes, encoding, has_picture = row
    delay_us = at_us - captured_us if captured_us else -1
    sent = {
        "captured_us": captured_us or None,
        "delay_s": None if delay_us < 0 else delay_us / 1e6,
        "audited": bool(audited),
        "score": score,
        "bytes": sent_bytes,
        "encoding": encoding,
    }
    beside: dict[str, Any] = {}
    for name, way, order in (("before", "<", "DESC"), ("after", ">", "ASC")):
        next_one = (
            f"SELECT session, sequence, at_us FROM sent WHERE stream = ? AND at_us {way} ? AND payload IS NOT NULL "
            f"ORDER BY at_us {order} LIMIT 1"
        )
        found = database.execute(next_one, (stream, at_us)).fetchone()
        names = ("session", "sequence", "at_us")
        beside[name] = None if found is None else dict(zip(names, found, strict=True))
    return {"picture": number if has_picture else 0, "sent": sent, **beside}


def _known(connection: Connection, stream: str) -> list[int | None]:
    """When the first and the last answer of a stream came that the ledger has."""
    times = (func.min(ANSWERS.c.answered_us), func.max(ANSWERS.c.answered_us))
    return list(connection.execute(select(*times).where(ANSWERS.c.device == stream)).one())


def _models(connection: Connection, stretch: Stretch) -> list[str]:
    """The models that the last answer of a stretch has."""
    within = (
        ANSWERS.c.device == stretch.stream,
        ANSWERS.c.answered_us >= stretch.since_us,
        ANSWERS.c.answered_us < stretch.until_us,
    )
    last = select(func.max(ANSWERS.c.number)).where(*within).scalar_subquery()
    return list(connection.execute(select(RESULTS.c.model).where(RESULTS.c.answer == last).order_by("model")).scalars())


def _notes(connection: Connection, stretch: Stretch) -> list[dict[str, Any]]:
    wanted = (
        select(JOURNAL.c.at_us, JOURNAL.c.kind, JOURNAL.c.text)
        .where(JOURNAL.c.device == stretch.stream)
        .where(JOURNAL.c.at_us >= stretch.since_us, JOURNAL.c.at_us < stretch.until_us)
        .order_by(JOURNAL.c.number.desc())
        .limit(_MOST_NOTES)
    )
    return [dict(row._mapping) for row in reversed(connection.execute(wanted).all())]


def _spans(connection: Connection, stretch: Stretch, kind: str, begins: str, ends: str) -> list[dict[str, Any]]:
    """From when until when something was as a kind of note says, and what; the last before the stretch counts, too."""
    of_kind = select(JOURNAL.c.at_us, JOURNAL.c.text).where(JOURNAL.c.device == stretch.stream, JOURNAL.c.kind == kind)
    before = of_kind.where(JOURNAL.c.at_us < stretch.since_us).order_by(JOURNAL.c.number.desc()).limit(1)
    within = of_kind.where(JOURNAL.c.at_us >= stretch.since_us, JOURNAL.c.at_us < stretch.until_us)
    within = within.order_by(JOURNAL.c.number.desc()).limit(_MOST_NOTES)
    rows = [*connection.execute(before).all(), *reversed(connection.execute(within).all())]
    found: list[dict[str, Any]] = []
    for row in rows:
        if found and found[-1]["until_us"] is None:
            found[-1]["until_us"] = row.at_us
        if not row.text.startswith(ends) and row.text.startswith(begins):
            since_us = max(row.at_us, stretch.since_us)
            text = row.text.removeprefix(begins).removeprefix(":").strip()
            found.append({"since_us": since_us, "until_us": None, "text": text})
    return [span for span in found if span["until_us"] is None or span["until_us"] > stretch.since_us]
