"""How many events each stream had in the last hour: read from the ledger once, then counted as answers are kept."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ..ledger.database import Database
from ..ledger.rows import Answered, Kept
from .stream_events import MOST_EVENTS, Runs, follow_events
from .tiles import now_us

logger = logging.getLogger(__name__)

_HOUR_US = 3_600_000_000
_MOST_STREAMS = 4096
_MOST_WAITING = 10_000
# One at a time, and not that of a stream's page, which somebody waits for.
_READING = ThreadPoolExecutor(1, "event-counts")


@dataclass(eq=False)
class _Counted:
    """One stream: when its newest events began, and what each model says is there now.

    `number` is the last answer that counts in it; None: the ledger is being read, and what is kept meanwhile waits.
    """

    starts: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    runs: dict[str, Runs] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    number: int | None = None
    waiting: list[Kept] = field(default_factory=list)

    def take(self, kept: Kept) -> None:
        """Counts an answer that came after all that count already."""
        for model, classes in kept.classes:
            # Hardly any answer says otherwise than the one before.
            if self.said.get(model) == classes:
                continue
            self.said[model] = classes
            _, _, begun = self.runs.setdefault(model, Runs()).take(kept.answered_us, classes)
            self.starts.extend([kept.answered_us] * len(begun))


class EventCounts:
    """Counts the events of the streams that somebody has looked at, of more than `most_streams` the newest of these.

    Args:
        database: the ledger's.
        clock_us: Unix time.
        most_streams: how many.
    """

    def __init__(
        self, database: Database, *, clock_us: Callable[[], int] = now_us, most_streams: int = _MOST_STREAMS
    ) -> None:
        self.database = database
        self.clock_us = clock_us
        self.most_streams = most_streams
        self._streams: OrderedDict[str, _Counted] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    def take(self, answered: Answered) -> None:
        """Counts an answer, if it stands in the ledger."""
        counted, kept = self._streams.get(answered.key.device), answered.kept
        if counted is None or not kept.number:
            return
        if counted.number is not None:
            counted.take(kept)
        elif len(counted.waiting) < _MOST_WAITING:
            counted.waiting.append(kept)
        else:
            del self._streams[answered.key.device]

    def of(self, stream: str) -> dict[str, Any] | None:
        """How many events began within the last hour, whether there were more, and when the newest did.

        None: that is not known yet; it will be soon.
        """
        counted = self._streams.get(stream)
        if counted is None:
            self._begin(stream)
            return None
        if counted.number is None:
            return None
        starts, since_us = counted.starts, self.clock_us() - _HOUR_US
        while starts and starts[0] < since_us:
            starts.popleft()
        return {
            "count": len(starts),
            "more": len(starts) == MOST_EVENTS,
            "newest_us": starts[-1] if starts else 0,
        }

    def _begin(self, stream: str) -> None:
        if stream in self._reading:
            return
        counted = self._streams[stream] = _Counted()
        if len(self._streams) > self.most_streams:
            self._streams.popitem(last=False)
        task = self._reading[stream] = asyncio.create_task(self._seed(stream, counted))
        task.add_done_callback(lambda _: self._reading.pop(stream, None))

    async def _seed(self, stream: str, counted: _Counted) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(_READING, self._read, stream)
        except SQLAlchemyError as error:
            # Whoever looks next has it read again.
            logger.debug("%s: the events of %s can't be counted for now: %s", self.database.name, stream, error)
            if self._streams.get(stream) is counted:
                del self._streams[stream]
            return
        starts, counted.runs, counted.number = found
        counted.starts.extend(starts)
        for kept in counted.waiting:
            if kept.number > counted.number:
                counted.take(kept)
        counted.waiting.clear()

    def _read(self, stream: str) -> tuple[list[int], dict[str, Runs], int]:
        with self.database.read() as connection:
            return follow_events(connection, stream, self.clock_us() - _HOUR_US)
