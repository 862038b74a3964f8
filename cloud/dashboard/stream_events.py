"""The events of one stream: from when until when a model said that something is there."""

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


class Runs:
    """What one model says is there, answer by answer; runs of a class with at most `GAP_S` between them are one event.

    Args:
        there: what it said last of all before.
    """

    def __init__(self, there: Iterable[str] = ()) -> None:
        self.there = frozenset(there)
        self._gone_us: dict[str, int] = {}

    def take(self, at_us: int, classes: str) -> tuple[list[str], list[str], list[str]]:
        """What is gone with an answer, what goes on after a gap, and of what an event begins.

        Args:
            at_us: when it was answered.
            classes: what it names, as `results.classes` has it.
        """
        named = frozenset(classes_of(classes))
        gone, come = sorted(self.there - named), sorted(named - self.there)
        recent = {what: gone_us for what, gone_us in self._gone_us.items() if at_us - gone_us <= GAP_S * 1e6}
        self.there, self._gone_us = named, {**recent, **dict.fromkeys(gone, at_us)}
        again = [what for what in come if what in recent]
        for what in again:
            del self._gone_us[what]
        return gone, again, [what for what in come if what not in recent]


def classes_of(text: str) -> list[str]:
    """The classes in a text of `results.classes`."""
    return text.split("\n")[1:-1]


def find_events(connection: Connection, stream: str, since_us: int, until_us: int) -> tuple[list[StreamEvent], bool]:
    """The newest events in a stretch of time, in the order of their starts, and whether there are more.

    Args:
        connection: to the ledger.
        stream: its name.
        since_us: Unix time.
        until_us: the same; not included.
    """
    changes = _changes(connection, stream, since_us, until_us)
    before = _said_before(connection, stream, since_us)
    events = [event for model, rows in _by_model(changes).items() for event in _runs(rows, before.get(model, ""))]
    events.sort(key=lambda event: (event.start_us, event.model, event.what))
    newest = events[-MOST_EVENTS:]
    return (
        _with_audits(connection, stream, _with_trust(connection, newest), since_us, until_us),
        len(newest) < len(events) or len(changes) == _MOST_CHANGES,
    )


def follow_events(connection: Connection, stream: str, since_us: int) -> tuple[list[int], dict[str, Runs], int]:
    """When the newest events since then began, what each model says is there now, and up to which answer that holds.

    Args:
        connection: to the ledger.
        stream: its name.
        since_us: Unix time.
    """
    until = connection.execute(select(func.max(ANSWERS.c.number))).scalar() or 0
    runs = {model: Runs(classes_of(said)) for model, said in _said_before(connection, stream, since_us).items()}
    starts: list[int] = []
    for row in _changes(connection, stream, since_us, None):
        _, _, begun = runs.setdefault(row.model, Runs()).take(row.answered_us, row.classes)
        starts += [row.answered_us] * len(begun)
    return starts[-MOST_EVENTS:], runs, until


def _said_before(connection: Connection, stream: str, at_us: int) -> dict[str, str]:
    """The classes that each model named in the last answer before a time."""
    last = (
        select(ANSWERS.c.number)
        .where(ANSWERS.c.device == stream, ANSWERS.c.answered_us < at_us)
        .order_by(ANSWERS.c.answered_us.desc(), ANSWERS.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(select(RESULTS.c.model, RESULTS.c.classes).where(RESULTS.c.answer == last))
    return {row.model: row.classes for row in rows}


def _changes(connection: Connection, stream: str, since_us: int, until_us: int | None) -> list[Row[Any]]:
    """The answers that name other classes than the one before, in their order; if there are too many, the newest."""
    before = func.lag(RESULTS.c.classes).over(partition_by=RESULTS.c.model, order_by=ANSWERS.c.number)
    of_answers = [ANSWERS.c[name] for name in ("number", "session", "sequence", "answered_us", "executed_s")]
    of_results = [RESULTS.c[name] for name in ("model", "classes", "origin", "confidence", "why")]
    within = [ANSWERS.c.device == stream, ANSWERS.c.answered_us >= since_us]
    if until_us is not None:
        within.append(ANSWERS.c.answered_us < until_us)
    said = (
        select(*of_answers, *of_results, before.label("before"))
        .join(RESULTS, RESULTS.c.answer == ANSWERS.c.number)
        .where(*within)
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


def _runs(changes: Sequence[Row[Any]], before: str) -> list[StreamEvent]:
    """A model's events, where it named these classes before the first of these answers."""
    found: list[StreamEvent] = []
    newest: dict[str, int] = {}
    runs, were = Runs(), classes_of(before)
    for at, row in enumerate(changes):
        gone, again, begun = runs.take(row.answered_us, row.classes)
        for what in gone:
            found[newest[what]] = replace(found[newest[what]], end_us=row.answered_us)
        for what in again:
            found[newest[what]] = replace(found[newest[what]], end_us=None)
        for what in begun:
            newest[what] = len(found)
            found.append(_begun(row, what, began_before=at == 0 and what in were))
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
