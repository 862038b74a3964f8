import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.units import format_bytes, parse_budget

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
