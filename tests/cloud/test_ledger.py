"""The ledger: what is recorded is there for another connection at once, and it stays bounded."""

import asyncio

import pytest
from infilink.cloud.ledger import InputKey, Ledger
from infilink.errors import InvalidInput


def key(sequence, session="s"):
    return InputKey("camera", session, sequence)


def test_an_answer_is_on_disk_when_record_returns(tmp_path):
    async def story():
        ledger = Ledger(tmp_path / "l.sqlite")
        await asyncio.gather(*(ledger.record(key(i), b"answer %d" % i) for i in range(100)))
        other = Ledger(tmp_path / "l.sqlite")
        assert [other.find(key(i)) for i in range(100)] == [b"answer %d" % i for i in range(100)]
        assert ledger.find(key(1)) == b"answer 1"
        assert other.find(key(1, session="another run")) is None
        for opened in (ledger, other):
            opened.close()
            opened.close()

    asyncio.run(story())


def test_only_the_newest_answers_are_kept(tmp_path):
    async def story():
        ledger = Ledger(tmp_path / "l.sqlite", rows=100)
        for first in range(0, 1000, 50):
            await asyncio.gather(*(ledger.record(key(first + i), b"x") for i in range(50)))
        assert ledger.find(key(0)) is None and ledger.find(key(999)) == b"x"
        ledger.close()

    asyncio.run(story())


def test_on_a_full_disk_answers_wait_until_there_is_room(tmp_path, caplog):
    async def story():
        ledger = Ledger(tmp_path / "l.sqlite", retry_s=0.001)
        ledger._writer.execute("PRAGMA max_page_count = 1")
        waiting = [asyncio.create_task(ledger.record(key(i), bytes(9000))) for i in range(3)]
        while not caplog.records:
            await asyncio.sleep(0)
        gone = waiting.pop()
        gone.cancel()
        assert (await asyncio.gather(gone, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        assert not any(task.done() for task in waiting) and ledger.find(key(0)) is None
        ledger._writer.execute("PRAGMA max_page_count = 1000")
        await asyncio.gather(*waiting)
        assert [ledger.find(key(i)) for i in range(3)] == [bytes(9000), bytes(9000), None]
        ledger.close()

    asyncio.run(story())
    (said,) = caplog.messages
    assert said.endswith("the disk is full; make room, or give another place; answers wait until there is room")


def test_what_is_no_ledger_is_said(tmp_path):
    path = tmp_path / "l.sqlite"
    path.write_text("something else, and long enough not to be an empty database")
    with pytest.raises(InvalidInput, match="can't be opened as a ledger"):
        Ledger(path)
