"""What is known of a filter on a stream before it decides there: tried on what is kept of that stream."""

import asyncio
import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from ...codec import decode_jpeg
from ...errors import InfilinkError, InvalidInput
from ...filters.evaluation.beforehand import Came, Estimate, estimate
from ...filters.gates.learned import FilterRuntime
from ...filters.rules.code import runs
from ...filters.spec import load_tasks
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ..ledger.database import Database
from ..ledger.tables import ANSWERS, RESULTS
from ..repository import Repository
from ..sent.decoding import Picture, SentPictures
from ..sessions.session import REQUESTS

logger = logging.getLogger(__name__)

MOST_INPUTS = 3000
"""So many of the newest that came through are looked at."""
WITHIN_S = 8.0
"""What takes longer for a stream is judged by what was looked at until then."""
ALL_WITHIN_S = 30.0
"""For all streams that are asked about at once."""
_KEPT_S = 120.0
_OWN = ("executed", "local")
_ONLY_AUDIT = "only the live audit can tell"
# One at a time: nobody is to take processors from models for it.
_TRYING = ThreadPoolExecutor(1, "foresight")


@dataclass(frozen=True)
class _Row:
    """What is known of an input that came through."""

    number: int
    session: str
    sequence: int
    at_us: int
    captured_us: int
    is_audited: bool
    has_picture: bool
    missing: int


@dataclass(frozen=True)
class Foreseen:
    """What is known beforehand.

    Attributes:
        text: in words.
        breaks: whether what was promised would probably not be kept.
    """

    text: str
    breaks: bool = False


