"""The spool: what was taken is there after any end of the process, once, and in its order; its bounds hold."""

import sqlite3
from contextlib import closing

import pytest
from infilink.device.uplink import spool
from infilink.device.uplink.spool import Spool
from infilink.device.uplink.spool_drain import SpoolDrain
from infilink.device.uplink.spool_rows import Head, Key, SpoolRow
from infilink.device.uplink.spool_settings import SpoolSettings
from infilink.errors import InvalidInput

from ...test_full_disk import room_for_each_file


@pytest.fixture
def open_spool(tmp_path):
    """Opens spools that sync soon; `close` or the test's end closes them. `one.gone` has what was given up."""
    opened = []

    def make(*, live=False, begin=True, source="a", name="s", **settings):
        gone = []
        one = Spool(
            SpoolSettings(**{"sync_every_s": 0.01, "full": "drop_oldest", **settings}),
            tmp_path / f"{name}.spool",
            live=live,
            on_dropped=lambda head, reason: gone.append((head.key.sequence, reason)),
        )
        one.gone, one.told = gone, []
        opened.append(one)
        if begin:
            one.begin(source)
        return one

    yield make
    for one in opened:
        one.close()


def row(one, sequence, *, value=0.0, message=b"message", chain=None):
    head = Head(Key("", sequence), sequence / 10, one.clock(), value, len(message), chain)
    return SpoolRow(head, message, b"facts")


def put(one, *sequences, **options):
    for sequence in sequences:
        one.put(row(one, sequence, **options), lambda sequence=sequence: one.told.append(sequence))


def wait_for(one, condition):
    with one._changed:
        assert one._changed.wait_for(condition, 30.0)


def synced(one):
    wait_for(one, lambda: not len(one._memory) and not one._memory.untold)


def drained(one, order="oldest"):
    """The sequences in the order in which they go out, each answered before the next."""
    drain, found = SpoolDrain(one, one.session_to_serve().id, order), []
    while (taken := drain.take((), 0)) is not None:
        found.append(taken.head.key.sequence)
        one.answered(taken.head)
        one.settle(taken.head)
    return found


def abandon(one):
    """Ends it as a kill does: nothing is written any more, and the lock is gone."""
    one._closing.set()
    one.disk.write = lambda change: frozenset()
    with one._changed:
        one._changed.notify_all()
    one._thread.join(30.0)
    one.disk.close()


def test_what_was_taken_is_there_after_a_kill_and_the_session_goes_on(open_spool):
    one = open_spool()
    put(one, 3, 4, 7)
    synced(one)
    assert one.told == [3, 4, 7] and one.taken == 3
    session = one.session
    abandon(one)
    again = open_spool()
    assert again.session.id == session.id and again.session.position == 7
    assert again.waiting().count == 3
    assert drained(again) == [3, 4, 7]
    again.close()
    assert open_spool().waiting().count == 0


def test_a_row_is_as_it_was_written(open_spool):
    one = open_spool()
    written = row(one, 5, value=0.25, message=bytes(range(256)) * 100, chain=5)
    one.put(written, lambda: None)
    synced(one)
    found = SpoolDrain(one, one.session.id, "oldest").take((), 0)
    assert found.message == written.message and found.facts == b"facts"
    assert found.head == Head(Key(one.session.id, 5), 0.5, written.head.taken_s, 0.25, 25600, 5)


def test_what_is_answered_at_once_is_told_of_in_its_turn_and_never_written(open_spool):
    one = open_spool(sync_every_s=60.0)
    put(one, 0, 1)
    head = one.pick(one.session.id, ()).head
    one.answered(head)
    assert one.told == [0] and one.taken == 0, "its answer may still be lost"
    one.settle(head)
    assert one.taken == 1
    one.close()
    assert one.told == [0, 1]
    again = open_spool()
    assert drained(again) == [1]


@pytest.mark.parametrize("chain", [None, 0])
@pytest.mark.parametrize("kill", [True, False])
def test_what_is_answered_and_not_kept_elsewhere_is_there_after_the_end(open_spool, monkeypatch, chain, kill):
    monkeypatch.setattr(spool, "_SETTLES_WITHIN_S", 0.0 if kill else 60.0)
    one = open_spool(sync_every_s=0.01 if kill else 60.0)
    put(one, 0, 1, 2, chain=chain)
    put(one, 3, chain=None if chain is None else 3)
    for sequence in range(3):
        one.answered(Head(Key(one.session.id, sequence), 0.0, 0.0, 0.0, 1, chain))
    one.settle(Head(Key(one.session.id, 1), 0.0, 0.0, 0.0, 1, chain))
    assert one.waiting().count == 1
    if kill:
        synced(one)
        abandon(one)
    else:
        one.close()
    again = open_spool()
    left = drained(again)
    assert {0, 2, 3} <= {*left} and left == sorted(left)
    again.close()
    assert open_spool().waiting().count == 0


