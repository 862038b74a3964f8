"""What was read and is not answered has one limit for all streams."""

import asyncio

import pytest
from infilink.cloud.sessions.backlog import Backlog


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_reads_waits_until_others_are_answered_but_one_always_goes():
    async def story():
        backlog = Backlog(100)
        await backlog.add(500)
        waits = asyncio.create_task(backlog.add(60))
        await settle()
        assert not waits.done() and backlog.size_bytes == 500
        backlog.remove(500)
        await waits
        await backlog.add(40)
        late = asyncio.create_task(backlog.add(1))
        await settle()
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        backlog.remove(100)
        assert backlog.size_bytes == 0, "whoever went away does not count"

    asyncio.run(story())


def test_a_large_input_finds_room_beside_small_ones_that_come_all_the_time():
    async def story():
        backlog = Backlog(100)
        for _ in range(10):
            await backlog.add(10)
        large = asyncio.create_task(backlog.add(50))
        await settle()
        small = [asyncio.create_task(backlog.add(10)) for _ in range(20)]
        for _ in range(5):
            backlog.remove(10)
            await settle()
        assert large.done() and not any(each.done() for each in small)
        backlog.remove(50)
        await settle()
        assert sum(each.done() for each in small) == 5
        for each in small:
            each.cancel()
        await asyncio.gather(*small, return_exceptions=True)

    asyncio.run(story())


def test_those_that_are_refused_come_again_as_far_apart_as_inputs_are_answered_while_others_wait():
    async def story():
        now_s = [100.0]
        backlog = Backlog(10_000, clock=lambda: now_s[0])
        for _ in range(500):
            await backlog.add(1)
        for _ in range(200):
            now_s[0] += 0.1
            backlog.remove(1)
        waits_s = [backlog.again_after_s(0.5) for _ in range(3)]
        assert waits_s == pytest.approx([0.5, 0.6, 0.7], abs=1e-3)
        assert max(backlog.again_after_s(0.5) for _ in range(500)) == 10.0, "nobody waits for ever"
        for _ in range(300):
            backlog.remove(1)
        now_s[0] += 1000.0
        await backlog.add(1)
        backlog.remove(1)
        first_s, second_s = (backlog.again_after_s(0.5) for _ in range(2))
        assert first_s == 0.5 and second_s < 0.6, "what it was idle tells nothing"

    asyncio.run(story())
