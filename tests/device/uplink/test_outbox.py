"""The outbox: bounded, in order, and nothing unanswered is lost when a connection ends."""

import threading

import pytest
from infilink.device.uplink.outbox import Outbox
from infilink.errors import Unavailable
from infilink.protos import edge_pb2


def message(sequence):
    return edge_pb2.Input(sequence=sequence)


def taken(outbox, lane):
    sequences = []
    while (found := outbox.take(lane, 0.0)) is not None:
        sequences.append(found.sequence)
    return sequences


def test_nothing_is_sent_before_the_welcome_and_never_more_than_it_allows():
    outbox, stopped = Outbox(8, waits=True), threading.Event()
    lane = outbox.open_lane()
    for sequence in range(5):
        outbox.offer(message(sequence), stopped)
    assert taken(outbox, lane) == []
    outbox.open_window(lane, 2)
    assert taken(outbox, lane) == [0, 1]
    outbox.answered(lane, 0)
    assert taken(outbox, lane) == [2]


def test_what_is_unanswered_goes_out_again_on_the_next_connection():
    outbox, stopped = Outbox(8, waits=True), threading.Event()
    lane = outbox.open_lane()
    outbox.open_window(lane, 8)
    for sequence in range(4):
        outbox.offer(message(sequence), stopped)
    assert taken(outbox, lane) == [0, 1, 2, 3]
    outbox.answered(lane, 0)
    outbox.answered(lane, 2)
    outbox.close_lane(lane)
    outbox.offer(message(4), stopped)
    again = outbox.open_lane()
    outbox.open_window(again, 8)
    assert taken(outbox, again) == [1, 3, 4]
    assert taken(outbox, lane) == []


def test_latest_keeps_one_waiting_and_names_what_it_replaced():
    outbox, stopped = Outbox(1, waits=False), threading.Event()
    lane = outbox.open_lane()
    outbox.open_window(lane, 8)
    assert [outbox.offer(message(sequence), stopped) for sequence in range(4)] == [[], [], [1], [2]]
    assert taken(outbox, lane) == [0]
    outbox.answered(lane, 0)
    assert taken(outbox, lane) == [3]


def test_all_waits_for_room():
    outbox, stopped = Outbox(1, waits=True), threading.Event()
    lane = outbox.open_lane()
    outbox.open_window(lane, 8)
    outbox.offer(message(0), stopped)
    offered = threading.Thread(target=outbox.offer, args=(message(1), stopped))
    offered.start()
    assert taken(outbox, lane) == [0]
    outbox.answered(lane, 0)
    offered.join(10)
    assert taken(outbox, lane) == [1]


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
