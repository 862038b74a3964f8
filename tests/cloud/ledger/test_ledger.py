"""The ledger: what is recorded is there for another connection at once, and stands; the same in both databases."""

import asyncio
import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.retention import Retention
from infilink.cloud.ledger.rows import InputKey, SpecIds, answer_message, answer_rows
from infilink.cloud.ledger.tables import ANSWERS, AUDITS, JOURNAL, RESULTS, SPECS
from infilink.errors import InvalidInput, Overloaded
from infilink.protos import edge_pb2
from sqlalchemy import event, func, select, text

from .conftest import SPECS as MODELS
from .conftest import answered, key, output

DAY_NS = 86_400 * 10**9


def count(ledger: Ledger, table) -> int:
    with ledger.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def run(story) -> None:
    asyncio.run(story())


def test_an_answer_is_there_for_another_connection_when_record_returns(open_ledger):
    async def story():
        ledger, all_of = open_ledger(), [answered(i) for i in range(100)]
        standing = await asyncio.gather(*map(ledger.record, all_of))
        assert standing == [each.message for each in all_of]
        other = open_ledger()
        assert [await other.find(key(i)) for i in range(100)] == standing
        assert await ledger.find(key(1)) == standing[1]
        assert await other.find(key(1, session="another run")) is None
        assert ledger.stats().kept == 100 and ledger.stats().commits < 10, "they share transactions"
        for opened in (ledger, other):
            await opened.close()
            await opened.close()

    run(story)


def test_a_commit_waits_for_answers_that_are_on_their_way_and_for_nothing_else(open_ledger, monkeypatch):
    async def story():
        coming, over, sleep = [False], asyncio.Event(), asyncio.sleep
        monkeypatch.setattr("infilink.cloud.ledger.ledger._APART_S", 3600.0)
        monkeypatch.setattr(asyncio, "sleep", lambda seconds: over.wait() if seconds > 60 else sleep(seconds))
        ledger = open_ledger(is_more_coming=lambda: coming[0])
        for i in range(2):
            await ledger.record(answered(i))
        assert ledger.stats().commits == 2, "nothing else comes: at once"
        coming[0] = True
        together = [asyncio.create_task(ledger.record(answered(i))) for i in range(2, 6)]
        for _ in range(20):
            await sleep(0)
        assert ledger.stats().commits == 2 and not any(each.done() for each in together)
        over.set()
        await asyncio.gather(*together)
        assert ledger.stats().commits == 3 and ledger.stats().kept == 6
        await ledger.close()

    run(story)


def test_what_was_answered_first_stands_whoever_answers_again(open_ledger):
    async def story():
        ledger, first, again = open_ledger(), answered(7), answered(7, output("level"))
        at_once = await asyncio.gather(ledger.record(first), ledger.record(again))
        assert at_once == [first.message, first.message]
        assert await ledger.record(again) == first.message
        # Another process has opened it before: it knows neither the input nor the last number.
        other = open_ledger()
        await ledger.record(answered(8))
        assert await other.record(answered(8, output("level"))) == answered(8).message
        assert await other.record(answered(9)) == answered(9).message
        assert count(ledger, ANSWERS) == 3
        await ledger.close()
        await other.close()

    run(story)


def test_an_input_newer_than_all_that_were_answered_is_new_without_asking_the_database(open_ledger):
    async def story():
        ledger = open_ledger()
        assert await ledger.find(key(0)) is None, "asked once, what there is of the session"
        await ledger.record(answered(5))
        ledger.database.close()
        ledger._read = None
        assert await ledger.find(key(6)) is None
        with pytest.raises(TypeError):
            await ledger.find(key(4))

    run(story)


def test_what_models_on_the_device_said_is_kept_and_not_sent_back(open_ledger):
    async def story():
        ledger, given = open_ledger(), edge_pb2.Output(model="level", digest="d", kind="scalar")
        kept = answered(3, output("scene"), given=(given,), why={"scene": "worth 2.5"})
        await ledger.record(kept)
        assert await ledger.find(key(3)) == kept.message
        with ledger.database.read() as connection:
            rows = connection.execute(select(RESULTS).order_by(RESULTS.c.place)).all()
        assert [(row.model, row.origin, row.why, row.classes) for row in rows] == [
            ("scene", "executed", "worth 2.5", "\nnight\n"),
            ("level", "local", "", ""),
        ]
        assert count(ledger, SPECS) == 2
        await ledger.close()

    run(story)