class Foresight:
    """Tries filters on what is kept of streams.

    Args:
        database: the ledger's.
        repository: the models that are served.

    Attributes:
        pictures: what was sent; None: nothing is kept of that.
    """

    def __init__(self, database: Database, repository: Repository) -> None:
        self.database = database
        self.repository = repository
        self.pictures: SentPictures | None = None
        self._known: dict[tuple[str, str], tuple[float, Foreseen]] = {}

    async def of(self, streams: Sequence[str], content: bytes) -> dict[str, Foreseen]:
        """What is known of a filter on each of some streams; it never fails, as nothing hangs on it.

        Args:
            streams: by name.
            content: of the filter's file.
        """
        return await asyncio.get_running_loop().run_in_executor(_TRYING, self._of, streams, content)

    def _of(self, streams: Sequence[str], content: bytes) -> dict[str, Foreseen]:
        ends_s = time.monotonic() + ALL_WITHIN_S
        return {stream: self._one(stream, content, ends_s) for stream in streams}

    def _one(self, stream: str, content: bytes, ends_s: float) -> Foreseen:
        now_s = time.monotonic()
        self._known = {key: each for key, each in self._known.items() if each[0] > now_s - _KEPT_S}
        digest = hashlib.sha256(content).hexdigest()
        known = self._known.get((stream, digest))
        if known is not None:
            return known[1]
        if now_s >= ends_s:
            return Foreseen("too many streams at once: it was not tried on what is kept of this one")
        try:
            found = self._tried(stream, content, min(ends_s, now_s + WITHIN_S))
        except InfilinkError as error:
            found = Foreseen(str(error))
        except Exception:  # whatever it is: nobody is to be kept from a filter by it
            logger.exception("%s: a filter can't be tried on what is kept of it", stream)
            found = Foreseen(f"it could not be tried on what is kept (the log says why): {_ONLY_AUDIT}")
        self._known[stream, digest] = (time.monotonic(), found)
        return found

    def _tried(self, stream: str, content: bytes, ends_s: float) -> Foreseen:
        # They go as the pages end.
        kept = self.pictures
        if kept is None:
            raise InvalidInput(f"nothing of what was sent is kept here (`[pictures]`): {_ONLY_AUDIT}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "filter.onnx"
            path.write_bytes(content)
            gate = _gate_of(path, stream.replace("/", "."))
        unknown = [model for model in gate.spec.models if model not in self.repository.specs]
        if unknown:
            raise InvalidInput(f"it was learnt from {', '.join(unknown)}, which is not served here")
        outputs = {name: self.repository.specs[name].output for name in gate.spec.models}
        rows = _rows(kept, stream)
        if not any(row.has_picture for row in rows):
            raise InvalidInput(f"nothing is kept of this stream that it could be tried on: {_ONLY_AUDIT}")
        since_us, until_us = rows[0].at_us, rows[-1].at_us + 1
        with kept.between(stream, since_us, until_us) as pictures, self.database.read() as connection:
            came = (
                Came(
                    session=row.session,
                    missing=row.missing,
                    captured_s=(row.captured_us or row.at_us) / 1e6,
                    audited=row.is_audited,
                    value=_decoded(picture),
                    exact=_exact(connection, stream, row, gate.spec.models),
                )
                for row, picture in _merged(rows, pictures)
            )
            found = estimate(gate, came, outputs, out_of_time=lambda: time.monotonic() > ends_s)
        return told(found, gate.spec.accuracy, seconds=(until_us - since_us) / 1e6)


def told(found: Estimate, promised: float, *, seconds: float) -> Foreseen:
    """What a trial has found, in words.

    Args:
        found: that.
        promised: the least agreement that the filter promises.
        seconds: how long what was kept lasted.
    """
    low, high = (f"{100 * share:.1f} %" for share in found.interval)
    drawn = f"{found.audited:,} of them drawn by the audit" if found.audited else "none of them drawn by the audit"
    blocks = "1 block" if found.blocks == 1 else f"{found.blocks} blocks"
    text = (
        f"tried on {found.looked_at:,} inputs that came through, {drawn}, which stand for {found.inputs:,} of this "
        f"stream within {_lasting(seconds)}: it would have agreed on {100 * found.agreement:.1f} % ({low} to {high} "
        f"with 95 % confidence, by {blocks} of inputs) and sent {100 * found.sent:.1f} %. It promises "
        f"{100 * promised:.1f} %"
    )
    if found.interval[1] < promised:
        return Foreseen(f"{text}: it would have broken that", breaks=True)
    if found.likely_most < promised:
        return Foreseen(f"{text}: it would probably have broken that", breaks=True)
    return Foreseen(text if found.interval[0] >= promised else f"{text}, which this neither proves nor disproves")


def refuse_breaks(found: Mapping[str, Foreseen]) -> None:
    """Has somebody say so who wants a filter where it would probably not keep its promise.

    Raises:
        InvalidInput: it would not; with what to say.
    """
    broken = [f"{stream}: {each.text}" for stream, each in found.items() if each.breaks]
    if broken:
        raise InvalidInput(f"{'; '.join(broken)}. Nothing was rolled out; to do so all the same, say --anyway")


def _gate_of(path: Path, camera: str) -> FilterRuntime:
    """The filter, if kept inputs can tell anything of what it promises.

    Raises:
        InvalidInput: they can't.
    """
    spec = load_tasks(path)[0]
    if len(spec.tasks) > 1:
        raise InvalidInput(f"it decides for several models at once: {_ONLY_AUDIT}")
    gate = FilterRuntime(path, camera=camera)
    if gate.accuracy is None:
        raise InvalidInput(f"it promises to find events, of which single inputs tell nothing: {_ONLY_AUDIT}")
    if not runs(gate.rule):
        raise InvalidInput("its rule is Python code, which never runs here: judge it where you learnt it")
    return gate


def _rows(kept: SentPictures, stream: str) -> list[_Row]:
    """What is known of the newest inputs that came through, in the order of time."""
    with kept.sent.read() as sent:
        found = sent.execute(
            "SELECT number, session, sequence, at_us, captured_us, audited, payload IS NOT NULL FROM sent "
            "WHERE stream = ? AND session NOT LIKE ? ORDER BY at_us DESC, number DESC LIMIT ?",
            (stream, f"{REQUESTS}%", MOST_INPUTS),
        ).fetchall()
    missing = dict[tuple[str, int], int]()
    session, last = "", 0
    for key in sorted((row[1], row[2]) for row in found):
        missing[key] = key[1] - last - 1 if key[0] == session else 0
        session, last = key
    return [
        _Row(
            number, session, sequence, at_us, captured_us, bool(audited), bool(has_picture), missing[session, sequence]
        )
        for number, session, sequence, at_us, captured_us, audited, has_picture in reversed(found)
    ]


def _merged(rows: Sequence[_Row], pictures: Iterator[Picture]) -> Iterator[tuple[_Row, Picture | None]]:
    """Each row with its picture, if that is kept and can be decoded; both are in the order of time."""
    waits = next(pictures, None)
    for row in rows:
        while waits is not None and (waits.at_us, waits.number) < (row.at_us, row.number):
            waits = next(pictures, None)
        yield row, waits if waits is not None and waits.number == row.number else None


def _decoded(picture: Picture | None) -> Array | None:
    """A picture's pixels; None: it is not kept, or damaged."""
    try:
        return None if picture is None else decode_jpeg(picture.jpeg)
    except InvalidInput:
        return None


def _exact(connection: Connection, stream: str, row: _Row, models: Mapping[str, str]) -> dict[str, Array]:
    """What models themselves said of an input, those in the version that the filter was learnt from."""
    wanted = (
        select(RESULTS.c.model, RESULTS.c.output)
        .join(ANSWERS, ANSWERS.c.number == RESULTS.c.answer)
        .where(ANSWERS.c.device == stream, ANSWERS.c.session == row.session, ANSWERS.c.sequence == row.sequence)
        .where(RESULTS.c.origin.in_(_OWN), RESULTS.c.model.in_(models))
    )
    found = {each.model: edge_pb2.Output.FromString(each.output) for each in connection.execute(wanted)}
    return {name: read_array(each) for name, each in found.items() if each.digest == models[name]}


def _lasting(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200.0 else f"{seconds / 3600:.1f} hours"
