"""The outbox: bounded, in order, and nothing unanswered is lost when a connection ends."""

import threading

import pytest
from infilink.device.uplink.outbox import Outbox
from infilink.errors import Unavailable
from infilink.protos import edge_pb2


def message(sequence):
    return edge_pb2.Input(sequence=sequence)


def taken(outbox, connection):
    sequences = []
    while (found := outbox.take(connection, 0.0)) is not None:
        sequences.append(found.sequence)
    return sequences


def test_nothing_is_sent_before_the_welcome_and_never_more_than_it_allows():
    outbox, stopped = Outbox(8, waits=True), threading.Event()
    connection = outbox.open_connection()
    for sequence in range(5):
        outbox.offer(message(sequence), stopped)
    assert taken(outbox, connection) == []
    outbox.allow(connection, 2)
    assert taken(outbox, connection) == [0, 1]
    outbox.answered(connection, 0)
    assert taken(outbox, connection) == [2]


def test_what_is_unanswered_goes_out_again_on_the_next_connection():
    outbox, stopped = Outbox(8, waits=True), threading.Event()
    connection = outbox.open_connection()
    outbox.allow(connection, 8)
    for sequence in range(4):
        outbox.offer(message(sequence), stopped)
    assert taken(outbox, connection) == [0, 1, 2, 3]
    outbox.answered(connection, 0)
    outbox.answered(connection, 2)
    outbox.close_connection(connection)
    outbox.offer(message(4), stopped)
    again = outbox.open_connection()
    outbox.allow(again, 8)
    assert taken(outbox, again) == [1, 3, 4]
    assert taken(outbox, connection) == []


def test_latest_keeps_one_waiting_and_names_what_it_replaced():
    outbox, stopped = Outbox(1, waits=False), threading.Event()
    connection = outbox.open_connection()
    outbox.allow(connection, 8)
    assert [outbox.offer(message(sequence), stopped) for sequence in range(4)] == [[], [], [1], [2]]
    assert taken(outbox, connection) == [0]
    outbox.answered(connection, 0)
    assert taken(outbox, connection) == [3]


def test_all_waits_for_room():
    outbox, stopped = Outbox(1, waits=True), threading.Event()
    connection = outbox.open_connection()
    outbox.allow(connection, 8)
    outbox.offer(message(0), stopped)
    offered = threading.Thread(target=outbox.offer, args=(message(1), stopped))
    offered.start()
    assert taken(outbox, connection) == [0]
    outbox.answered(connection, 0)
    offered.join(10)
    assert taken(outbox, connection) == [1]


def test_a_failure_reaches_whoever_waits():
    outbox = Outbox(1, waits=True)
    outbox.offer(message(0), threading.Event())
    outbox.fail(Unavailable("gone"))
    with pytest.raises(Unavailable, match="gone"):
        outbox.offer(message(1), threading.Event())
    with pytest.raises(Unavailable, match="gone"):
        outbox.drain(10)


def test_draining_gives_up_when_answers_stop():
    outbox = Outbox(1, waits=True)
    outbox.offer(message(0), threading.Event())
    with pytest.raises(Unavailable, match="1 inputs got no answer"):
        outbox.drain(0.01)