def test_an_input_is_sent_before_it_is_synced_but_for_sequences_that_are_not_reserved(open_spool):
    one = open_spool(live=True, sync_every_s=60.0)
    reserved = one.session.reserved
    assert reserved > 0
    put(one, 0, reserved)
    first = one.pick(one.session.id, ()).head
    assert first.key.sequence == 0 and one.pick(one.session.id, {first.key}) is None
    session = one.session.id
    abandon(one)
    again = open_spool(live=True, begin=False)
    assert again.next_sequence >= reserved, "what may have been sent is no other input's"
    assert again.begin("a").id == session


def test_a_clean_end_gives_back_what_was_reserved(open_spool):
    one = open_spool(live=True)
    put(one, 0, 1, 2)
    one.close()
    assert open_spool(live=True, begin=False).next_sequence == 3


def test_another_source_is_another_session_and_the_older_one_goes_out_first(open_spool):
    one = open_spool(source="a")
    put(one, 0, 1)
    one.close()
    other = open_spool(source="b")
    assert other.session.id != one.session.id
    put(other, 0)
    synced(other)
    assert other.session_to_serve().id == one.session.id
    assert drained(other) == [0, 1]
    assert other.session_to_serve().id == other.session.id
    assert drained(other) == [0]


def test_a_recording_that_ended_begins_anew(open_spool):
    one = open_spool()
    put(one, 0)
    assert drained(one) == [0]
    one.change_session(ended=True)
    one.close()
    assert open_spool().session.id != one.session.id


def test_a_recording_that_goes_on_takes_no_input_twice(open_spool):
    one = open_spool()
    put(one, 0, 1)
    synced(one)
    put(one, 1, 2)
    synced(one)
    assert one.told == [0, 1, 1, 2] and drained(one) == [0, 1, 2]


@pytest.mark.parametrize(
    ("order", "expected"), [("oldest", [0, 1, 2, 3, 4, 5]), ("value", [4, 1, 0, 2, 3, 5]), ("live", [5, 4, 3, 2, 1, 0])]
)
def test_inputs_go_out_in_the_order_that_is_set(open_spool, order, expected):
    one = open_spool()
    for sequence, value in enumerate([0.2, 0.5, 0.1, 0.1, float("inf"), 0.1]):
        put(one, sequence, value=value)
        if sequence == 3:
            synced(one)
    assert drained(one, order) == expected


def test_live_order_sends_what_is_late_in_its_order_after_what_is_not(open_spool):
    one = open_spool(late_s=5.0)
    put(one, 0, 1, 2)
    synced(one)
    one.clock.offset_s += 6.0
    put(one, 3, 4)
    assert drained(one, "live") == [4, 3, 0, 1, 2]


@pytest.mark.parametrize(
    ("full", "left"), [("drop_oldest", [2, 3, 4]), ("drop_lowest_value", [0, 3, 4])], ids=["oldest", "value"]
)
def test_what_is_too_much_is_given_up_by_the_policy(open_spool, caplog, full, left):
    one = open_spool(count=3, full=full)
    for sequence, value in enumerate([0.9, 0.1, 0.2, 0.5, 0.6]):
        put(one, sequence, value=value)
        synced(one)
    wait_for(one, lambda: len(one.gone) == 2)
    assert one.dropped == 2 and {reason for _, reason in one.gone} == {"dropped: the spool is full"}
    assert drained(one) == left
    assert sum("told once" in record.message for record in caplog.records) == 1


def test_an_answer_to_what_was_given_up_meanwhile_does_not_count_twice(open_spool):
    one = open_spool(count=2)
    put(one, 0)
    synced(one)
    on_its_way = one.load(one.last[one.session.id]).head
    put(one, 1, 2)
    synced(one)
    wait_for(one, lambda: one.gone and not one._gone)
    before = one.waiting()
    one.answered(on_its_way)
    one.settle(on_its_way)
    wait_for(one, lambda: not one._gone)
    assert one.waiting().count == before.count == len(drained(one)) > 0


def test_bytes_are_bounded_too(open_spool):
    one = open_spool(size_bytes=2**20)
    put(one, *range(40), message=bytes(60_000))
    synced(one)
    wait_for(one, lambda: one.waiting().size_bytes <= 2**20)
    left = drained(one)
    assert left == list(range(40 - len(left), 40)) and 15 <= len(left) <= 17


def test_a_chain_is_given_up_as_a_whole(open_spool):
    one = open_spool(count=3)
    put(one, 0, 1, chain=0)
    put(one, 2, 3, chain=2)
    synced(one)
    wait_for(one, lambda: len(one.gone) == 2)
    assert sorted(sequence for sequence, _ in one.gone) == [0, 1] and drained(one) == [2, 3]


def test_an_answered_input_stays_while_others_of_its_chain_need_it(open_spool):
    one = open_spool()
    put(one, 0, 1, chain=0)
    synced(one)
    first = SpoolDrain(one, one.session.id, "oldest").take((), 0)
    one.answered(first.head)
    one.settle(first.head)
    put(one, 2, chain=2)
    synced(one)
    abandon(one)
    again = open_spool()
    with closing(sqlite3.connect(again.path)) as database:
        assert database.execute("SELECT sequence, answered FROM inputs ORDER BY 1").fetchall() == [
            (0, 1),
            (1, 0),
            (2, 0),
        ]
    assert again.waiting().count == 2 and drained(again) == [1, 2]
    again.close()
    last = open_spool(begin=False)
    with closing(sqlite3.connect(last.path)) as database:
        assert database.execute("SELECT COUNT(*) FROM inputs").fetchone() == (0,), "nobody needs them any more"


