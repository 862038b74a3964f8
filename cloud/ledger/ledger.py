"""The ledger: every answer is on disk before it is sent, so that a repeated input gets the same answer again."""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError

from ...errors import InfilinkError, Overloaded
from .counts import Counts, LedgerStats
from .database import Database, Trouble
from .retention import Retention
from .rows import Answered, InputKey
from .store import Answer, Note, Store
from .tables import AUDITS, JOURNAL

logger = logging.getLogger(__name__)

WhenFull = Literal["refuse", "answer"]

_GROUP = 1000
# So long after a commit the next begins at the earliest, while there is more to come: on a fast disk a commit for each
# answer takes more of the processors than all else that is done to keep it.
_APART_S = 0.005
_SESSIONS = 20_000
_NOTE_BYTES = 200
_SAID_AGAIN_S = 60.0
_TROUBLES: dict[Trouble, str] = {"full": "the disk is full", "away": "the database does not answer"}
_POLICIES: dict[WhenFull, str] = {
    "refuse": "inputs are refused until it can be written again",
    "answer": "answers are given without being kept until it can be written again",
}


@dataclass
class _Waiting:
    """A row that waits to be written; `standing`, of an answer, becomes the one that the input has."""

    row: Answered | Note
    size_bytes: int
    standing: "asyncio.Future[Answer] | None" = None


@dataclass
class _Outage:
    """A time in which nothing can be written."""

    trouble: Trouble
    since_s: float
    refused: int
    unkept: int
    told: bool


