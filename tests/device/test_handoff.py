"""The thread behind the capture loop: in order, bounded, and its failures reach the loop."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.handoff import Handoff
from infilink.errors import InfilinkError, ModelFailed

from .coordinator import TIMEOUT_S

RUNNING = threading.Event()


class Work:
    """A handoff whose work on each item waits until the test lets it go."""

    def __init__(self, **options: Any) -> None:
        self.done: list[object] = []
        self._begun, self._go, self._ended = (threading.Semaphore(0) for _ in range(3))
        self.handoff: Handoff[object] = Handoff(self._work, **options)
        self.handoff.start()

    def put(self, item: object) -> list[object]:
        return self.handoff.put(item, RUNNING)

    def wait_begun(self) -> None:
        """Until the work on one more item has begun."""
        assert self._begun.acquire(timeout=TIMEOUT_S)

    def let_go(self, count: int = 1) -> None:
        """Lets the work on so many items be done."""
        self._go.release(count)

    def wait_ended(self) -> None:
        """Until the work on one more item has ended."""
        assert self._ended.acquire(timeout=TIMEOUT_S)

    def close(self) -> None:
        self.let_go(1000)
        self.handoff.close()
        self.handoff.close()

    def _work(self, item: object) -> None:
        self._begun.release()
        assert self._go.acquire(timeout=TIMEOUT_S)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)
        self._ended.release()


@pytest.fixture
def start_work():
    made = []

    def start(**options):
        made.append(Work(**options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_the_newest_takes_the_place_of_the_one_that_waits(start_work):
    work = start_work(waits=False)
    assert work.put(0) == []
    work.wait_begun()
    assert [work.put(item) for item in (1, 2, 3)] == [[], [1], [2]]
    work.let_go(2)
    work.handoff.finish()
    assert work.done == [0, 3]


def test_what_comes_at_once_waits_as_far_as_there_is_room(start_work):
    work = start_work(waits=False, most_bytes=10, size_bytes=len)
    assert work.put("first") == []
    work.wait_begun()
    assert [work.put(item) for item in ("aaaa", "bbbb", "cc", "dddd", "a single one always can")] == [
        *([], [], []),
        ["aaaa"],
        ["bbbb", "cc", "dddd"],
    ]
    assert work.put("e") == ["a single one always can"]
    work.let_go(2)
    work.handoff.finish()
    assert work.done == ["first", "e"]


def test_where_all_are_wanted_the_loop_waits_until_there_is_room(start_work):
    work = start_work(waits=True)
    put = []

    def loop():
        for item in range(4):
            assert work.put(item) == []
            put.append(item)

    thread = threading.Thread(target=loop)
    thread.start()
    for item in range(4):
        work.wait_begun()
        # While the work on an item is not done, one more may wait and the next is not taken.
        assert len(put) <= item + 2
        work.let_go()
    thread.join(TIMEOUT_S)
    work.handoff.finish()
    assert work.done == [0, 1, 2, 3]


def test_a_loop_that_is_stopped_waits_no_longer(start_work):
    work, stopped = start_work(waits=True), threading.Event()
    stopped.set()
    assert [work.handoff.put(item, stopped) for item in range(3)] == [[]] * 3
    work.let_go(3)
    work.handoff.finish()
    assert work.done == [0, 1, 2]


@pytest.mark.parametrize(("error", "text"), [(ModelFailed("it broke"), "it broke"), (KeyError("k"), "KeyError")])
def test_a_failure_reaches_the_loop(start_work, error, text):
    work = start_work(waits=False)
    work.let_go()
    work.put(error)
    with pytest.raises(InfilinkError, match=text):
        work.handoff.finish()
    with pytest.raises(InfilinkError, match=text):
        work.put(1)


def test_a_failure_reaches_a_loop_that_waits(start_work):
    work = start_work(waits=True)
    work.put(ModelFailed("it broke"))
    work.wait_begun()
    work.put(1)
    work.let_go()
    with pytest.raises(ModelFailed, match="it broke"):
        work.put(2)


def test_closing_waits_for_the_work_that_has_begun_and_begins_no_more(start_work):
    work = start_work(waits=False)
    work.put(0)
    work.wait_begun()
    work.let_go(2)
    work.handoff.close()
    work.put(1)
    assert work.done == [0]


def test_what_waits_is_dropped_when_it_is_closed():
    done = []
    one = Handoff(done.append, waits=False)
    one.put(0, RUNNING)
    one.close()
    one.start()
    one.finish()
    assert not done


@given(st.lists(st.sampled_from(["put", "work"]), max_size=20))
def test_nothing_is_lost_and_one_waits_at_most(steps):
    work = Work(waits=False)
    try:
        put, replaced, working, waiting = 0, [], None, None
        for step in steps:
            if step == "put":
                found = work.put(put)
                assert found == ([] if waiting is None else [waiting])
                replaced += found
                if working is None:
                    work.wait_begun()
                    working = put
                else:
                    waiting = put
                put += 1
            elif working is not None:
                work.let_go()
                work.wait_ended()
                working, waiting = waiting, None
                if working is not None:
                    work.wait_begun()
        work.let_go(2)
        work.handoff.finish()
        assert work.done == sorted(work.done), "in their order"
        assert sorted([*work.done, *replaced]) == list(range(put)), "done or named as replaced, never both"
    finally:
        work.close()


def test_it_may_be_closed_before_it_was_started():
    one = Handoff(print, waits=False)
    one.close()
    one.close()
