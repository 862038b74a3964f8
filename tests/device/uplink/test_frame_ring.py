"""The last frames, in case they are asked for: never more than the bounds allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.uplink.frame_ring import FrameRing

MOST_BYTES, MOST_S = 100, 10.0


@pytest.fixture
def times():
    return {"now_s": 0.0, "unix_ns": 1000}


@pytest.fixture
def ring(times):
    return FrameRing(MOST_BYTES, MOST_S, clock=lambda: times["now_s"], clock_ns=lambda: times["unix_ns"])


def test_a_frame_is_there_until_it_is_answered(ring):
    assert ring.put(1, b"one") and ring.get(1) == b"one" and ring.get(1) == b"one"
    ring.drop(1)
    ring.drop(1)
    assert ring.get(1) == b"" and ring.size_bytes == 0


def test_frames_grow_too_old(ring, times):
    ring.put(1, b"one")
    times["now_s"] = MOST_S
    ring.put(2, b"two")
    assert ring.get(1) == b"one"
    times["now_s"] = MOST_S + 0.1
    assert (ring.get(1), ring.get(2)) == (b"", b"two")


def test_nobody_wants_a_frame_whose_deadline_is_over(ring, times):
    ring.put(1, b"one", deadline_ns=2000)
    times["unix_ns"] = 2000
    assert ring.get(1) == b"one"
    times["unix_ns"] = 2001
    assert ring.get(1) == b""


def test_a_frame_that_is_larger_than_all_of_it_is_not_kept(ring):
    ring.put(1, bytes(50))
    assert not ring.put(2, bytes(MOST_BYTES + 1))
    assert (len(ring.get(1)), ring.get(2)) == (50, b"")


@given(st.lists(st.integers(0, 120), max_size=30))
def test_the_newest_frames_are_there_and_all_of_them_within_the_bound(sizes):
    ring = FrameRing(MOST_BYTES, MOST_S, clock=lambda: 0.0)
    for sequence, size in enumerate(sizes):
        ring.put(sequence, bytes(size))
    held = [sequence for sequence, size in enumerate(sizes) if ring.get(sequence)]
    assert ring.size_bytes == sum(sizes[sequence] for sequence in held) <= MOST_BYTES
    kept = [sequence for sequence, size in enumerate(sizes) if 0 < size <= MOST_BYTES]
    assert held == kept[len(kept) - len(held) :], "the oldest are gone first"
