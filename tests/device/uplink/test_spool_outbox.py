"""A spool's outbox: one session on a connection, within its bounds; what was not taken comes again."""

import threading

import pytest
from infilink.device.uplink.spool import Spool
from infilink.device.uplink.spool_outbox import SpoolOutbox
from infilink.device.uplink.spool_rows import Head, Key, SpoolRow
from infilink.device.uplink.spool_settings import SpoolSettings
from infilink.protos import edge_pb2


@pytest.fixture
def open_outbox(tmp_path):
    opened = []

    def make(source="a", *, window=8, **settings):
        spool = Spool(SpoolSettings(sync_every_s=0.01, **settings), tmp_path / "s.spool", live=False)
        spool.begin(source)
        opened.append(spool)
        return SpoolOutbox(spool, window, order="oldest")

    yield make
    for each in opened:
        each.close()


def put(outbox, *sequences, size_bytes=0):
    for sequence in sequences:
        message = edge_pb2.Input(sequence=sequence, payload=bytes(size_bytes)).SerializeToString()
        head = Head(Key("", sequence), 0.0, outbox.spool.clock(), 0.0, len(message))
        outbox.spool.put(SpoolRow(head, message), lambda: None)


def connect(outbox, limit=8):
    connection = outbox.open_connection()
    outbox.allow(connection, limit)
    return connection


def take(outbox, connection):
    message = outbox.take(connection, 0.0)
    return None if message is None else message.sequence


def answer(outbox, connection, sequence):
    head = outbox.row(sequence).head
    outbox.spool.answered(head)
    outbox.spool.settle(head)
    outbox.answered(connection, sequence)


def test_as_many_are_in_flight_as_both_sides_bear(open_outbox):
    outbox = open_outbox(window=3)
    put(outbox, *range(6))
    connection = connect(outbox, limit=2)
    assert [take(outbox, connection) for _ in range(3)] == [0, 1, None]
    assert outbox.is_unanswered(1) and not outbox.is_unanswered(2)
    answer(outbox, connection, 0)
    assert not outbox.is_unanswered(0) and take(outbox, connection) == 2


def test_a_slow_line_has_one_input_in_flight(open_outbox):
    outbox = open_outbox()
    put(outbox, *range(3), size_bytes=40_000)
    connection = connect(outbox)
    assert [take(outbox, connection) for _ in range(2)] == [0, None]
    answer(outbox, connection, 0)
    assert [take(outbox, connection) for _ in range(3)] == [1, 2, None], "it was answered soon: there may be more"


def test_after_a_break_all_that_has_no_answer_goes_again_in_its_order(open_outbox):
    outbox = open_outbox()
    put(outbox, *range(4))
    connection = connect(outbox)
    assert [take(outbox, connection) for _ in range(3)] == [0, 1, 2]
    answer(outbox, connection, 1)
    outbox.close_connection(connection)
    assert take(outbox, connection) is None and not outbox.connected
    again = connect(outbox)
    assert [take(outbox, again) for _ in range(4)] == [0, 2, 3, None]


def test_what_the_coordinator_had_no_place_for_comes_again_after_a_while(open_outbox):
    outbox = open_outbox()
    now_s = [50.0]
    outbox.clock = lambda: now_s[0]
    put(outbox, 0, 1, 2)
    connection = connect(outbox)
    assert [take(outbox, connection) for _ in range(2)] == [0, 1]
    outbox.postpone(connection, 0, 2.0)
    assert take(outbox, connection) is None
    now_s[0] = 52.5
    assert [take(outbox, connection) for _ in range(3)] == [0, 2, None]


def test_an_earlier_session_goes_first_and_on_a_connection_of_its_own(open_outbox):
    earlier = open_outbox("a")
    put(earlier, 0, 1)
    earlier.spool.close()
    outbox = open_outbox("b")
    put(outbox, 0)
    first = connect(outbox)
    assert outbox.session.id == earlier.spool.session.id
    assert [take(outbox, first) for _ in range(2)] == [0, 1] and not first.over
    for sequence in (0, 1):
        answer(outbox, first, sequence)
    assert take(outbox, first) is None and first.over, "the other session's input is to be sent next"
    outbox.close_connection(first)
    second = connect(outbox)
    assert outbox.session.id == outbox.spool.session.id and take(outbox, second) == 0


def test_nothing_is_sent_while_it_is_held_or_the_budget_is_spent(open_outbox, caplog):
    outbox = open_outbox(calls_a_day=2)
    put(outbox, 0, 1, 2)
    connection = connect(outbox)
    outbox.held = True
    assert take(outbox, connection) is None
    outbox.held = False
    assert [take(outbox, connection) for _ in range(3)] == [0, 1, None]
    take(outbox, connection)
    assert sum("budget is spent" in record.message for record in caplog.records) == 1


def test_a_stopped_run_waits_for_what_is_on_its_way_and_sends_no_more(open_outbox):
    outbox, stopped = open_outbox(), threading.Event()
    put(outbox, 0, 1, 2)
    connection = connect(outbox)
    assert take(outbox, connection) == 0
    stopped.set()
    draining = threading.Thread(target=outbox.drain, args=(300.0, stopped))
    draining.start()
    while not outbox.held:
        draining.join(0.01)
    assert take(outbox, connection) is None and draining.is_alive()
    answer(outbox, connection, 0)
    draining.join(30.0)
    assert not draining.is_alive() and outbox.spool.waiting().count == 2


def test_a_run_that_nobody_answers_comes_to_its_end(open_outbox):
    outbox = open_outbox()
    put(outbox, 0)
    outbox.drain(0.0)
    assert outbox.spool.waiting().count == 1
