"""The outbox: within its bounds, in order, and nothing that is unanswered is lost when a connection ends."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from infilink.device.uplink.memory_outbox import MemoryOutbox
from infilink.errors import Unavailable
from infilink.protos import edge_pb2

from ..coordinator import TIMEOUT_S

RUNNING = threading.Event()


def message(sequence):
    return edge_pb2.Input(sequence=sequence)


def taken(outbox, connection):
    sequences = []
    while (found := outbox.take(connection, 0.0)) is not None:
        sequences.append(found.sequence)
    return sequences


def connected(outbox, limit=8):
    connection = outbox.open_connection()
    outbox.allow(connection, limit)
    return connection


def test_nothing_is_sent_before_the_welcome_and_never_more_than_it_allows():
    outbox = MemoryOutbox(8, waits=True)
    connection = outbox.open_connection()
    for sequence in range(5):
        outbox.offer(message(sequence), RUNNING)
    assert taken(outbox, connection) == []
    outbox.allow(connection, 2)
    assert taken(outbox, connection) == [0, 1]
    outbox.answered(connection, 0)
    assert taken(outbox, connection) == [2]


def test_what_is_unanswered_goes_out_again_on_the_next_connection():
    outbox = MemoryOutbox(8, waits=True)
    connection = connected(outbox)
    for sequence in range(4):
        outbox.offer(message(sequence), RUNNING)
    assert taken(outbox, connection) == [0, 1, 2, 3]
    outbox.answered(connection, 0)
    outbox.answered(connection, 2)
    outbox.close_connection(connection)
    outbox.offer(message(4), RUNNING)
    again = connected(outbox)
    assert taken(outbox, again) == [1, 3, 4]
    assert taken(outbox, connection) == []


def test_latest_holds_one_back_and_names_what_it_replaced():
    outbox = MemoryOutbox(1, waits=False)
    connection = connected(outbox)
    assert [outbox.offer(message(sequence), RUNNING) for sequence in range(4)] == [[], [], [1], [2]]
    assert taken(outbox, connection) == [0]
    outbox.answered(connection, 0)
    assert taken(outbox, connection) == [3]


def test_nothing_is_sent_before_the_time_that_an_overloaded_coordinator_named_and_then_the_newest():
    now_s = [50.0]
    outbox = MemoryOutbox(8, waits=False, clock=lambda: now_s[0])
    connection = connected(outbox)
    outbox.offer(message(0), RUNNING)
    assert taken(outbox, connection) == [0]
    outbox.pause(connection, 2.0)
    outbox.answered(connection, 0)
    assert [outbox.offer(message(sequence), RUNNING) for sequence in (1, 2, 3)] == [[], [1], [2]]
    assert taken(outbox, connection) == []
    now_s[0] += 2.0
    assert taken(outbox, connection) == [3]
    outbox.answered(connection, 3)
    outbox.pause(connection, 1e9)
    now_s[0] += 10.0
    outbox.offer(message(4), RUNNING)
    assert taken(outbox, connection) == [4], "it is not believed for ever"


@pytest.mark.parametrize("waits", [True, False])
def test_what_is_held_back_while_a_coordinator_is_overloaded_is_sent_all_the_same(waits):
    now_s = [50.0]
    outbox = MemoryOutbox(8, waits=waits, clock=lambda: now_s[0])
    connection = connected(outbox)
    outbox.offer(message(0), RUNNING)
    outbox.answered(connection, 0)
    outbox.pause(connection, 2.0)
    outbox.offer(message(1), RUNNING)
    with pytest.raises(Unavailable, match="1 inputs got no answer"):
        outbox.drain(0.0)
    outbox.close_connection(connection)
    assert taken(outbox, connected(outbox)) == [1], "another one may have room"


def test_all_waits_for_room():
    outbox = MemoryOutbox(1, waits=True)
    connection = connected(outbox)
    outbox.offer(message(0), RUNNING)
    offering = threading.Thread(target=outbox.offer, args=(message(1), RUNNING))
    offering.start()
    assert taken(outbox, connection) == [0], "the other one waits in its thread"
    outbox.answered(connection, 0)
    offering.join(TIMEOUT_S)
    assert taken(outbox, connection) == [1]


def test_all_waits_no_longer_once_it_is_stopped():
    outbox, stopped = MemoryOutbox(1, waits=True), threading.Event()
    stopped.set()
    connection = connected(outbox)
    for sequence in range(3):
        assert outbox.offer(message(sequence), stopped) == []
    for sequence in range(3):
        assert taken(outbox, connection) == [sequence]
        outbox.answered(connection, sequence)


@pytest.mark.parametrize(
    "end", [lambda outbox, _: outbox.finish(), MemoryOutbox.close_connection], ids=["finish", "break"]
)
def test_whoever_waits_for_an_input_is_let_go_at_the_end(end):
    outbox = MemoryOutbox(1, waits=True)
    connection = connected(outbox)
    with ThreadPoolExecutor() as threads:
        taking = threads.submit(outbox.take, connection, TIMEOUT_S)
        end(outbox, connection)
        assert taking.result(TIMEOUT_S / 2) is None


def test_a_failure_reaches_whoever_waits():
    outbox = MemoryOutbox(1, waits=True)
    outbox.offer(message(0), RUNNING)
    outbox.fail(Unavailable("gone"))
    with pytest.raises(Unavailable, match="gone"):
        outbox.offer(message(1), RUNNING)
    with pytest.raises(Unavailable, match="gone"):
        outbox.drain(TIMEOUT_S)


def test_draining_gives_up_when_answers_stop():
    outbox = MemoryOutbox(1, waits=False)
    outbox.drain(0.0)
    for sequence in range(2):
        outbox.offer(message(sequence), RUNNING)
    with pytest.raises(Unavailable, match="2 inputs got no answer"):
        outbox.drain(0.0)


class Deliveries(RuleBasedStateMachine):
    """A device, a coordinator, and connections that break, in any order of events.

    What is compared with: every input that was offered is in exactly one place, and each connection carries what was
    unanswered, in its order.
    """

    @initialize(window=st.integers(1, 4), waits=st.booleans())
    def start(self, window, waits):
        self.outbox = MemoryOutbox(window, waits=waits)
        self.window, self.waits = window, waits
        self.offered, self.replaced, self.answered = [], [], []
        self.connection, self.limit, self.sent = None, 0, []

    @property
    def open(self):
        """The inputs that should still be delivered."""
        return [each for each in self.offered if each not in self.replaced and each not in self.answered]

    # With queue "all" an offer beyond the window waits: that is a test of its own.
    @precondition(lambda self: not self.waits or len(self.open) < self.window)
    @rule()
    def offer(self):
        sequence = len(self.offered)
        self.offered.append(sequence)
        self.replaced += self.outbox.offer(message(sequence), RUNNING)

    @precondition(lambda self: self.connection is None)
    @rule()
    def connect(self):
        self.connection, self.limit, self.sent = self.outbox.open_connection(), 0, []

    @precondition(lambda self: self.connection is not None and not self.limit)
    @rule(limit=st.integers(0, 6))
    def welcome(self, limit):
        self.outbox.allow(self.connection, limit)
        self.limit = max(1, min(limit, self.window))

    @precondition(lambda self: self.connection is not None)
    @rule()
    def send(self):
        found = self.outbox.take(self.connection, 0.0)
        in_flight = [each for each in self.sent if each not in self.answered]
        room = self.limit - len(in_flight)
        due = [each for each in self.open[: self.window] if each not in self.sent] if room > 0 else []
        assert (None if found is None else found.sequence) == (due[0] if due else None)
        self.sent += due[:1]

    @precondition(lambda self: set(self.sent) - set(self.answered))
    @rule(data=st.data())
    def answer(self, data):
        # In any order: the outbox does not count on the coordinator's.
        sequence = data.draw(st.sampled_from(sorted(set(self.sent) - set(self.answered))))
        self.outbox.answered(self.connection, sequence)
        self.answered.append(sequence)

    @precondition(lambda self: self.connection is not None)
    @rule()
    def break_off(self):
        self.outbox.close_connection(self.connection)
        assert self.outbox.take(self.connection, 0.0) is None
        self.connection, self.sent = None, []

    @invariant()
    def nothing_is_lost_and_the_bound_holds(self):
        if not hasattr(self, "outbox"):
            return
        held_back = self.open[self.window :]
        assert len(held_back) <= (0 if self.waits else 1)
        unanswered = [each for each in self.offered if self.outbox.is_unanswered(each)]
        assert unanswered == self.open[: self.window]

    def teardown(self):
        """Whatever has happened, one connection that lasts delivers all that is left."""
        if not hasattr(self, "outbox"):
            return
        if self.connection is not None:
            self.break_off()
        connection, delivered, left = connected(self.outbox), [], self.open
        while (found := self.outbox.take(connection, 0.0)) is not None:
            delivered.append(found.sequence)
            self.outbox.answered(connection, found.sequence)
        assert delivered == left
        self.outbox.drain(0.0)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
