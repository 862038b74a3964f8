"""What systemd is told of an agent: that it captures, that every stream gets on, and what it does, in a line."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ..protos.systemd import notify, watchdog_s
from .stream_log import called

logger = logging.getLogger(__name__)

_USUAL_S = 120.0
# So many times within the time that systemd waits: one that is lost does not matter.
_BEATS = 4
_STATUS_EVERY_S = 10.0


class Watched(Protocol):
    """A stream as the watchdog sees it.

    Attributes:
        name: what it is called; empty: the device's only one.
        settled: whether it captures, waits to be tried again, or has ended.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def settled(self) -> bool: ...  # noqa: D102

    def busy_s(self) -> float:
        """How long its capture loop has been at work on one input."""


class Watchdog:
    """Tells systemd; `look` is called about once a second, from the thread that keeps the agent.

    `READY=1` once every stream captures or, where it can't, has said why: neither a coordinator nor a first input is
    waited for. `WATCHDOG=1` only as long as no capture loop is at work on one input for half the time that systemd
    waits: then it starts the agent anew. Without systemd a loop that is stuck is only told.

    Args:
        streams: gives the streams that there are.
        text: what the agent does, in one line.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        streams: Callable[[], Iterable[Watched]],
        text: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.streams = streams
        self.text = text
        self.clock = clock
        after_s = watchdog_s()
        self.stuck_s = (after_s or _USUAL_S) / 2
        self._beat_s = after_s / _BEATS if after_s else None
        self._ready = self._stopping = False
        self._beaten_s = self._shown_s = float("-inf")
        self._shown = ""
        self._stuck: set[str] = set()

    def look(self) -> None:
        """Looks at every stream, and tells what has changed."""
        now_s, streams = self.clock(), list(self.streams())
        told = []
        if not self._ready and streams and all(each.settled for each in streams):
            self._ready = True
            told.append("READY=1")
        stuck = {each.name for each in streams if each.busy_s() > self.stuck_s}
        for name in sorted(stuck - self._stuck):
            logger.error(
                "%s: the capture loop has been at work on one input for more than %.0f s%s",
                called(name),
                self.stuck_s,
                ": systemd starts this agent anew" if self._beat_s else "",
            )
        self._stuck = stuck
        if self._beat_s is not None and not stuck and now_s - self._beaten_s >= self._beat_s:
            self._beaten_s = now_s
            told.append("WATCHDOG=1")
        if now_s - self._shown_s >= _STATUS_EVERY_S or "READY=1" in told:
            self._shown_s, text = now_s, self.text()
            if text != self._shown:
                self._shown = text
                told.append(f"STATUS={text}")
        notify(*told)

    def stopping(self) -> None:
        """Tells, once, that the agent ends by itself; it may take as long as the last answers do."""
        if not self._stopping:
            self._stopping = True
            notify("STOPPING=1")
