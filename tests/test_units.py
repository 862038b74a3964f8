"""Amounts as people write and read them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.outputs import OutputSpec
from infilink.units import (
    format_bytes,
    format_link,
    parse_budget,
    parse_compute,
    parse_link,
    parse_seconds,
    typical_bytes,
)

SIZES = {"a": 100 << 20, "b": 300 << 20}


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("200MiB", 200 << 20),
        ("1.5GiB", 3 << 29),
        ("50%", 200 << 20),
        ("200 mib", 200 << 20),
        ("150MB", 150_000_000),
        ("104857600", 100 << 20),
    ],
)
def test_a_budget_as_a_user_writes_it(text: str, size_bytes: int) -> None:
    assert parse_budget(text, SIZES) == size_bytes


@pytest.mark.parametrize("text", ["", "much", "-1MiB", "1TiB", "MiB", "1,5GiB"])
def test_what_is_no_budget_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match="200MiB"):
        parse_budget(text, SIZES)


def test_a_budget_below_the_smallest_model_names_it_and_what_to_give() -> None:
    with pytest.raises(InvalidInput, match=r"smallest model takes \(a: 100.0 MiB.*at least 101MiB"):
        parse_budget("20%", SIZES)


@given(st.integers(100 << 20, 1 << 50))
def test_bytes_read_back_as_they_are(size_bytes: int) -> None:
    assert parse_budget(f"{size_bytes}B", SIZES) == size_bytes
    assert format_bytes(size_bytes)


@pytest.mark.parametrize(
    ("text", "bps", "shown"),
    [
        ("10Mbit", 1e7, "10 Mbit/s"),
        ("10Mbit/s", 1e7, "10 Mbit/s"),
        (" 1.5 mbps ", 1.5e6, "1.5 Mbit/s"),
        ("500kbit", 5e5, "500 kbit/s"),
        ("1Gbit", 1e9, "1 Gbit/s"),
        ("800bit", 800, "800 bit/s"),
        ("1.25MB/s", 1e7, "10 Mbit/s"),
        ("125kB", 1e6, "1 Mbit/s"),
        ("8Mb/s", 8e6, "8 Mbit/s"),
    ],
)
def test_a_link_is_read_and_said(text: str, bps: float, shown: str) -> None:
    assert parse_link(text) == pytest.approx(bps)
    assert format_link(parse_link(text)) == shown


@pytest.mark.parametrize("text", ["", "10", "fast", "0Mbit", "-1Mbit", "10Mbyte", "10%"])
def test_what_is_no_link_is_answered_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidInput, match="500kbit, 10Mbit, 1Gbit"):
        parse_link(text)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (OutputSpec(kind="count"), 4),
        (OutputSpec(kind="label", classes=("a", "b", "c")), 12),
        (OutputSpec(kind="vector", length=128), 512),
        (OutputSpec(kind="boxes", classes=("car",)), 8 * 6 * 4),
        (OutputSpec(kind="tokens", length=5000), 64 * 8),
        (OutputSpec(kind="mask"), 64 * 64),
    ],
)
def test_an_output_takes_what_its_kind_takes(output: OutputSpec, expected: int) -> None:
    assert typical_bytes(output) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2.0), ("500ms", 0.5), (" 1.5 min ", 90.0), ("1h", 3600.0), ("3", 3.0)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "soon", "2 days", "nan"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="500ms, 2s"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "cores"), [("1.5 cores", 1.5), ("1 core", 1.0), ("0.5", 0.5), (" .25 ", 0.25), ("2cores", 2.0)]
)
def test_processors(text: str, cores: float) -> None:
    assert parse_compute(text) == cores


def test_all_processors_are_those_that_this_process_may_use() -> None:
    assert 1.0 <= parse_compute("all") <= (os.cpu_count() or 1)


@pytest.mark.parametrize("text", ["", "0", "0 cores", "-1", "half", "50%", "1.5 GHz", "nan"])
def test_what_is_no_number_of_processors_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r'"1\.5 cores", "0\.5"'):
        parse_compute(text)
