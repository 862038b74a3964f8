"""A full disk and a database that is away are states: told once, served on as configured, over by themselves."""

import asyncio
import json
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.store import Store
from infilink.cloud.ledger.tables import ANSWERS, JOURNAL
from infilink.errors import Overloaded
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from .conftest import answered, key

NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_answers BEFORE INSERT ON answers EXECUTE FUNCTION no_room();
CREATE TRIGGER full_journal BEFORE INSERT ON journal EXECUTE FUNCTION no_room();
"""
ROOM = "DROP FUNCTION no_room CASCADE"


@pytest.fixture
def full_disk(ledger_place: Path | str) -> Callable[..., Iterator[None]]:
    """While the block runs, the test's ledger finds no room: no file grows, or the server says so."""

    @contextmanager
    def full() -> Iterator[None]:
        if isinstance(ledger_place, Path):
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            grown = max(path.stat().st_size for path in ledger_place.parent.glob(f"{ledger_place.name}*"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (grown, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            return
        engine = create_engine(ledger_place)
        with engine.begin() as connection:
            connection.execute(text(NO_ROOM))
        try:
            yield
        finally:
            with engine.begin() as connection:
                connection.execute(text(ROOM))
            engine.dispose()

    return full


async def recovered(ledger: Ledger) -> None:
    while ledger.stats().trouble:
        await asyncio.sleep(0)


def outages(ledger: Ledger) -> list[dict]:
    with ledger.database.read() as connection:
        rows = connection.execute(select(JOURNAL.c.data).where(JOURNAL.c.kind == "ledger")).scalars().all()
    return [json.loads(row) for row in rows]


def test_on_a_full_disk_inputs_are_refused_before_work_is_spent_until_there_is_room(open_ledger, full_disk, caplog):
    caplog.set_level("INFO")

    async def story():
        ledger = open_ledger()
        await ledger.record(answered(0))
        with full_disk():
            at_once = (ledger.record(answered(i)) for i in range(1, 60))
            refused = await asyncio.gather(*at_once, return_exceptions=True)
            assert {type(error) for error in refused} == {Overloaded}
            assert ledger.stats().trouble == "full"
            with pytest.raises(Overloaded, match="the disk is full"):
                ledger.check()
            with pytest.raises(Overloaded):
                await ledger.record(answered(60))
            ledger.journal("load", "lost")
            assert await ledger.find(key(0)) == answered(0).message, "what was kept is still answered"
            assert await ledger.find(key(30)) is None
        await recovered(ledger)
        ledger.check()
        assert await ledger.record(answered(1)) == answered(1).message
        stats = ledger.stats()
        assert (stats.refused, stats.unkept, stats.notes_lost, stats.troubles) == (61, 0, 1, 1)
        (outage,) = outages(ledger)
        assert outage["refused"] == 61
        await ledger.close()

    asyncio.run(story())
    told = [record.getMessage() for record in caplog.records if "ledger" in record.name]
    assert len(told) == 2 and "the disk is full; inputs are refused" in told[0] and "can be written again" in told[1]


def test_or_answers_are_given_without_being_kept(open_ledger, full_disk):
    async def story():
        ledger = open_ledger(when_full="answer")
        with full_disk():
            given = await asyncio.gather(*(ledger.record(answered(i)) for i in range(60)))
            assert given == [answered(i).message for i in range(60)]
            assert await ledger.record(answered(60)) == answered(60).message
            ledger.check()
        await recovered(ledger)
        assert await ledger.find(key(30)) is None and ledger.stats().unkept == 61
        await ledger.record(answered(61))
        assert ledger.stats().kept == 1 and outages(ledger)[0]["unkept"] == 61
        await ledger.close()

    asyncio.run(story())


def test_a_ledger_is_closed_while_its_disk_is_full(open_ledger, full_disk):
    async def story():
        ledger = open_ledger(retry_s=3600)
        with full_disk():
            assert isinstance(
                (await asyncio.gather(*map(ledger.record, map(answered, range(60))), return_exceptions=True))[0],
                Overloaded,
            )
            await ledger.close()

    asyncio.run(story())


@pytest.fixture
def away(postgres: Engine, ledger_place: Path | str) -> Iterator[tuple[str, Callable[[bool], None]]]:
    """The URL of a ledger, and what makes its database unreachable for it, and reachable again."""
    url = make_url(str(ledger_place))
    schema = url.query["options"].partition("=")[2]
    role = f"{schema}_role"
    with postgres.begin() as connection:
        connection.execute(text(f"DROP ROLE IF EXISTS {role}"))
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT ALL ON SCHEMA {schema} TO {role}"))

    def set_away(is_away: bool) -> None:
        with postgres.begin() as connection:
            connection.execute(text(f"ALTER ROLE {role} {'NOLOGIN' if is_away else 'LOGIN'}"))
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"))

    yield url.set(username=role).render_as_string(hide_password=False), set_away
    with postgres.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role} CASCADE"))
        connection.execute(text(f"DROP ROLE {role}"))


@pytest.mark.parametrize("ledger_place", ["postgres"], indirect=True)
def test_a_database_that_is_away_is_waited_for_a_while(away):
    url, set_away = away

    async def story():
        ledger = Ledger(Database(url), retry_s=0.01, patience_s=1000)
        await ledger.record(answered(0))
        set_away(True)
        waiting = asyncio.create_task(ledger.record(answered(1)))
        while ledger._failing_since_s is None:
            await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="does not answer"):
            await ledger.find(key(0))
        set_away(False)
        assert await waiting == answered(1).message and ledger.stats().troubles == 0
        await ledger.close()

    asyncio.run(story())


@pytest.mark.parametrize("ledger_place", ["postgres"], indirect=True)
def test_and_then_is_an_outage_that_ends_by_itself(away, caplog):
    url, set_away = away

    async def story():
        ledger = Ledger(Database(url), retry_s=0.01, patience_s=0)
        set_away(True)
        with pytest.raises(Overloaded, match="the database does not answer"):
            await ledger.record(answered(0))
        assert ledger.stats().trouble == "away"
        set_away(False)
        await recovered(ledger)
        assert await ledger.record(answered(0)) == answered(0).message
        await ledger.close()

    asyncio.run(story())
    assert "does not answer" in caplog.text


def test_what_was_written_before_the_database_went_away_is_written_and_announced_once(open_ledger, monkeypatch):
    async def story():
        ledger, announced, insert, went = open_ledger(retry_s=0.0), [], Store._insert, []
        other = open_ledger()
        await other.record(answered(1))
        ledger.listeners.append(lambda each: announced.append(each.key.sequence))

        def away_once(store, group):
            if not went and [getattr(each, "key", None) for each in group] == [key(2), key(3)]:
                went.append(1)
                gone = sqlite3.OperationalError("database is locked")
                gone.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise OperationalError("INSERT", {}, gone)
            insert(store, group)

        monkeypatch.setattr(Store, "_insert", away_once)
        ledger.journal("plan", "before")
        # The second is there already, so that the group is written in parts.
        answers = [ledger.record(answered(sequence)) for sequence in (0, 1, 2, 3)]
        await asyncio.gather(*answers)
        assert went and sorted(announced) == [0, 2, 3]
        with ledger.database.read() as connection:
            assert connection.execute(select(JOURNAL.c.text)).scalars().all() == ["before"]
            assert sorted(connection.execute(select(ANSWERS.c.sequence)).scalars()) == [0, 1, 2, 3]
        assert ledger.stats().waiting == ledger.stats().waiting_bytes == 0
        await other.close()
        await ledger.close()

    asyncio.run(story())
