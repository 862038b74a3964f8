"""What a spool holds, sent session by session: sent again where a connection broke or the coordinator had no place."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ...protos import edge_pb2
from .budget import Budget
from .connection_window import ConnectionWindow
from .outbox import Outbox, Taken
from .spool import Spool
from .spool_drain import SpoolDrain
from .spool_rows import SpoolRow, SpoolSession
from .spool_settings import Order

logger = logging.getLogger(__name__)

_LOOKS_EVERY_S = 0.5


class SpoolOutbox(Outbox):
    """Sends what a spool holds.

    Args:
        spool: what holds it.
        window: the most inputs that may be in flight.
        order: in which order they go.
        slow_s: an answer that takes longer says that too much is on its way.
        clock: seconds that never go back.
        unix_ns: the machine's clock, for the budget of a day.

    Attributes:
        session: the one whose inputs go on the present connection.
    """

    def __init__(
        self,
        spool: Spool,
        window: int,
        *,
        order: Order,
        slow_s: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(window, slow_s=slow_s, clock=clock)
        settings = spool.settings
        self.spool = spool
        self.order = order
        self.session: SpoolSession = spool.session
        self.budget = Budget(
            settings.bytes_per_s,
            settings.bytes_a_day,
            settings.calls_a_day,
            saved=spool.get("budget"),
            clock=clock,
            unix_ns=unix_ns,
        )
        self._drain = SpoolDrain(spool, self.session.id, order)
        self._rows: dict[int, SpoolRow] = {}
        self._answers = 0
        self._told_spent = False

    def open_connection(self) -> ConnectionWindow:
        """Begins a connection, on which the inputs of one session are sent."""
        session = self.spool.session_to_serve()
        with self._changed:
            self.session = session
            self._drain = SpoolDrain(self.spool, session.id, self.order)
            self._rows = {}
            return self._begin(ConnectionWindow([], slow_s=self.slow_s))

    def take(self, connection: ConnectionWindow, timeout_s: float) -> Taken:
        """What to send next on a connection; None: nothing in time, at the end, once it is closed, or is to end."""
        until_s = self.clock() + timeout_s
        while True:
            with self._changed:
                if connection.closed:
                    return None
                if connection.frames:
                    return connection.frames.popleft()
                wait_s = max(self._pause_s(), self._budget_s())
                ready = connection.has_room and wait_s <= 0 and not self.held and not self._finishing
            # Without the lock: whoever adds does not wait for the disk.
            row = self._next() if ready else None
            if row is not None:
                return self._send(connection, row)
            if ready and not connection.sent_s and self._is_over():
                connection.over = True
                return None
            with self._changed:
                left_s = until_s - self.clock()
                if left_s <= 0 or self._finishing:
                    return None
                if not connection.frames and not connection.closed:
                    self._changed.wait(min(left_s, _LOOKS_EVERY_S, wait_s if wait_s > 0 else left_s))

    def is_unanswered(self, sequence: int) -> bool:
        """Whether an input that was sent on this connection is still to be answered."""
        row = self.row(sequence)
        return row is not None and self.spool.is_waiting(row.head.key)

    def row(self, sequence: int) -> SpoolRow | None:
        """An input that was sent on this connection and has no answer yet, without its message."""
        with self._changed:
            return self._rows.get(sequence)

    def postpone(self, connection: ConnectionWindow, sequence: int, after_s: float = 0.0) -> None:
        """Has an input sent again on the same connection, after a while."""
        with self._changed:
            connection.answer(sequence, self.clock(), counts=False)
            row = self._rows.pop(sequence, None)
            if row is not None:
                self._drain.again(row.head)
            connection.pause(after_s, self.clock())
            self._changed.notify_all()

    def chain_before(self, chain: int, sequence: int) -> list[bytes]:
        """The inputs of a chain of this connection's session before a sequence, answered or not, as messages."""
        heads = self.spool.chain(self.session.id, chain)
        rows = [self.spool.load(head) for head in heads if head.key.sequence < sequence]
        return [row.message for row in rows if row is not None]

    def drain(self, timeout_s: float, stopped: threading.Event | None = None) -> None:
        """Waits until everything is answered, for as long as answers come; what is left goes out in the next run.

        Once it is stopped only those are waited for that are on their way.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        with self._changed:
            answers, since_s = self._answers, time.monotonic()
            while self.spool.waiting().count:
                self._raise_failure()
                connection = self._connection
                if stopped is not None and stopped.is_set():
                    # The rest goes out in the next run.
                    self.held = True
                    if connection is None or not connection.sent_s:
                        return
                if self._answers > answers:
                    answers, since_s = self._answers, time.monotonic()
                left_s = since_s + timeout_s - time.monotonic()
                if left_s <= 0:
                    return
                self._changed.wait(min(left_s, _LOOKS_EVERY_S))

    def _next(self) -> SpoolRow | None:
        with self._changed:
            skip = {row.head.key for row in self._rows.values()}
            self._drain.admit()
        return self._drain.take(skip, len(skip))

    def _send(self, connection: ConnectionWindow, row: SpoolRow) -> edge_pb2.Input:
        message = edge_pb2.Input()
        message.ParseFromString(row.message)
        size_bytes = len(row.message)
        with self._changed:
            self._rows[row.head.key.sequence] = replace(row, message=b"")
            connection.send(row.head.key.sequence, size_bytes, self.clock())
        saved = self.budget.spend(size_bytes)
        if saved:
            self.spool.keep("budget", saved)
        return message

    def _settle(self, sequence: int) -> None:
        self._answers += 1
        self._rows.pop(sequence, None)

    def _budget_s(self) -> float:
        wait_s = self.budget.wait_s()
        if self.budget.is_spent and not self._told_spent:
            logger.warning("the day's budget is spent (`bytes_a_day`, `calls_a_day`): inputs wait in the spool")
        self._told_spent = self.budget.is_spent
        return wait_s

    def _is_over(self) -> bool:
        return self.spool.session_to_serve().id != self.session.id
