"""The thread behind the capture loop: in order, bounded, and its failures are told."""

import threading

import pytest
from infilink.device.handoff import Handoff
from infilink.errors import InfilinkError, ModelFailed

TIMEOUT_S = 10.0


@pytest.fixture
def opened():
    """Handovers that are closed at the end, and what lets their work go on."""
    made = []

    def make(*, waits):
        started, go, done = threading.Semaphore(0), threading.Semaphore(0), []

        def work(item):
            started.release()
            assert go.acquire(timeout=TIMEOUT_S)
            if isinstance(item, Exception):
                raise item
            done.append(item)

        one = Handoff(work, waits=waits)
        one.start()
        made.append((one, go))
        return one, started, go, done

    yield make
    for one, go in made:
        go.release(100)
        one.close()
        one.close()


def test_the_newest_takes_the_place_of_the_one_that_waits(opened):
    one, started, go, done = opened(waits=False)
    stopped = threading.Event()
    assert one.put(0, stopped) is None
    assert started.acquire(timeout=TIMEOUT_S)
    assert [one.put(item, stopped) for item in (1, 2, 3)] == [None, 1, 2]
    go.release(2)
    one.finish()
    assert done == [0, 3]


def test_where_all_are_wanted_the_loop_waits_until_there_is_room_or_it_is_stopped(opened):
    one, started, go, done = opened(waits=True)
    stopped = threading.Event()
    one.put(0, stopped)
    assert started.acquire(timeout=TIMEOUT_S)
    one.put(1, stopped)
    put = threading.Thread(target=one.put, args=(2, stopped))
    put.start()
    go.release()
    put.join(TIMEOUT_S)
    assert not put.is_alive() and done == [0]
    stopped.set()
    assert one.put(3, stopped) is None
    go.release(3)
    one.finish()
    assert done == [0, 1, 2, 3]


@pytest.mark.parametrize(("error", "text"), [(ModelFailed("it broke"), "it broke"), (KeyError("k"), "KeyError")])
def test_a_failure_reaches_the_loop(opened, error, text):
    one, _, go, _ = opened(waits=False)
    go.release()
    one.put(error, threading.Event())
    with pytest.raises(InfilinkError, match=text):
        one.finish()
    with pytest.raises(InfilinkError, match=text):
        one.put(1, threading.Event())


def test_what_waits_is_left_undone_when_it_is_closed(opened):
    one, started, go, done = opened(waits=False)
    for item in (0, 1):
        one.put(item, threading.Event())
        if not item:
            assert started.acquire(timeout=TIMEOUT_S)
    closing = threading.Thread(target=one.close)
    closing.start()
    go.release(2)
    closing.join(TIMEOUT_S)
    assert not closing.is_alive() and done in ([0], [0, 1])