def test_the_journal_and_audits_are_kept_in_the_order_they_came(open_ledger):
    async def story():
        ledger = open_ledger(clock_ns=lambda: 5_000)
        ledger.journal("load", "loaded: a run prevents 3 losses", model="scene", data={"budget_bytes": 7})
        ledger.journal("unload", "makes room\0 for scene", model="level")
        ledger.audited(key(4), "scene", origin="held", confidence=0.5, trusted=False, agreement=1.0)
        await ledger.record(answered(0))
        with ledger.database.read() as connection:
            journal = connection.execute(select(JOURNAL).order_by(JOURNAL.c.number)).all()
            (audit,) = connection.execute(select(AUDITS)).all()
        assert [(row.kind, row.model, row.at_us) for row in journal] == [("load", "scene", 5), ("unload", "level", 5)]
        assert journal[0].data == '{"budget_bytes": 7}' and journal[1].text == "makes room for scene"
        assert (audit.sequence, audit.model, audit.origin, audit.agreement) == (4, "scene", "held", 1.0)
        await ledger.close()

    run(story)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"sequence": 2**63}, "`sequence`"), ({"device": "a\0b"}, "NUL"), ({"sequence": -1}, "within 0")],
)
def test_a_key_that_no_database_can_keep_is_refused(wrong, says):
    with pytest.raises(InvalidInput, match=says):
        InputKey(**{"device": "camera", "session": "s", "sequence": 0, **wrong})


def test_a_row_that_cannot_be_kept_costs_nobody_else_anything(open_ledger, caplog):
    async def story():
        ledger, bad = open_ledger(), answered(1, captured_ns=2**70)
        results = await asyncio.gather(*map(ledger.record, (answered(0), bad, answered(2))), return_exceptions=True)
        assert results[0] == answered(0).message and results[2] == answered(2).message
        assert isinstance(results[1], InvalidInput)
        assert await ledger.record(answered(3)) == answered(3).message
        await ledger.close()

    run(story)
    assert "can't be kept" in caplog.text


def test_a_repeated_answer_among_many_makes_few_more_transactions(open_ledger):
    async def story():
        ledger, other, began = open_ledger(), open_ledger(), []
        await other.record(answered(77, output("level")))
        write = ledger.database.write
        ledger.database.write = lambda: began.append(True) or write()
        found = await asyncio.gather(*(ledger.record(answered(i)) for i in range(256)))
        assert found[77] == answered(77, output("level")).message
        assert [each for i, each in enumerate(found) if i != 77] == [answered(i).message for i in range(256) if i != 77]
        assert len(began) < 40, "not one for each"
        await ledger.close()
        await other.close()

    run(story)


def test_an_answer_that_is_being_written_is_found(open_ledger):
    async def story():
        ledger = open_ledger()
        assert await ledger.find(key(0)) is None
        writing = ledger.standing(answered(3))
        assert await ledger.find(key(3)) == answered(3).message and writing.done()
        await ledger.close()

    run(story)


