"""What was read and is not answered has one limit for all streams."""

import asyncio

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
