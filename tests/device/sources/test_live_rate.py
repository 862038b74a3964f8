"""The rate of live rows: by their own times from the first, by their arrival after a while."""

import numpy as np
import pytest
from infilink.device.sources.live_rate import LiveRate
from infilink.errors import InvalidInput


def values(count):
    return np.arange(count, dtype=np.float32)[:, None]


def given(rate, count, rate_hz, piece=4):
    found = []
    for begin in range(0, count, piece):
        own_s = 1000 + np.arange(begin, begin + piece) / rate_hz
        found += rate.take(values(count)[begin : begin + piece], own_s - 900, own_s)
    return np.concatenate([rows for rows, _ in found]), np.concatenate([times_s for _, times_s in found])


def test_rows_of_the_rate_that_is_said_come_as_they_are_after_a_first_look():
    rate = LiveRate(32.0, 1.0, pytest.fail)
    assert rate.take(values(4), np.arange(4) / 32, np.arange(4) / 32) == []
    rows, times_s = given(LiveRate(32.0, 1.0, pytest.fail), 64, 32.5)
    assert np.array_equal(rows, values(64)) and len(times_s) == 64


def test_rows_of_a_higher_rate_are_averaged_and_of_a_lower_one_refused():
    said = []
    rows, times_s = given(LiveRate(16.0, 1.0, said.append), 64, 64.0)
    assert np.diff(times_s) == pytest.approx(1 / 16) and np.diff(rows[:, 0]) == pytest.approx(4)
    assert said == ["is sampled 64 times a second: resampled to 16, by means"]
    with pytest.raises(InvalidInput, match="is sampled 32 times a second, and `rate_hz` asks for 100"):
        given(LiveRate(100.0, 1.0, pytest.fail), 64, 32.0)


@pytest.mark.parametrize(("come_hz", "fits"), [(100.0, True), (95.0, True), (32.0, False), (150.0, False)])
def test_rows_without_times_show_their_rate_by_how_many_come(come_hz, fits):
    rate = LiveRate(100.0, 1.0, pytest.fail)
    jitter = np.random.default_rng(0).uniform(0, 0.1, 6000)

    def come():
        for number in range(6000):
            rate.take(values(1), np.array([number / come_hz + jitter[number]]), None)

    if fits:
        come()
    else:
        with pytest.raises(InvalidInput, match=r"its rows come .* times a second, and `rate_hz` says 100"):
            come()


def test_a_hole_is_no_lower_rate():
    rate = LiveRate(100.0, 1.0, pytest.fail)
    for stretch in range(20):
        for number in range(200):
            rate.take(values(1), np.array([100.0 * stretch + number / 100]), None)


def test_rows_that_come_together_are_averaged_as_those_that_come_one_by_one():
    own_s = np.arange(64) / 64
    one_by_one, at_once = LiveRate(16.0, 1.0, lambda _: None), LiveRate(16.0, 1.0, lambda _: None)
    apart, together = [], []
    for number in range(64):
        row = slice(number, number + 1)
        apart += one_by_one.take(values(64)[row], 7 + own_s[row], own_s[row])
        together += at_once.take(values(64)[row], np.full(1, 9.0), own_s[row])
    expected, found = (np.concatenate([rows for rows, _ in given]) for given in (apart, together))
    assert len(found) == 15 and np.array_equal(found, expected)
    times_s = np.concatenate([times_s for _, times_s in together])
    assert (np.diff(times_s) >= 0).all() and times_s[-1] == 9.0