def test_what_waits_is_bounded_in_bytes(open_ledger):
    async def story():
        ledger = open_ledger(waiting_bytes=1000)
        results = await asyncio.gather(*(ledger.record(answered(i)) for i in range(50)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert refused and results[0] == answered(0).message
        assert ledger.stats().refused == len(refused) and ledger.stats().waiting_bytes == 0
        ledger.journal("plan", "x" * 2000)
        assert ledger.stats().notes_lost == 1
        await ledger.close()

    run(story)


def test_what_is_too_old_is_deleted_with_what_was_noted_then(open_ledger):
    async def story():
        now = [DAY_NS]
        ledger = open_ledger(retention=Retention(keep_days=2), clock_ns=lambda: now[0])
        for _ in range(3):
            ledger.journal("plan", "a plan")
            await ledger.record(answered(now[0] // DAY_NS))
            now[0] += DAY_NS
        await ledger.tidy()
        assert await ledger.find(key(1)) is None and await ledger.find(key(2)) is not None
        assert count(ledger, ANSWERS) == 2 and count(ledger, RESULTS) == 6 and count(ledger, JOURNAL) == 2
        assert ledger.stats().deleted == 1
        now[0] += 9 * DAY_NS
        await ledger.tidy()
        assert count(ledger, RESULTS) == count(ledger, JOURNAL) == 0
        await ledger.close()

    run(story)


def test_no_more_bytes_are_kept_than_may_be(open_ledger):
    async def story():
        ledger = open_ledger(retention=Retention(keep_bytes=400_000))
        await asyncio.gather(*(ledger.record(answered(i)) for i in range(1200)))
        await ledger.tidy()
        assert await ledger.find(key(0)) is None and await ledger.find(key(1199)) is not None
        with ledger.database.read() as connection:
            kept = connection.execute(select(func.sum(ANSWERS.c.size_bytes))).scalar_one()
        assert 399_000 < kept <= 400_000
        await ledger.close()

    run(story)


@pytest.mark.parametrize("keep_days", [0, 1])
def test_what_there_is_is_summed_up_once_and_never_where_answers_are_written(open_ledger, keep_days):
    async def story():
        now, sums = [DAY_NS], list[str]()
        retention = Retention(keep_days=keep_days, keep_bytes=400_000)
        ledger = open_ledger(retention=retention, clock_ns=lambda: now[0])
        await asyncio.gather(*(ledger.record(answered(i)) for i in range(700)))
        now[0] += 2 * DAY_NS
        await asyncio.gather(*(ledger.record(answered(i)) for i in range(700, 1900)))

        def look(connection, cursor, statement, *rest):
            if "sum(" in statement:
                sums.append(threading.current_thread().name)

        event.listen(ledger.database._engine, "before_cursor_execute", look)
        await ledger.tidy()
        event.remove(ledger.database._engine, "before_cursor_execute", look)
        assert len(sums) == 1 and not sums[0].startswith("ledger"), "finding answers does not wait for it, either"
        assert ledger.stats().deleted > 1000, "more than are deleted at once"
        with ledger.database.read() as connection:
            kept = connection.execute(select(func.sum(ANSWERS.c.size_bytes))).scalar_one()
        assert 399_000 < kept <= 400_000, "those that were too old are not counted twice"
        await ledger.close()

    run(story)


def test_a_sqlite_ledger_takes_about_the_bytes_that_are_counted(tmp_path):
    async def story():
        ledger = Ledger.open(tmp_path / "l.sqlite")
        await asyncio.gather(*(ledger.record(answered(i, device=f"camera {i % 7}")) for i in range(3000)))
        with ledger.database.read() as connection:
            counted = connection.execute(select(func.sum(ANSWERS.c.size_bytes))).scalar_one()
        await ledger.close()
        return counted

    counted = asyncio.run(story())
    with sqlite3.connect(tmp_path / "l.sqlite") as file:
        (pages,), (size,) = file.execute("PRAGMA page_count").fetchone(), file.execute("PRAGMA page_size").fetchone()
    file.close()
    assert 0.7 < pages * size / counted < 1.3


@given(
    models=st.lists(st.sampled_from(sorted(MODELS)), unique=True),
    sequence=st.integers(0, 2**63 - 1),
    confidence=st.floats(0, 1, width=32),
    executed_s=st.floats(0, 100, width=32),
)
def test_an_answer_is_the_same_again_when_it_is_made_from_its_rows(models, sequence, confidence, executed_s):
    outputs = [output(name, confidence=confidence, sources=models, age_s=-1.0) for name in models]
    kept = answered(sequence, output("level"), *outputs, given=(output("scene"),))
    kept.message.result.executed_s = executed_s
    answer, rows, specs = answer_rows(kept, 1, 0, SpecIds())
    sent = [row["output"] for row in rows if row["origin"] != "local"]
    assert answer_message(sequence, answer["executed_s"], sent) == kept.message
    assert {row["spec"] for row in rows} == set(specs)


def test_commits_are_on_disk_whatever_the_databases_defaults_are(open_ledger):
    ledger = open_ledger()
    with ledger.database.read() as connection:
        if ledger.database.path is not None:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2, "FULL"
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        else:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"


def test_what_is_no_ledger_is_said(tmp_path):
    path = tmp_path / "l.sqlite"
    path.write_text("something else, and long enough not to be an empty database")
    with pytest.raises(InvalidInput, match="can't be opened as a ledger"):
        Database(path)
    with pytest.raises(InvalidInput, match="there is no such ledger"):
        Database(tmp_path / "none.sqlite", create=False)


def test_a_ledger_of_a_newer_infilink_is_refused(ledger_place):
    database = Database(ledger_place)
    with database.write() as connection:
        connection.execute(text("UPDATE ledger_format SET number = 99"))
    database.close()
    with pytest.raises(InvalidInput, match=r"is a ledger of format 99.*a newer infilink wrote it"):
        Database(ledger_place)


def test_who_reads_a_ledger_does_not_wait_for_who_writes_to_it(open_ledger):
    async def story():
        ledger = open_ledger()
        await ledger.record(answered(0))
        with ledger.database.write() as writing:
            writing.execute(ANSWERS.delete())
            other = open_ledger()
            assert await other.find(key(0)) == answered(0).message
            await other.close()
        await ledger.close()

    run(story)


def test_a_url_is_named_without_its_password():
    with pytest.raises(InvalidInput) as raised:
        Database("postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(raised.value) and "me:***@127.0.0.1" in str(raised.value)
    with pytest.raises(InvalidInput, match="must be a path"):
        Database("mysql://me:secret@host/db")
