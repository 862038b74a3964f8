"""An input is let in or refused before anything is made of it; a stream that is refused waits for its turn."""

import math
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from infilink.cloud.sessions.backlog import Backlog
from infilink.cloud.sessions.entry import Entry
from infilink.errors import DeadlineExceeded, QueueFull
from infilink.protos import edge_pb2

INPUT = edge_pb2.Input(payload=b"jpeg")


class Site:
    """Models that take so many inputs more, and what entries ask about."""

    def __init__(self) -> None:
        self.now_s, self.room, self.asked, self.expired = 1000.0, 0, 0, 0
        self.inside = 0
        self.schedule = None
        self.pool = SimpleNamespace(queue=self)
        self.backlog = Backlog(100, clock=self.clock)

    def clock(self) -> float:
        return self.now_s

    @contextmanager
    def admitted(self, models, deadline_s):
        self.asked += 1
        if self.inside >= self.room:
            raise QueueFull("full", retry_after_s=0.5)
        self.inside += 1
        yield
        self.inside -= 1

    def entry(self) -> Entry:
        return Entry(self, self.backlog)

    def admit(self, entry: Entry, *, left_s: float = 1.0, message: edge_pb2.Input = INPUT):
        return entry.admit(message, ("a",), self.now_s + left_s, check=lambda: None)

    def refused_s(self, entry: Entry, **given) -> float:
        """How long a stream that is refused is told to wait."""
        with pytest.raises(QueueFull, match="too much waits already; try again in") as refused:
            self.admit(entry, **given)
        return refused.value.retry_after_s


@pytest.fixture
def site() -> Site:
    return Site()


def test_what_was_let_in_counts_until_it_was_looked_at(site):
    site.room = 1
    admitted = site.admit(site.entry())
    assert (admitted.models, admitted.deadline_s, admitted.came_s) == (("a",), 1001.0, 1000.0) and site.inside == 1
    admitted.place.close()
    admitted.place.close()
    assert site.inside == 0


def test_those_that_are_refused_are_told_to_come_one_after_another_as_answers_do(site):
    site.backlog._apart_s = 0.25
    first, second = site.entry(), site.entry()
    assert [site.refused_s(each) for each in (first, second)] == [0.5, 0.75]
    site.now_s += 10.0
    assert site.refused_s(first) == 0.5, "when all have had their turn it begins anew"


def test_a_device_is_told_once_how_long_to_wait(site):
    site.backlog.size_bytes = 50
    entry = site.entry()
    assert entry.take_pause() is None
    site.refused_s(entry)
    site.refused_s(entry)
    pause = entry.take_pause()
    assert pause is not None and pause.pause.retry_after_s == 0.5 and entry.take_pause() is None


def test_what_comes_before_its_time_is_refused_without_a_look_and_puts_nobody_off(site):
    site.backlog.size_bytes = 50
    site.backlog._apart_s = 0.25
    hasty, other = site.entry(), site.entry()
    site.refused_s(hasty)
    site.now_s, site.room, asked = site.now_s + 0.25, 5, site.asked
    assert site.refused_s(hasty) == 0.25 and site.asked == asked and site.expired == 1
    assert site.admit(other), "others are let in"
    assert site.admit(hasty, left_s=2.0), "and what has more time"
    site.now_s += 0.25
    assert site.admit(hasty)


def test_one_is_let_in_before_its_time_where_nothing_waits_any_more(site):
    hasty = site.entry()
    site.refused_s(hasty)
    site.room = 1
    assert site.backlog.size_bytes == 0 and site.admit(hasty)


def test_what_has_no_deadline_is_never_told_to_wait_for_its_turn(site):
    site.backlog.size_bytes = 50
    entry = site.entry()
    site.refused_s(entry)
    site.room = 1
    assert site.admit(entry, left_s=math.inf)


def test_nothing_is_refused_for_its_time_where_a_schedule_chooses_or_no_model_is_to_run(site):
    assert site.admit(site.entry(), message=edge_pb2.Input())
    site.schedule = object()
    assert site.admit(site.entry()) and site.asked == 0


def test_what_is_wrong_with_it_comes_first(site):
    entry = site.entry()
    site.refused_s(entry)

    def check() -> None:
        raise DeadlineExceeded("late")

    with pytest.raises(DeadlineExceeded):
        entry.admit(INPUT, ("a",), math.inf, check=check)


def test_a_device_that_an_operator_paused_is_told_so_again_and_what_it_sends_all_the_same_is_refused(site):
    site.room, held = 9, [False]
    entry = Entry(site, site.backlog, is_held=lambda: held[0])
    site.admit(entry)
    assert entry.take_pause() is None
    held[0] = True
    assert entry.take_pause().pause.retry_after_s == 5.0 and entry.take_pause() is None
    site.now_s += 4.0
    site.admit(entry)
    assert entry.take_pause() is not None, "what was on its way is answered, and it is told again"
    site.now_s += 2.0
    with pytest.raises(QueueFull, match="an operator has paused this device"):
        site.admit(entry)
    held[0] = False
    assert entry.take_pause() is None
    site.admit(entry)
