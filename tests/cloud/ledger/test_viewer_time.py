"""Times are kept in UTC and shown as the viewer's clock had them, also in the hours that there were twice or never."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.ledger.viewer_time import iso_utc, parse_zone, shown, since_us, until_us
from infilink.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


def test_the_hour_that_there_is_twice_in_autumn():
    first, second = us("2026-10-25 00:30"), us("2026-10-25 01:30")
    assert shown(first, BERLIN) == "2026-10-25 02:30:00.000+02:00"
    assert shown(second, BERLIN) == "2026-10-25 02:30:00.000+01:00"
    assert since_us("2026-10-25 02:30", BERLIN, 0) == first, "both are in the range"
    assert until_us("2026-10-25 02:30", BERLIN, 0) == second
    assert since_us("2026-10-25T02:30:00+01:00", BERLIN, 0) == second, "an offset says which"
    assert until_us("2026-10-25", BERLIN, 0) - since_us("2026-10-25", BERLIN, 0) == 25 * 3600 * 10**6


def test_the_hour_that_there_is_not_in_spring():
    assert shown(us("2026-03-29 00:59:59"), BERLIN) == "2026-03-29 01:59:59.000+01:00"
    assert shown(us("2026-03-29 01:00"), BERLIN) == "2026-03-29 03:00:00.000+02:00"
    since, until = since_us("2026-03-29 02:30", BERLIN, 0), until_us("2026-03-29 02:30", BERLIN, 0)
    assert since < us("2026-03-29 01:00") < until, "the jump is in the range, whichever end it is"
    assert until_us("2026-03-29", BERLIN, 0) - since_us("2026-03-29", BERLIN, 0) == 23 * 3600 * 10**6


@given(st.integers(0, 4_000_000_000_000).map(lambda ms: ms * 1000), st.sampled_from(ZONES))
def test_what_is_shown_names_the_moment_again(at_us, zone):
    text = shown(at_us, parse_zone(zone))
    assert since_us(text, None, 0) == until_us(text, None, 0) == at_us
    naive = text[:23]
    assert since_us(naive, parse_zone(zone), 0) <= at_us <= until_us(naive, parse_zone(zone), 0)


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200), ("7d", 604800), ("1.5min", 90), ("90s", 90)])
def test_ages_count_from_now(text, seconds):
    assert since_us(text, BERLIN, 10**15) == until_us(text, None, 10**15) == 10**15 - seconds * 10**6


@pytest.mark.parametrize("text", ["yesterday", "", "12", "2026-13-01", "d", "25.10.2026"])
def test_what_is_no_time_is_told_the_forms(text):
    with pytest.raises(InvalidInput, match=r'write "2026-10-25"'):
        since_us(text, None, 0)


def test_this_machines_zone_is_taken_without_a_name(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert shown(us("2026-11-01 06:30"), parse_zone("")) == "2026-11-01 01:30:00.000-05:00"
        assert since_us("2026-11-01 01:30", None, 0) == us("2026-11-01 05:30"), "the first of both"
    finally:
        monkeypatch.undo()
        time.tzset()
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        parse_zone("Berlin/Europe")
    assert iso_utc(us("2026-10-25 01:30")) == "2026-10-25T01:30:00.000000Z"
