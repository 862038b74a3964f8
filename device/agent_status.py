"""What an agent says of itself: each stream's figures, how fast it is, and what went wrong lately."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from .. import __version__
from .config import DeviceConfig
from .stream_keeper import StreamKeeper

_PROBLEMS = 8
_RATE_OVER_S = 10.0
_LONGEST = 500


class Problems(logging.Handler):
    """Remembers the newest lines of the log that are warnings or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.newest: deque[dict[str, Any]] = deque(maxlen=_PROBLEMS)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        text = record.getMessage()[:_LONGEST]
        self.newest.append({"at_s": record.created, "level": record.levelname.lower(), "text": text})


class Rates:
    """How many inputs a second each stream gave over the last ten seconds.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def take(self, inputs: Mapping[str, int]) -> None:
        """Takes note of how many inputs each stream has given so far; streams that are gone are forgotten."""
        now_s = self.clock()
        for name in set(self._seen) - set(inputs):
            self._seen.pop(name)
        for name, count in inputs.items():
            seen = self._seen.setdefault(name, deque())
            # A stream that was started anew counts from the beginning.
            if seen and count < seen[-1][1]:
                seen.clear()
            seen.append((now_s, count))
            while len(seen) > 2 and now_s - seen[1][0] >= _RATE_OVER_S:
                seen.popleft()

    def per_s(self, name: str) -> float:
        """The inputs a second of a stream; 0 if nothing is known of it yet."""
        seen = list(self._seen.get(name, ()))
        if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
            return 0.0
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


class AgentStatus:
    """Looks at an agent's streams about once a second, and tells of them at any time, from any thread.

    Args:
        config: gives the agent's settings as they are now.
        streams: gives its streams.
        clock: seconds that never go back.

    Attributes:
        problems: a handler for the log, whose warnings are told, too.
    """

    def __init__(
        self,
        config: Callable[[], DeviceConfig],
        streams: Callable[[], Iterable[StreamKeeper]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.streams = streams
        self.clock = clock
        self.problems = Problems()
        self._rates = Rates(clock)
        self._began_s = clock()

    def look(self) -> None:
        """Takes note of how far each stream is."""
        self._rates.take({each.name: each.inputs for each in self.streams()})

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        config = self.config()
        return {
            "name": config.name,
            "version": __version__,
            "pid": os.getpid(),
            "coordinator": config.coordinator,
            "up_s": self.clock() - self._began_s,
            "streams": {each.name: self._of(each) for each in self.streams()},
            "problems": list(self.problems.newest),
        }

    def text(self) -> str:
        """In one line, for `systemctl status`."""
        return "; ".join(self._text(each) for each in self.streams()) or "no streams"

    def _of(self, stream: StreamKeeper) -> dict[str, Any]:
        report = MessageToDict(
            stream.report(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        # Whole numbers of 64 bits are texts in protobuf's JSON.
        counts = {
            key: int(value) if isinstance(value, str) and value.isdigit() else value for key, value in report.items()
        }
        failure = stream.end.failure
        return {
            "state": stream.state,
            "source": stream.config.source_name,
            "gate": stream.gate,
            "capturing": stream.capturing,
            "connected": stream.linked,
            "inputs_per_s": self._rates.per_s(stream.name),
            "busy_s": stream.busy_s(),
            "failure": "" if failure is None else str(failure),
            **counts,
        }

    def _text(self, stream: StreamKeeper) -> str:
        named = f"{stream.name}: " if stream.name else ""
        if stream.state == "waiting":
            return f"{named}is tried again ({stream.end.failure})"
        if stream.state == "ended":
            return f"{named}ended"
        if not stream.capturing:
            return f"{named}starts"
        report = stream.report()
        kept = f", {report.kept / report.frames:.0%} kept" if report.frames else ", no input yet"
        there = "connected" if stream.linked else "no coordinator"
        return f"{named}{self._rates.per_s(stream.name):.1f} inputs/s{kept}, {there}"
