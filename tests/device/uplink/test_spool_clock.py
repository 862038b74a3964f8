"""The spool's time: it rises over restarts and reboots, whatever the machine's clock says."""

from hypothesis import given
from hypothesis import strategies as st
from infilink.device.uplink.spool_clock import SpoolClock

NOW_S = 1_790_000_000.0


def clock(monotonic_s, unix_s, saved=b"", floor_s=0.0):
    return SpoolClock(saved, floor_s=floor_s, monotonic=lambda: monotonic_s, unix_ns=lambda: round(unix_s * 1e9))


def test_the_first_run_has_the_monotonic_clocks_time():
    assert clock(77.0, NOW_S)() == 77.0


def test_between_two_runs_the_machines_clock_counts():
    saved = clock(500.0, NOW_S).save()
    assert clock(3.0, NOW_S + 60.0, saved)() == 560.0, "the machine was started anew"


def test_a_machine_that_did_not_know_the_time_adds_nothing():
    saved = clock(500.0, 12.0).save()
    assert clock(3.0, NOW_S, saved)() == 500.0


def test_a_clock_that_jumped_by_years_makes_nothing_too_old():
    saved = clock(500.0, NOW_S).save()
    assert clock(3.0, NOW_S + 10 * 365 * 86400.0, saved)() == 500.0
    assert clock(3.0, NOW_S - 10 * 365 * 86400.0, saved)() == 500.0


@given(
    before_s=st.floats(0, 1e7),
    unix_s=st.floats(0, 2e9),
    now_s=st.floats(0, 1e7),
    then_s=st.floats(0, 2e9),
    floor_s=st.floats(0, 1e7),
)
def test_it_never_goes_back(before_s, unix_s, now_s, then_s, floor_s):
    first = clock(before_s, unix_s)
    assert clock(now_s, then_s, first.save(), floor_s)() >= max(first(), floor_s) - 1e-6


@given(saved=st.binary(max_size=50))
def test_what_nobody_saved_is_no_error(saved):
    assert clock(5.0, NOW_S, saved)() >= 0.0
