"""Times of rows: the rate that they show, arrival, and clocks that differ; and the means of a lower rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.sources.averaged import Averaged
from infilink.device.sources.row_times import LiveTimes, RecordedTimes, measure_rate


@pytest.mark.parametrize(
    ("times_s", "rate_hz"),
    [
        (np.arange(100) / 32, 32),
        (np.arange(100) * 0.0312499, 32),
        (np.arange(100) / 31.25, 31.2),
        (np.arange(100) * 60.0, 0.0167),
        (np.concatenate([np.arange(50), 1000 + np.arange(50)]) / 50, 50),
        (np.repeat(np.arange(20), 10) / 5, 50),
        (np.zeros(10), 0),
        (np.zeros(1), 0),
    ],
    ids=["even", "nearly", "odd", "slow", "a hole", "bursts", "no steps", "one"],
)
def test_times_show_a_rate(times_s, rate_hz):
    assert measure_rate(times_s).rate_hz == pytest.approx(rate_hz, rel=0.02)


def test_jitter_is_no_hole_and_a_hole_is():
    jittered = np.arange(200) / 100 + np.random.default_rng(0).uniform(0, 0.004, 200)
    rate = measure_rate(jittered)
    assert rate.rate_hz == pytest.approx(100, rel=0.01) and np.diff(jittered).max() < rate.hole_s < 0.05


def test_arrival_is_the_time_of_rows_without_one_and_never_goes_back():
    times = LiveTimes(pytest.fail)
    assert times.of(2, None, 5.0).tolist() == [5.0, 5.0]
    assert times.of(1, None, 6.0).tolist() == [6.0]


def test_rows_with_times_are_placed_by_the_one_that_was_fastest():
    said = []
    times = LiveTimes(said.append)
    assert times.of(1, np.array([1000.0]), 50.3).tolist() == pytest.approx([50.3])
    assert times.of(1, np.array([1001.0]), 51.1).tolist() == pytest.approx([51.1])
    assert times.of(1, np.array([1002.0]), 55.0).tolist() == pytest.approx([52.1], abs=0.01), "it was held up"
    assert times.of(1, np.array([10.0]), 56.0).tolist() == pytest.approx([56.0]) and "its clock was set back" in said[0]


def test_a_clock_that_goes_slower_than_ours_is_followed():
    times = LiveTimes(pytest.fail)
    for number in range(20_000):
        arrived_s = number * 5.0
        (found,) = times.of(1, np.array([number * 5.0 * 0.9998]), arrived_s)
        assert arrived_s - 0.01 < found <= arrived_s


def test_order_is_a_second_from_one_to_the_next():
    times = RecordedTimes(0.0, np.inf, pytest.fail)
    assert times.of(3, None).tolist() == [0, 1, 2]
    times.anew()
    assert times.of(2, None).tolist() == [3, 4]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10), st.sampled_from([3.0, 7.3, 10.0]))
def test_the_means_of_a_lower_rate_do_not_depend_on_the_pieces(pieces, rate_hz):
    count = sum(pieces)
    random = np.random.default_rng(0)
    values, times_s = (
        random.standard_normal((count, 2)).astype(np.float32),
        np.cumsum(random.uniform(0.01, 0.03, count)),
    )
    whole = Averaged(rate_hz, 1.0).push(values, times_s)
    cut = Averaged(rate_hz, 1.0)
    parts = [
        cut.push(v, t) for v, t in zip(*(np.split(a, np.cumsum(pieces)[:-1]) for a in (values, times_s)), strict=True)
    ]
    for place in (0, 1):
        assert np.concatenate([part[place] for part in parts]) == pytest.approx(whole[place], abs=1e-5)


def test_what_is_faster_than_the_new_rate_does_not_show_as_something_slow():
    times_s = np.arange(2000) / 100
    fast, slow = np.sin(2 * np.pi * 24 * times_s), np.sin(2 * np.pi * 0.5 * times_s)
    made, at_s = Averaged(20.0, 1.0).push(np.stack([fast, slow], axis=1).astype(np.float32), times_s)
    assert (
        np.abs(made[:, 0]).max() < 0.35 and np.abs(made[:, 1] - np.sin(2 * np.pi * 0.5 * (at_s - 0.025))).max() < 0.01
    )


def test_a_hole_is_not_averaged_over():
    times_s = np.concatenate([np.arange(20), 100 + np.arange(20)]) / 10
    values = np.repeat([0.0, 9.0], 20)[:, None].astype(np.float32)
    made, at_s = Averaged(2.0, 0.5).push(values, times_s)
    assert set(made.ravel().tolist()) == {0.0, 9.0} and np.diff(at_s).max() > 8


@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize("stray_s", [-3.0, 0.0, 40.0, 1e9])
@pytest.mark.parametrize("hole_s", [2.5 / 32, np.inf], ids=["rows", "texts"])
def test_one_time_that_is_wrong_moves_no_other_row(piece, stray_s, hole_s):
    own_s = 5 + np.arange(64) / 32
    own_s[20] = 5 + stray_s
    times = RecordedTimes(32.0, hole_s, pytest.fail)
    found = []
    for begin in range(0, 64, piece):
        following_s = float(own_s[begin + piece]) if begin + piece < 64 else None
        rows = own_s[begin : begin + piece]
        found += times.of(len(rows), rows, following_s).tolist()
    assert found[:20] + found[21:] == pytest.approx([*np.arange(20) / 32, *np.arange(21, 64) / 32])
    assert 19 / 32 < found[20] < 21 / 32


def test_times_that_stay_ahead_or_behind_are_no_strays():
    said = []
    times = RecordedTimes(1.0, 2.5, said.append)
    assert times.of(6, np.array([0.0, 1, 50, 51, 2, 3])).tolist() == [0, 1, 50, 51, 56, 57]
    assert "its times go back by 49 s after 51.00 s" in said[0]
