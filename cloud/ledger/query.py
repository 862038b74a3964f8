"""Finds results in a ledger: by device, model, class, time, origin and confidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from ...models.spec import ModelSpec
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ...traces.stream_names import SLASH
from .rows import spec_of
from .tables import ANSWERS, RESULTS, SPECS

_AT_ONCE = 500


@dataclass(frozen=True)
class Wanted:
    """Which results are meant; what is not said does not matter.

    Attributes:
        devices: names of devices, which mean all their streams, or of streams (DEVICE/STREAM); `*` and `?` allowed.
        sessions: of devices.
        models: names, `*` and `?` allowed.
        classes: results that name one of them.
        origins: how they came to be.
        since_us: answered then or later.
        until_us: answered before.
        least_confidence: at least as sure.
    """

    devices: Sequence[str] = ()
    sessions: Sequence[str] = ()
    models: Sequence[str] = ()
    classes: Sequence[str] = ()
    origins: Sequence[str] = ()
    since_us: int | None = None
    until_us: int | None = None
    least_confidence: float | None = None

    @property
    def of_answers(self) -> list[ColumnElement[bool]]:
        """The conditions on whole answers."""
        found = [
            *any_of(of_device(ANSWERS.c.device, name) for name in self.devices),
            *any_of(ANSWERS.c.session == name for name in self.sessions),
        ]
        if self.since_us is not None:
            found.append(ANSWERS.c.answered_us >= self.since_us)
        if self.until_us is not None:
            found.append(ANSWERS.c.answered_us < self.until_us)
        return found

    @property
    def of_results(self) -> list[ColumnElement[bool]]:
        """The conditions on what single models said."""
        found = [
            *any_of(like(RESULTS.c.model, name) for name in self.models),
            *any_of(RESULTS.c.classes.contains(f"\n{name}\n", autoescape=True) for name in self.classes),
            *any_of(RESULTS.c.origin == name for name in self.origins),
        ]
        if self.least_confidence is not None:
            found.append(RESULTS.c.confidence >= self.least_confidence)
        return found


@dataclass(frozen=True)
class Found:
    """What one model said of one input.

    Attributes:
        answer: the input's number in the ledger.
        device, session, sequence: name the input.
        captured_ns: on the source's own clock; None: not known.
        answered_us: Unix time.
        width, height: the picture's; None: there was none, or it is not known.
        model: the model's name.
        origin: how it came to be.
        confidence: how sure it is.
        trusted: whether that is certified.
        why: why the model ran.
        classes: the classes that it names.
        output: the message, with the value.
        spec: the model's; None: it is not known.
    """

    answer: int
    device: str
    session: str
    sequence: int
    captured_ns: int | None
    answered_us: int
    width: int | None
    height: int | None
    model: str
    origin: str
    confidence: float
    trusted: bool
    why: str
    classes: tuple[str, ...]
    output: edge_pb2.Output
    spec: ModelSpec | None

    @cached_property
    def value(self) -> Array:
        """The output's array."""
        return read_array(self.output)

    def class_name(self, index: int) -> str:
        """A class by its index."""
        known = self.spec.output.classes if self.spec is not None else ()
        return known[index] if 0 <= index < len(known) else f"class {index}"


def find_results(
    connection: Connection, wanted: Wanted, *, newest: int | None = None, after: int | None = None
) -> Iterator[Found]:
    """The results in the order in which they were answered.

    Args:
        connection: to the ledger.
        wanted: which.
        newest: of more than so many the last ones.
        after: only of answers after the one of this number.
    """
    columns = [
        ANSWERS.c.number,
        *(ANSWERS.c[name] for name in ("device", "session", "sequence", "captured_ns", "answered_us")),
        ANSWERS.c.width,
        ANSWERS.c.height,
        *(RESULTS.c[name] for name in ("place", "model", "origin", "confidence", "trusted", "why", "classes")),
        RESULTS.c.output,
        RESULTS.c.spec,
    ]
    joined: Select[Any] = _joined(select(*columns), wanted)
    if after is not None:
        joined = joined.where(ANSWERS.c.number > after)
    specs = {row.id: spec_of(row.spec) for row in connection.execute(select(SPECS))}
    for row in _newest(connection, joined, newest) if newest is not None else _in_order(connection, joined):
        yield _found(row, specs.get(row.spec))


def count_results(connection: Connection, wanted: Wanted) -> int:
    """How many results there are."""
    return int(connection.execute(_joined(select(func.count()), wanted)).scalar_one())


def _newest(connection: Connection, joined: Select[Any], newest: int) -> Iterator[Row[Any]]:
    last = joined.order_by(ANSWERS.c.number.desc(), RESULTS.c.place.desc()).limit(newest)
    yield from reversed(connection.execute(last).all())


def _in_order(connection: Connection, joined: Select[Any]) -> Iterator[Row[Any]]:
    """All rows, some at a time: nothing stays open in the database while they are written somewhere."""
    joined = joined.order_by(ANSWERS.c.number, RESULTS.c.place).limit(_AT_ONCE)
    rows = connection.execute(joined).all()
    while rows:
        yield from rows
        number, place = rows[-1].number, rows[-1].place
        later = or_(ANSWERS.c.number > number, and_(ANSWERS.c.number == number, RESULTS.c.place > place))
        rows = connection.execute(joined.where(ANSWERS.c.number >= number, later)).all()


def _joined(columns: Select[Any], wanted: Wanted) -> Select[Any]:
    joined = columns.select_from(ANSWERS.join(RESULTS, ANSWERS.c.number == RESULTS.c.answer))
    return joined.where(*wanted.of_answers, *wanted.of_results)


def _found(row: Row[Any], spec: ModelSpec | None) -> Found:
    return Found(
        answer=row.number,
        device=row.device,
        session=row.session,
        sequence=row.sequence,
        captured_ns=row.captured_ns,
        answered_us=row.answered_us,
        width=row.width,
        height=row.height,
        model=row.model,
        origin=row.origin,
        confidence=row.confidence,
        trusted=row.trusted,
        why=row.why,
        classes=tuple(row.classes.split("\n")[1:-1]),
        output=edge_pb2.Output.FromString(row.output),
        spec=spec,
    )


def any_of(conditions: Any) -> list[ColumnElement[bool]]:
    """One condition: that any of them holds; none where there are none."""
    found = list(conditions)
    return [or_(*found)] if found else []


def of_device(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Whether a stream's name is meant by a pattern, as `is_meant` says: one without a slash means all streams."""
    return like(column, pattern) if SLASH in pattern else or_(like(column, pattern), like(column, f"{pattern}{SLASH}*"))


def like(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Whether a text is `pattern`, in which `*` is any text and `?` any letter; capitals count on both databases."""
    if "*" not in pattern and "?" not in pattern:
        return column == pattern
    escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in pattern)
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")
