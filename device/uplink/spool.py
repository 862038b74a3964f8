"""Inputs on disk until they are answered: taken without waiting, synced by a thread that groups them, bounded."""

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .spool_bounds import Held, excess, has_no_room
from .spool_clock import SpoolClock
from .spool_disk import SpoolDisk
from .spool_file import Change, DamagedRow, SpoolFile
from .spool_memory import SpoolMemory, Told
from .spool_rows import Head, Key, SpoolRow, SpoolSession, Waiting
from .spool_sessions import SpoolSessions
from .spool_settings import Order, SpoolSettings

logger = logging.getLogger(__name__)

_AGAIN_S, _LOOKS_EVERY_S, _SAVES_CLOCK_S, _SETTLES_WITHIN_S = (0.5, 10.0), 5.0, 10.0, 2.0

OnDropped = Callable[[Head, str], None]


class Spool:
    """One stream's inputs, from their decision to their answer.

    What is put in may be sent at once, and is synced within `sync_every_s`; what is answered before is not written at
    all. While the disk takes nothing (full, read-only, failing) inputs wait in memory, within `memory_bytes`.

    Args:
        settings: the bounds.
        path: its file.
        live: whether its source is.
        on_dropped: called with an input that is given up unanswered, and why; from any thread.
        on_change: called when there may be more to send; from any thread.
        monotonic, unix_ns: the machine's clocks.

    Attributes:
        clock: its time.
        disk: its file; of what is there some may be answered.
        last: the newest input of each session that was written.
        taken, dropped, behind: how many were synced, or answered before that; given up; seen after newer ones.

    Raises:
        InvalidInput: another agent uses it, or a newer infilink wrote it.
    """

    def __init__(
        self,
        settings: SpoolSettings,
        path: Path,
        *,
        live: bool,
        on_dropped: OnDropped = lambda head, reason: None,
        on_change: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings
        self.path = path
        self.live = live
        self.when_full = settings.when_full(live=live)
        self.on_dropped = on_dropped
        self.on_change = on_change
        self.taken = self.dropped = self.behind = 0
        self._waits = self._is_full = False
        self._sessions = SpoolSessions(live=live)
        self._changed = threading.Condition()
        self._memory = SpoolMemory()
        self._answered: dict[Key, Head] = {}
        self._unsettled: dict[Key, float] = {}  # When those were answered whose answer is not kept elsewhere yet.
        self._gone: list[Key] = []
        self._writing: frozenset[Key] = frozenset()
        self.last: dict[str, Head] = {}
        self._held, self._opened = Held(), 0
        self.disk = SpoolDisk(path)
        self._memory.written(self.disk.read(SpoolFile.about, {}))
        self._look_again()
        floor_s = max([head.taken_s for head in self.last.values()], default=0.0)
        self.clock = SpoolClock(self._memory.value("clock"), floor_s=floor_s, monotonic=monotonic, unix_ns=unix_ns)
        self._saved_s = float("-inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def can_go_on(self, source: str) -> bool:
        """Whether the newest session is of this source, and has not ended."""
        return self._sessions.can_go_on(source)

    def begin(self, source: str, *, results: str = "", floor_s: float = 0.0) -> SpoolSession:
        """Goes on with the newest session, if it is of this source and has not ended; else begins one.

        Args:
            source: what the inputs come from.
            results: the results file that their answers belong to.
            floor_s: a live source's inputs come later than this, in the session's time.
        """
        self._sessions.begin(source, results)
        if self.live:
            self.clock.offset_s += max(0.0, floor_s + 1e-3 - self.clock())
        self._sync()
        self._thread.start()
        return self._sessions.present

    @property
    def session(self) -> SpoolSession:
        """The session that new inputs belong to."""
        return self._sessions.present

    @property
    def next_sequence(self) -> int:
        """One more than the largest sequence that any input may have had."""
        lasts = [head.key.sequence + 1 for head in self.last.values()]
        return max([self._sessions.next_sequence, *lasts])

    @property
    def state(self) -> str:
        """Whether it is "ready" or "full", or why it can't be written."""
        return self.disk.trouble or ("full" if self._is_full or self._waits else "ready")

    def put(self, row: SpoolRow, told: Told, *, stopped: Callable[[], bool] = lambda: False) -> Head:
        """Takes an input that is to be sent; returns how it is known here.

        Args:
            row: the input, by the sequence that it has in the present session.
            told: called once it counts as taken.
            stopped: ends the wait for room (`full = "block_source"`); it is taken all the same.
        """
        head, dropped = row.head, []
        with self._changed:
            while self.when_full == "block_source" and self._has_no_room(head.size_bytes) and not stopped():
                self._waits = True
                self._changed.wait(0.1)
            self._waits = False
            sequence = head.key.sequence
            session = self._sessions.note(sequence, is_writable=not self.disk.trouble)
            head = replace(head, key=Key(session, sequence))
            self._memory.tell(head.key, told)
            last = self.last.get(session)
            # A recording that goes on after it was killed may come by inputs again that are here.
            if last is None or last.key.sequence < sequence or not self.disk.read(lambda it: it.has(head.key), False):
                self._memory.add(replace(row, head=head))
            while self._memory.size_bytes > self.settings.memory_bytes and len(self._memory) > 1:
                gone = self._memory.drop(by_value=self.when_full == "drop_lowest_value")
                dropped += [head for head in gone if self._answered.pop(head.key, None) is None]
            self._changed.notify_all()
        self._tell_dropped(dropped, "more waits than memory holds")
        self.on_change()
        return head

    def pass_by(self, sequence: int, told: Told) -> None:
        """Takes note of an input that is not to be sent; `told` is called in its turn."""
        with self._changed:
            session = self._sessions.note(sequence, is_writable=not self.disk.trouble)
            self._memory.tell(Key(session, sequence), told)
            self._changed.notify_all()

    def answered(self, head: Head) -> None:
        """Takes note that an input has its answer: it is not sent again in this run."""
        with self._changed:
            told = self._memory.take_one_told(head.key)
            self._answered[head.key], self._unsettled[head.key] = head, self.clock()
            self._changed.notify_all()
        if told is not None:
            told()

    def settle(self, head: Head) -> None:
        """Takes note that the answer to an input, which was told before, is kept: the input need not be any more."""
        with self._changed:
            self._unsettled.pop(head.key, None)
            # One that is just being written will be on disk.
            if head.chain is None and head.key not in self._writing and self._memory.remove(head.key) is not None:
                self._answered.pop(head.key, None)
                self.taken += 1
            elif head.key in self._answered:
                self._gone.append(head.key)
            self._changed.notify_all()

    def drop(self, head: Head, reason: str) -> None:
        """Gives an input up, unanswered."""
        self.answered(head)
        self.settle(head)
        self._tell_dropped([head], reason)

    def get(self, name: str) -> bytes:
        """A single value that was kept, also in an earlier run; empty: there is none."""
        return self._memory.value(name)

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a single value."""
        with self._changed:
            self._memory.keep(name, value)
            self._changed.notify_all()

    def change_session(self, **values: Any) -> None:
        """Changes what is known of the present session."""
        with self._changed:
            self._sessions.change(**values)
            self._changed.notify_all()

    def move_results(self, path: str, to: str) -> None:
        """Takes note that the results file of earlier sessions has another name now."""
        for session in self._sessions.move_results(path, to):
            self.disk.write(Change(session=session))

    def results_of(self, session: str) -> str:
        """The results file that a session's answers belong to; empty: none."""
        return self._sessions.get(session).results

    def session_to_serve(self) -> SpoolSession:
        """The oldest session that has inputs without an answer; if none has, the present one."""
        others = (each for each in self._sessions.ids if each != self.session.id and self._has_unanswered(each))
        return self._sessions.get(next(others, self.session.id))

    def waiting(self) -> Waiting:
        """What waits to be answered."""
        with self._changed:
            held, memory = replace(self._held), [row.head for row in self._memory][:1]
            held.count += len(self._memory) - len(self._answered)
            held.size_bytes += self._memory.size_bytes
        # Without the lock: whoever puts in does not wait for the disk.
        heads = [*self.disk.heads(lambda it: it.oldest(limit=1)), *memory] if held.count > 0 else []
        return Waiting(held.count, held.size_bytes, max(0.0, self.clock() - heads[0].taken_s)) if heads else Waiting()

    def pick(self, session: str, skip: Container[Key], order: Order = "oldest") -> SpoolRow | None:
        """The input of a session that is not on disk yet, may be sent, and goes first in an order."""
        with self._changed:
            return self._memory.pick(lambda key: key.session == session and self._may_go(key, skip), order)

    def chain(self, session: str, chain: int) -> list[Head]:
        """The inputs of a chain that are here, answered or not, in their order."""
        found = {head.key: head for head in self.disk.heads(lambda it: it.chain(session, chain))}
        with self._changed:
            found.update({row.head.key: row.head for row in self._memory if row.head.chain_key == Key(session, chain)})
        return sorted(found.values(), key=lambda head: head.key.sequence)

    def is_waiting(self, key: Key) -> bool:
        """Whether an input that is here has no answer yet."""
        return key not in self._answered

    def load(self, head: Head) -> SpoolRow | None:
        """An input's row; None: it is gone, or damaged, which is told and counted."""
        with self._changed:
            row = self._memory.get(head.key)
        try:
            return row if row is not None else self.disk.load(head)
        except DamagedRow:
            self.drop(head, "damaged on the disk")
            return None

    def wait_settled(self, timeout_s: float) -> None:
        """Waits until the answers that came are kept, for a while."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unsettled, timeout_s)

    def close(self) -> None:
        """Syncs what is left, and closes the file; closing twice is fine."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self.disk.close()

    def _has_unanswered(self, session: str) -> bool:
        with self._changed:
            heads = [row.head for row in self._memory if row.head.key.session == session]
        if session in self.last:
            heads += self.disk.heads(lambda it: it.unanswered(session, limit=len(self._answered) + 1))
        return any(head.key not in self._answered for head in heads)

    def _may_go(self, key: Key, skip: Container[Key]) -> bool:
        return key not in skip and key not in self._answered and self._sessions.may_go(key)

    def _has_no_room(self, size_bytes: int) -> bool:
        memory = self._memory
        if self.disk.trouble:
            return len(memory) > 0 and memory.size_bytes + size_bytes > self.settings.memory_bytes
        held = Held(self._held.count + len(memory), self._held.size_bytes + memory.size_bytes)
        return has_no_room(self.settings, held, size_bytes)

    def _tell_dropped(self, heads: Iterable[Head], reason: str) -> None:
        for head in heads:
            if not self.dropped:
                logger.warning("the spool %s gives inputs up: %s (told once, and counted)", self.path, reason)
            self.dropped += 1
            with self._changed:
                told = self._memory.take_one_told(head.key)
            if told is not None:
                told()
            self.on_dropped(head, reason)

    def _look_again(self) -> None:
        """What is in the file, where that was opened anew."""
        if self._opened == self.disk.opened:
            return
        self._opened, self.behind = self.disk.opened, self.behind + 1
        self._sessions.look(self.disk.read(SpoolFile.sessions, []))
        self._held = Held(*self.disk.read(SpoolFile.totals, (0, 0)))
        lasts = {session: self.disk.read(lambda it, id=session: it.last(id), None) for session in self._sessions.ids}  # type: ignore[misc]
        self.last = {session: last for session, last in lasts.items() if last is not None}

    def _run(self) -> None:
        """Syncs what is new, again and again; the thread's whole life."""
        wait_s, closing = _AGAIN_S[0], False
        while not closing:
            with self._changed:
                if not self._closing.is_set() and not self._has_work():
                    self._changed.wait(_LOOKS_EVERY_S)
            closing = self._closing.wait(self.settings.sync_every_s)
            done = self._sync(closing=closing)
            if done:
                wait_s = _AGAIN_S[0]
                self._enforce()
            elif not closing:
                self._closing.wait(wait_s)
                wait_s = min(2 * wait_s, _AGAIN_S[1])

    def _has_work(self) -> bool:
        is_new = len(self._memory) or self._memory.untold or self._gone or self._memory.values or self._memory.closed
        return bool(is_new) or bool(self.disk.trouble) or self._sessions.to_write(0) is not None

    def _sync(self, *, closing: bool = False) -> bool:
        """Writes what is new in one commit, and tells of it; returns whether that was possible."""
        change, keys = self._change(closing=closing)
        gone = self.disk.write(change) if change or self.disk.trouble else frozenset()
        with self._changed:
            self._writing = frozenset()
            if gone is not None:
                self._take_written(change, gone)
            else:
                self._forget_answered()
            # In memory alone nothing is promised of it, and nobody waits for that to change.
            told = self._memory.take_told(keys)
            self._look_again()
            self._changed.notify_all()
        for each in told:
            each()
        self.on_change()
        return gone is not None

    def _change(self, *, closing: bool) -> tuple[Change, set[Key]]:
        """What is to be written, and the inputs that are told of once it is."""
        with self._changed:
            keys = self._memory.waiting_to_be_told()
            # Where the results can't be written an answered input outlives the agent here.
            now_s = float("inf") if closing else self.clock()
            unkept = {key for key, at_s in self._unsettled.items() if now_s - at_s > _SETTLES_WITHIN_S}
            rows = self._memory.to_write(self._answered.keys() - unkept)
            closed, forgotten = self._memory.take_closed(rows, self._unsettled)
            self._answered = {key: head for key, head in self._answered.items() if key not in forgotten}
            self._writing = written = frozenset(row.head.key for row in rows)
            gone = [key for key in self._gone if self._memory.get(key) is None or key in written]
            about = self._memory.values
            if closing or ((rows or keys) and self.clock() - self._saved_s > _SAVES_CLOCK_S):
                self._saved_s = self.clock()
                about["clock"] = self.clock.save()
            session = self._sessions.to_write(len(keys), closing=closing)
            change = Change(rows, gone, about, session, closed, self._memory.chain)
        return change, keys

    def _forget_answered(self) -> None:
        # What was answered while it could not be written need not be.
        for key in [row.head.key for row in self._memory if row.head.chain is None]:
            if key not in self._unsettled and self._answered.pop(key, None) is not None:
                self._memory.remove(key)

    def _take_written(self, change: Change, gone: frozenset[Key]) -> None:
        for head in [row.head for row in change.rows]:
            if self._memory.remove(head.key) is not None:
                self.taken += 1
                self._held.add(head)
                last = self.last.setdefault(head.key.session, head)
                self.behind += last.key.sequence > head.key.sequence
                self.last[head.key.session] = max(last, head, key=lambda each: each.key.sequence)
        for key in change.gone:
            left = self._answered.pop(key, None)
            if left is not None and key in gone:
                self._held.add(left, times=-1)
        self._gone = [key for key in self._gone if key in self._answered]
        self._memory.closed = [chain for chain in self._memory.closed if chain not in change.closed]
        self._memory.written(change.about)
        if change.session is not None:
            self._sessions.written(change.session)

    def _enforce(self) -> None:
        """Gives up what is too old, or what there is no room for."""
        while True:
            with self._changed:
                held, skip = replace(self._held), {*self._answered}
            heads, why = excess(self.disk, self.settings, self.when_full, held, skip, self.clock())
            self._is_full = bool(heads) and "full" in why
            with self._changed:
                self._answered.update({head.key: head for head in heads})
                self._gone += [head.key for head in heads]
            self._tell_dropped(heads, why)
            if not heads or not self._sync():
                return