class Ledger:
    """The answers by input, and what was decided and found out meanwhile, in a database that outlives the process.

    Answers that come while others are written share the next transaction. All methods are for one event loop; the
    database is asked in threads. On a full disk, or when the database is away for longer than `patience_s`, `when_full`
    says whether answers are refused or given without being kept; it is tried again until it works.

    Args:
        database: where; the ledger closes it.
        retention: what is deleted; None: nothing.
        when_full: what becomes of answers that can't be written.
        waiting_bytes: how much may wait to be written; what is more is refused.
        retry_s: how long to wait before the next try.
        patience_s: how long a database that is away is waited for before that counts as an outage.
        is_more_coming: whether other inputs are on their way: only then it is waited for their answers.
        clock_ns: Unix time.

    Attributes:
        listeners: are told of each new answer, once it is kept or given without being kept; they may not wait.
    """

    def __init__(
        self,
        database: Database,
        *,
        retention: Retention | None = None,
        when_full: WhenFull = "refuse",
        waiting_bytes: int = 64 * 2**20,
        retry_s: float = 1.0,
        patience_s: float = 5.0,
        is_more_coming: Callable[[], bool] = lambda: False,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.database = database
        self.retention = retention or Retention()
        self.when_full = when_full
        self.most_waiting_bytes = waiting_bytes
        self.retry_s = retry_s
        self.patience_s = patience_s
        self.is_more_coming = is_more_coming
        self.clock_ns = clock_ns
        self.listeners: list[Callable[[Answered], None]] = []
        self._store = Store(database, clock_ns)
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._writing: dict[InputKey, asyncio.Future[Answer]] = {}
        self._latest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._flushing: asyncio.Task[None] | None = None
        self._outage: _Outage | None = None
        self._failing_since_s: float | None = None
        self._ended_s = self._committed_s = float("-inf")
        self._closing = False
        self._counts = Counts()
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._reader = ThreadPoolExecutor(1, "ledger-reader")

    @classmethod
    def open(cls, place: Path | str, **options: Any) -> "Ledger":
        """The ledger in a file or at a URL, made if it is not there; `options` as the class takes them.

        Raises:
            InvalidInput: it can't be opened.
        """
        return cls(Database(place), **options)

    async def find(self, key: InputKey) -> Answer | None:
        """The answer that this input got before; None: it has none.

        An input that is newer than all of its session that were answered is known to be new without asking the
        database: that of which there are most costs nothing.

        Raises:
            Overloaded: the database does not answer; or, of an answer that is being written, what `record` raises.
            InvalidInput: likewise.
        """
        if (writing := self._writing.get(key)) is not None:
            return await asyncio.shield(writing)
        session = (key.device, key.session)
        latest = self._latest.get(session)
        if latest is not None and key.sequence > latest:
            return None
        try:
            if latest is None:
                found = await self._read(self._store.find_latest, key)
                self._answered(session, found)
                if key.sequence > found:
                    return None
            answer: Answer | None = await self._read(self._store.find, key)
            return answer
        except DBAPIError as error:
            raise Overloaded("the ledger does not answer: try again later") from error

    async def record(self, answered: Answered) -> Answer:
        """Writes an answer, and returns the one that stands for its input once that is on disk.

        It is another one where the input was answered already.

        Raises:
            Overloaded: it can't be written now, and `when_full` says to refuse; or too much waits already.
            InvalidInput: this answer can't be kept.
        """
        # Whoever asked may go: the answer is written all the same.
        return await asyncio.shield(self.standing(answered))

    def standing(self, answered: Answered) -> "asyncio.Future[Answer]":
        """Has an answer written; gives what `record` waits for, not to be cancelled, or raises what that does."""
        waiting = self._writing.get(answered.key)
        if waiting is None:
            if self._outage is not None:
                self.check()
                self._give_unkept(answered)
                waiting = asyncio.get_running_loop().create_future()
                waiting.set_result(answered.message)
                return waiting
            waiting = self._wait(answered)
        return waiting

    def check(self) -> None:
        """Makes sure that an answer would be kept, before work is spent on it.

        Raises:
            Overloaded: it would be refused.
        """
        if self._outage is not None and self.when_full == "refuse":
            self._counts.refused += 1
            raise Overloaded(f"the ledger can't be written ({_TROUBLES[self._outage.trouble]}): try again later")

    def journal(
        self, kind: str, text: str, *, device: str = "", model: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        """Notes what was decided or happened, without waiting; while nothing can be written it is lost, and counted.

        Args:
            kind: "plan", "load", "unload", "trust", ...: what to look for it by.
            text: what a person reads.
            device: which it is about.
            model: which it is about.
            data: more of it, for JSON.
        """
        row = {"kind": kind, "device": device, "model": model, "text": text}
        self._note(JOURNAL, {**row, "data": "" if data is None else json.dumps(data, default=str)})

    def audited(
        self, key: InputKey, model: str, *, origin: str, confidence: float, trusted: bool, agreement: float
    ) -> None:
        """Notes how far what would have been answered without a model agrees with what it said, without waiting."""
        row = {"device": key.device, "session": key.session, "sequence": key.sequence, "model": model}
        told = {"origin": origin, "confidence": confidence, "trusted": trusted, "agreement": agreement}
        self._note(AUDITS, row | told)

    async def tidy(self) -> None:
        """Deletes what is too old or too much, a piece at a time, so that answers don't wait for it."""
        try:
            await asyncio.to_thread(self.retention.measure, self.database)
            while await self._write(self.retention.delete_some, self.database, self.clock_ns() // 1000):
                pass
        except DBAPIError as error:
            if self.database.trouble(error) is None:
                raise
            logger.debug("%s: nothing can be deleted for now: %s", self.database.name, error)

    def stats(self) -> LedgerStats:
        """What it did so far."""
        return LedgerStats(
            **vars(self._counts),
            waiting=len(self._waiting),
            waiting_bytes=self._waiting_bytes,
            trouble="" if self._outage is None else self._outage.trouble,
            deleted=self.retention.deleted,
        )

    async def close(self) -> None:
        """Writes what waits, as far as it can be written, and closes the database; closing twice is fine."""
        self._closing = True
        if self._flushing is not None:
            if self._outage is not None:
                self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        for thread in (self._writer, self._reader):
            await asyncio.to_thread(thread.shutdown)
        self.database.close()

    def _wait(self, answered: Answered) -> "asyncio.Future[Answer]":
        size_bytes = answered.size_bytes
        if self._waiting_bytes and self._waiting_bytes + size_bytes > self.most_waiting_bytes:
            self._counts.refused += 1
            raise Overloaded("too many answers wait for the ledger: try again later")
        key, standing = answered.key, asyncio.get_running_loop().create_future()
        self._writing[key] = standing
        standing.add_done_callback(lambda _: self._written(key))
        self._answered((key.device, key.session), key.sequence)
        self._push(_Waiting(answered, size_bytes, standing))
        return standing

    def _written(self, key: InputKey) -> None:
        standing = self._writing.pop(key)
        if not standing.cancelled():
            standing.exception()  # Retrieved: whoever asked may be gone.

    def _note(self, table: Any, row: Mapping[str, Any]) -> None:
        size_bytes = _NOTE_BYTES + sum(len(value) for value in row.values() if isinstance(value, str))
        if self._outage is not None or self._waiting_bytes + size_bytes > self.most_waiting_bytes:
            self._counts.notes_lost += 1
            return
        at_us = self.clock_ns() // 1000
        clean = {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row.items()}
        self._push(_Waiting(Note(table, {**clean, "at_us": at_us}), size_bytes))

    def _push(self, item: _Waiting) -> None:
        self._waiting.append(item)
        self._waiting_bytes += item.size_bytes
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    def _answered(self, session: tuple[str, str], sequence: int) -> None:
        self._latest[session] = max(sequence, self._latest.get(session, -1))
        self._latest.move_to_end(session)
        if len(self._latest) > _SESSIONS:
            self._latest.popitem(last=False)

    async def _flush(self) -> None:
        while self._waiting:
            early_s = self._committed_s + _APART_S - time.perf_counter()
            if early_s > 0 and not self._closing and self.is_more_coming():
                await asyncio.sleep(early_s)
            group = self._waiting[:_GROUP]
            began_s = time.perf_counter()
            try:
                standing = await self._write(self._store.write, [item.row for item in group])
            except DBAPIError as error:
                trouble = self.database.trouble(error)
                assert trouble is not None, "all else is of one row"
                await self._recover(trouble)
                continue
            self._failing_since_s = None
            group = group[: len(standing)]
            del self._waiting[: len(group)]
            self._waiting_bytes -= sum(item.size_bytes for item in group)
            self._counts.commits += 1
            self._committed_s = time.perf_counter()
            self._counts.commit_s += self._committed_s - began_s
            for item, answer in zip(group, standing, strict=True):
                self._tell(item, answer)

    def _tell(self, item: _Waiting, answer: Answer | InfilinkError | None) -> None:
        if item.standing is None:
            self._counts.notes_lost += answer is not None
        elif isinstance(answer, InfilinkError):
            item.standing.set_exception(answer)
        elif answer is not None:
            if isinstance(item.row, Answered) and answer is item.row.message:
                self._counts.kept += 1
                self._announce(item.row)
            item.standing.set_result(answer)

    def _give_unkept(self, answered: Answered) -> None:
        self._counts.unkept += 1
        self._announce(answered)

    def _announce(self, answered: Answered) -> None:
        for listener in self.listeners:
            try:
                listener(answered)
            except Exception:
                logger.exception("an answer can't be published")

    async def _recover(self, trouble: Trouble) -> None:
        """Waits for the next try; in an outage, until something can be written again."""
        now_s = time.monotonic()
        since_s = self._failing_since_s = now_s if self._failing_since_s is None else self._failing_since_s
        if trouble == "away" and now_s - since_s < self.patience_s and not self._closing:
            await asyncio.sleep(self.retry_s)
            return
        outage = self._outage = self._begin_outage(trouble, since_s)
        while not self._closing:
            await asyncio.sleep(self.retry_s)
            with suppress(DBAPIError):
                await self._write(self._store.write, [self._outage_row(outage)])
                break
        if outage.told:
            logger.info("%s: can be written again", self.database.name)
        self._outage, self._ended_s = None, time.monotonic()

    def _begin_outage(self, trouble: Trouble, since_s: float) -> _Outage:
        """What waits is refused, or given without being kept."""
        self._counts.troubles += 1
        outage = _Outage(
            trouble, since_s, self._counts.refused, self._counts.unkept, told=since_s - self._ended_s >= _SAID_AGAIN_S
        )
        if outage.told:
            logger.error("%s: %s; %s", self.database.name, _TROUBLES[trouble], _POLICIES[self.when_full])
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for item in waiting:
            if item.standing is None or isinstance(item.row, Note):
                self._counts.notes_lost += 1
            elif self.when_full == "answer":
                self._give_unkept(item.row)
                item.standing.set_result(item.row.message)
            else:
                self._counts.refused += 1
                item.standing.set_exception(Overloaded(f"the ledger can't be written ({_TROUBLES[trouble]})"))
        return outage

    def _outage_row(self, outage: _Outage) -> Note:
        counts, seconds = self._counts, time.monotonic() - outage.since_s
        refused, unkept = counts.refused - outage.refused, counts.unkept - outage.unkept
        text = f"could not be written for {seconds:.0f} s ({_TROUBLES[outage.trouble]})"
        data = json.dumps({"refused": refused, "unkept": unkept, "seconds": seconds})
        row = {"kind": "ledger", "device": "", "model": "", "text": text, "data": data}
        return Note(JOURNAL, {**row, "at_us": self.clock_ns() // 1000})

    async def _write(self, call: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *values)

    async def _read(self, call: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._reader, call, *values)
