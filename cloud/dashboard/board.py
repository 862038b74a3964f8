"""What viewers are told as it changes: read once for all of them, while there are any."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import Overloaded
from ...protos import edge_pb2
from ..sessions.session import Session
from ..telemetry import status_reply
from .event_counts import EventCounts
from .shown import Shown
from .tiles import site_state, stream_tile, troubles

if TYPE_CHECKING:
    from ..coordinator import Coordinator

MOST_VIEWERS = 64
PAGE = 24
"""Tiles of one page."""
_EVERY_S = 0.5
_NUMBERS = re.compile(r"([0-9]{1,18})")
_HEAD_EVERY = 4
_BEAT_EVERY = 30
"""Looks at the streams in one look at the whole, and looks after which a silent page is told that all is well."""


Choose = Callable[[Mapping[str, Session]], tuple[list[str], int]]
"""Of the streams by their names: the names of those that a page shows, and how many there would be on all its pages."""


@dataclass(eq=False)
class _Viewer:
    """One open page: which streams it shows, and what it was told of them."""

    choose: Choose
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    counts: tuple[int, int] = (-1, -1)
    waiting: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(maxsize=4))


class Board:
    """Looks at the site twice a second while somebody watches, and tells each page what has changed on it.

    Args:
        coordinator: whose site.
        shown: the newest answers.
        events: how many events there were.
    """

    def __init__(self, coordinator: "Coordinator", shown: Shown, events: EventCounts) -> None:
        self.coordinator = coordinator
        self.shown = shown
        self.events = events
        self._viewers: set[_Viewer] = set()
        self._looking: asyncio.Task[None] | None = None
        self._before: list[edge_pb2.StatusReply] = []
        self._written: dict[tuple[str, int], str] = {}

    def check_room(self) -> None:
        """Makes sure that another page may be told.

        Raises:
            Overloaded: too many pages are open.
        """
        if len(self._viewers) >= MOST_VIEWERS:
            raise Overloaded(f"{MOST_VIEWERS} pages are open already: close one")

    async def watch(self, choose: Choose, may: Callable[[], bool]) -> AsyncIterator[str]:
        """What to tell one page, as server-sent events, until it goes or the coordinator stops.

        Args:
            choose: which streams it shows.
            may: whether whoever looks still may; asked each time.
        """
        viewer = _Viewer(choose)
        self._viewers.add(viewer)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while (text := await viewer.waiting.get()) is not None and may():
                yield text
        finally:
            self._viewers.discard(viewer)

    def sessions(self) -> dict[str, Session]:
        """Each stream's newest run, by its name."""
        found = {session.key.name: session for session in self.coordinator.sessions.values()}
        return dict(sorted(found.items(), key=lambda item: in_order(item[0])))

    def tile(self, session: Session) -> dict[str, Any]:
        """What a stream's tile shows now."""
        name = session.key.name
        return stream_tile(session, self.shown.answer(name), self.shown.picture(name), self.events.of(name))

    def head(self) -> dict[str, Any]:
        """What the head of the site page shows now."""
        status = status_reply(self.coordinator)
        before = self._before[0] if self._before else None
        self._before = [*self._before[-4:], status]
        return site_state(self.coordinator, status, before)

    async def _look(self) -> None:
        """Looks while somebody watches; the task's whole life."""
        turn = 0
        try:
            while self._viewers and not self.coordinator.stopping:
                sessions = self.sessions()
                tiles: dict[str, dict[str, Any]] = {}
                self._written.clear()
                head = self.head() if turn % _HEAD_EVERY == 0 else None
                for viewer in [*self._viewers]:
                    self._tell(viewer, sessions, tiles, head, beat=turn % _BEAT_EVERY == 0)
                turn += 1
                await asyncio.sleep(_EVERY_S)
        finally:
            for viewer in self._viewers:
                _put(viewer, None)

    def _tell(
        self,
        viewer: _Viewer,
        sessions: dict[str, Session],
        tiles: dict[str, dict[str, Any]],
        head: dict[str, Any] | None,
        *,
        beat: bool,
    ) -> None:
        """Tells a page what is otherwise on it than before; one that does not read is told of all of it later."""
        if viewer.waiting.full():
            return
        events = []
        names, found = viewer.choose(sessions)
        if names != viewer.names or (found, len(sessions)) != viewer.counts:
            viewer.names, viewer.counts = names, (found, len(sessions))
            viewer.told = {name: viewer.told[name] for name in names if name in viewer.told}
            events.append(_event("streams", {"names": names, "found": found, "all": len(sessions)}))
        changes = []
        for name in names:
            tile = tiles.get(name)
            if tile is None:
                tile = tiles[name] = self.tile(sessions[name])
            told = viewer.told.get(name)
            if tile is told:
                continue
            viewer.told[name] = tile
            if change := self._change(name, told, tile):
                changes.append(change)
        if changes:
            events.append(f"event: tiles\ndata: {{{','.join(changes)}}}\n\n")
        if head is not None:
            events.append(_event("site", head))
        if events or beat:
            _put(viewer, "".join(events) or ": all is well\n\n")

    def _change(self, name: str, told: dict[str, Any] | None, tile: dict[str, Any]) -> str:
        """What is otherwise on a tile than was told, as JSON, written once for all who were told so; empty: nothing."""
        key = (name, id(told))
        written = self._written.get(key)
        if written is None:
            change = tile if told is None else {what: value for what, value in tile.items() if told.get(what) != value}
            written = f"{_json(name)}:{_json(change)}" if change else ""
            self._written[key] = written
        return written


def page_of(page: int, find: str = "", *, wrong: bool = False) -> Choose:
    """Chooses the streams of one page.

    Args:
        page: which page, from 0 on.
        find: only of those with this in their name.
        wrong: only of those with which something is not as it should be.
    """

    def choose(sessions: Mapping[str, Session]) -> tuple[list[str], int]:
        found = [name for name in sessions if find.casefold() in name.casefold()]
        if wrong:
            found = [name for name in found if troubles(sessions[name])]
        return found[page * PAGE : (page + 1) * PAGE], len(found)

    return choose


def only(name: str) -> Choose:
    """Chooses one stream."""
    return lambda sessions: ([name], 1) if name in sessions else ([], 0)


@lru_cache(maxsize=4096)
def in_order(name: str) -> list[tuple[bool, int, str]]:
    """Sorts "camera-2" before "camera-10"."""
    parts = _NUMBERS.split(name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _put(viewer: _Viewer, text: str | None) -> None:
    if viewer.waiting.full():
        viewer.waiting.get_nowait()
    viewer.waiting.put_nowait(text)


def _event(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {_json(data)}\n\n"


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))
