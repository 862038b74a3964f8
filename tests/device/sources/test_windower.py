"""Windows: the same whatever pieces the samples come in, and none over a hole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.sources.cut import Span
from infilink.device.sources.windower import Windower

RATE = 10.0


def windows(pieces, span, times_s=None, **options):
    """The windows (begin, time) of samples that are their own numbers."""
    total = sum(pieces)
    values = np.arange(total)
    times_s = values / RATE if times_s is None else np.asarray(times_s)
    windower = Windower(span, options.pop("hole_s", 0.15), **options)
    found, begin = [], 0
    for piece in pieces:
        if piece:
            found += list(windower.push(values[begin : begin + piece], times_s[begin : begin + piece]))
        begin += piece
    return [(window.values.tolist(), window.time_s) for window in found]


def expected(total, span, begin=0):
    starts = range(begin, begin + total - span.window + 1, span.stride)
    return [(list(range(s, s + span.window)), (s + span.window - 1) / RATE) for s in starts]


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=20),
    st.integers(1, 30),
    st.integers(1, 45),
)
def test_any_pieces_give_the_same_windows(pieces, window, stride):
    span = Span(window, stride)
    assert windows(pieces, span) == expected(sum(pieces), span) == windows([sum(pieces)], span)


@given(st.data())
def test_no_window_has_a_hole_in_it_however_the_samples_come(data):
    total = data.draw(st.integers(1, 60))
    span = Span(data.draw(st.integers(1, 8)), data.draw(st.integers(1, 10)))
    steps = data.draw(st.lists(st.sampled_from([0.1, 0.1, 0.1, 0.14, 2.0, -0.5]), min_size=total, max_size=total))
    times_s = np.cumsum(steps)
    cuts = sorted(data.draw(st.lists(st.integers(0, total), max_size=6)))
    pieces = np.diff([0, *cuts, total]).tolist()
    found = windows(pieces, span, times_s)
    assert found == windows([total], span, times_s)
    for numbers, time_s in found:
        inside = np.diff(times_s[numbers])
        assert (inside <= 0.15).all() and (inside >= 0).all() and time_s == times_s[numbers[-1]]
    # Each stretch gives as many as fit.
    breaks = [0, *(i for i in range(1, total) if not -1e-6 <= steps[i] <= 0.15), total]
    fit = sum(max(0, (end - begin - span.window) // span.stride + 1) for begin, end in pairwise(breaks))
    assert len(found) == fit


def test_each_hole_is_said():
    said = []
    times_s = [0.0, 0.1, 5.0, 5.1, 9.0, 9.1]
    assert [w for w, _ in windows([6], Span(2, 1), times_s, told=said.append)] == [[0, 1], [2, 3], [4, 5]]
    assert len(said) == 2
    assert said[0] == "nothing for 4.9 s before 5.00 s: a new window begins there, and after each such hole"
    said.clear()
    windows([3], Span(1, 1), [3.0, 1.0, 0.5], told=said.append)
    assert said[0] == "times go back by 2 s before 1.00 s: a new window begins there, and after each such hole"


def test_windows_are_arrays_of_their_own_and_what_no_window_needs_is_let_go():
    windower = Windower(Span(4, 2), 1.0)
    values = np.arange(8.0)
    one, *_ = windower.push(values, np.arange(8) / RATE)
    assert not np.shares_memory(one.values, values)
    for start in range(8, 4000, 8):
        list(windower.push(np.arange(start, start + 8.0), np.arange(start, start + 8) / RATE))
        assert len(windower._pieces) <= 2


def test_a_stride_longer_than_the_window_leaves_samples_out():
    assert [w for w, _ in windows([3] * 10, Span(2, 7))] == [[0, 1], [7, 8], [14, 15], [21, 22], [28, 29]]


def test_frames_are_stacked():
    windower = Windower(Span(3, 3), 1.0)
    frames = [np.full((1, 2, 2, 3), number, np.uint8) for number in range(6)]
    found = [w for n, frame in enumerate(frames) for w in windower.push(frame, np.array([n / RATE]))]
    assert [w.values.shape for w in found] == [(3, 2, 2, 3)] * 2
    assert found[1].values[:, 0, 0, 0].tolist() == [3, 4, 5] and found[1].time_s == pytest.approx(0.5)