def test_what_is_too_old_goes(open_spool):
    one = open_spool(age_s=100.0)
    put(one, 0)
    synced(one)
    one.clock.offset_s += 101.0
    put(one, 1)
    synced(one)
    wait_for(one, lambda: one.gone)
    assert one.gone == [(0, "older than `age_s`")] and drained(one) == [1]


def test_a_source_that_can_wait_does(open_spool):
    one = open_spool(count=2, full="block_source")
    stopped = []

    def stop():
        stopped.append(one.state)
        return len(stopped) > 2

    put(one, 0, 1)
    one.put(row(one, 2), lambda: None, stopped=stop)
    assert stopped[-1] == "full" and drained(one) == [0, 1, 2] and not one.gone


def test_a_full_disk_is_a_state_and_what_was_taken_stays(open_spool, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("infilink.device.uplink.spool._AGAIN_S", (0.01, 0.01))
    one = open_spool(live=True)
    put(one, 0, message=bytes(50_000))
    synced(one)
    sizes = sum(each.stat().st_size for each in tmp_path.iterdir())
    with room_for_each_file(max(each.stat().st_size for each in tmp_path.iterdir()) + 30_000):
        put(one, *range(1, 9), message=bytes(50_000))
        wait_for(one, lambda: one.state == "the disk is full" and not one._memory.untold)
        assert one.waiting().count == 9, "in memory alone they can be sent as well"
        put(one, one.session.reserved + 5)
        present = one.session.id
    wait_for(one, lambda: one.state == "ready")
    synced(one)
    assert one.session.id == present
    one.close()
    again = open_spool(live=True)
    assert drained(again) == [*range(9)] and len(drained(again)) == 1 and sizes
    assert sum("inputs wait in memory" in record.message for record in caplog.records) == 1


def test_memory_is_bounded_while_the_disk_takes_nothing(open_spool, tmp_path, monkeypatch):
    monkeypatch.setattr("infilink.device.uplink.spool._AGAIN_S", (0.01, 0.01))
    one = open_spool(live=True, memory_bytes=2**20)
    with room_for_each_file(max(each.stat().st_size for each in tmp_path.iterdir())):
        put(one, *range(60), message=bytes(50_000))
        assert one.waiting().size_bytes <= 2**20
        assert [sequence for sequence, _ in one.gone] == list(range(40)), "the oldest go first"


def test_a_damaged_row_is_left_out_and_the_others_live(open_spool):
    one = open_spool()
    put(one, 0, 1, 2, message=bytes(3000))
    one.close()
    with closing(sqlite3.connect(one.path)) as database, database:
        database.execute("UPDATE payloads SET message = X'00' WHERE number = 2")
    again = open_spool()
    assert drained(again) == [0, 2] and again.gone == [(1, "damaged on the disk")]


def test_a_damaged_file_is_set_aside_and_what_is_whole_goes_on(open_spool, tmp_path, caplog):
    one = open_spool()
    put(one, *range(30), message=bytes(3000))
    session = one.session.id
    one.close()
    size = one.path.stat().st_size
    with one.path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    again = open_spool()
    left = drained(again)
    # What is whole may come back only now that the damage was met.
    synced(again)
    left += drained(again)
    assert set(left) <= set(range(30))
    assert len(left) + len(again.gone) >= 25 and again.session.id == session
    if (tmp_path / "s.spool.damaged-1").exists():
        assert any("is damaged" in record.message for record in caplog.records)


def test_what_is_no_spool_at_all_is_set_aside(open_spool, tmp_path):
    (tmp_path / "s.spool").write_bytes(b"something else, and long enough not to be an empty database" * 100)
    one = open_spool()
    put(one, 0)
    synced(one)
    assert drained(one) == [0] and (tmp_path / "s.spool.damaged-1").exists()


def test_two_agents_do_not_share_a_spool(open_spool):
    open_spool()
    with pytest.raises(InvalidInput, match=r"another agent uses it: .*`folder` of its own"):
        open_spool(begin=False)


def test_single_values_outlive_the_process(open_spool):
    one = open_spool()
    one.keep("welcome", b"\x00\x01")
    assert one.get("welcome") == b"\x00\x01" and one.get("other") == b""
    one.close()
    assert open_spool().get("welcome") == b"\x00\x01"


def test_what_comes_back_while_the_next_is_looked_for_is_not_forgotten(open_spool):
    one = open_spool()
    put(one, 0)
    synced(one)
    drain = SpoolDrain(one, one.session.id, "oldest")
    head = drain.take((), 0).head
    drain.admit()
    drain.again(head)
    assert drain.take({head.key}, 1) is None, "it was on its way when what is on its way was looked at"
    drain.admit()
    assert drain.take((), 0).head.key == head.key
