"""Which version of the wire two sides speak: the newest that both know, or an error that says both ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import Incompatible
from infilink.protos import wire

VERSIONS = st.integers(0, 10)


@given(newest=VERSIONS, oldest=VERSIONS)
def test_the_newest_that_both_speak_is_spoken_or_none(newest: int, oldest: int) -> None:
    theirs = set(range(oldest or newest or 1, (newest or 1) + 1))
    common = theirs & set(range(wire.OLDEST, wire.NEWEST + 1))
    if common:
        assert wire.agree(newest, oldest, other="the device") == max(common)
        return
    with pytest.raises(Incompatible, match="the device speaks version"):
        wire.agree(newest, oldest, other="the device")


def test_one_that_says_no_version_speaks_the_first() -> None:
    assert wire.agree(0, 0, other="the device") == 1


def test_an_error_says_both_ranges_and_what_to_do() -> None:
    with pytest.raises(Incompatible) as raised:
        wire.agree(9, 8, other="the device (infilink 7.0)")
    assert str(raised.value) == (
        "the device (infilink 7.0) speaks version 8 to 9 of the wire, this side 1 to 2: install an older infilink "
        "there, or one like it here"
    )
