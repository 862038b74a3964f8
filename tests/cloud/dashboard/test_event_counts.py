"""The count on a tile is that of the stream's timeline, from wherever somebody begins to look."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from infilink.cloud.dashboard.event_counts import EventCounts
from infilink.cloud.dashboard.stream_events import MOST_EVENTS, find_events
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger

from ..ledger.conftest import ONE_PERSON, answered, output
from .test_timeline import BOTH, DAY, NIGHT, NOBODY

SECOND = 10**6
BEGAN_S = 10_000
HOUR_S = 3600
PAST = [
    (0, BOTH, DAY),
    (100, ONE_PERSON, DAY),
    (HOUR_S + 50, BOTH, DAY),
    (HOUR_S + 60, NOBODY, NIGHT),
    (HOUR_S + 61, ONE_PERSON, NIGHT),
    (HOUR_S + 63, NOBODY, DAY),
    (HOUR_S + 70, ONE_PERSON, DAY),
    (HOUR_S + 70, BOTH, NIGHT),
]
"""Seconds, and what the two models say then."""


class Counted:
    """A ledger whose events are counted, at a time that stands still."""

    def __init__(self, place: Path | str, **options: int) -> None:
        self.database = Database(place)
        self.now_us = 0
        self.ledger = Ledger(self.database, clock_ns=lambda: self.now_us * 1000)
        self.counts = EventCounts(self.database, clock_us=lambda: self.now_us, **options)
        self.ledger.listeners.append(self.counts.take)
        self.sequence = 0

    async def write(self, past: Sequence[tuple], device: str = "camera") -> None:
        for at_s, boxes, label in past:
            self.now_us = (BEGAN_S + at_s) * SECOND
            outputs = output("detector", boxes), output("scene", label)
            await self.ledger.record(answered(self.sequence, *outputs, device=device))
            self.sequence += 1

    async def known(self, device: str = "camera") -> dict:
        """The count, once the ledger was read."""
        while (found := self.counts.of(device)) is None:
            await asyncio.gather(*self.counts._reading.values())
        return found

    def begun(self) -> list[int]:
        """When the events of the last hour began, as the stream's timeline has them."""
        with self.database.read() as connection:
            events, _ = find_events(connection, "camera", self.now_us - HOUR_S * SECOND, self.now_us + 1)
        return [event.start_us for event in events if not event.began_before]


@pytest.fixture
def run(ledger_place: Path | str) -> Callable:
    def run(story: Callable, **options: int) -> None:
        async def whole() -> None:
            counted = Counted(ledger_place, **options)
            try:
                await story(counted)
            finally:
                await counted.ledger.close()

        asyncio.run(whole())

    return run


@pytest.mark.parametrize("asked", range(len(PAST) + 1))
@pytest.mark.parametrize("meanwhile", [0, 1, 3])
def test_it_is_the_timelines_whenever_one_begins_to_look(run: Callable, asked: int, meanwhile: int) -> None:
    async def story(counted: Counted) -> None:
        await counted.write(PAST[:asked])
        counted.counts.of("camera")
        # Some of it is kept while the ledger is read.
        await counted.write(PAST[asked : asked + meanwhile])
        await counted.known()
        await counted.write(PAST[asked + meanwhile :])
        found, begun = await counted.known(), counted.begun()
        assert (found["count"], found["newest_us"], found["more"]) == (len(begun), max(begun), False)
        assert found["count"] == 6

    run(story)


def test_what_is_over_an_hour_old_counts_no_more(run: Callable) -> None:
    async def story(counted: Counted) -> None:
        await counted.known()
        await counted.write([(0, ONE_PERSON, DAY)])
        assert (await counted.known())["count"] == 2
        counted.now_us += HOUR_S * SECOND + 1
        assert await counted.known() == {"count": 0, "more": False, "newest_us": 0}

    run(story)


def test_it_holds_no_more_than_its_bounds(run: Callable) -> None:
    async def story(counted: Counted) -> None:
        for device in ("a", "b", "camera"):
            await counted.known(device)
        assert [*counted.counts._streams] == ["b", "camera"]
        await counted.write([(at, NOBODY if at % 4 else ONE_PERSON, NIGHT) for at in range(0, 5 * MOST_EVENTS, 2)])
        found = await counted.known()
        assert (found["count"], found["more"]) == (MOST_EVENTS, True)

    run(story, most_streams=2)


def test_while_the_ledger_can_not_be_read_the_count_is_not_known_and_asked_for_again(run: Callable) -> None:
    async def story(counted: Counted) -> None:
        await counted.write(PAST)
        with counted.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE results RENAME TO away")
        assert counted.counts.of("camera") is None
        await asyncio.gather(*counted.counts._reading.values())
        assert not counted.counts._streams
        with counted.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO results")
        assert (await counted.known())["count"] == 6

    run(story)
