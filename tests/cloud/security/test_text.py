"""What strangers wrote is shown escaped and short; what goes out is one line without folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.security.text import for_outside, shown


@given(st.text(max_size=500))
def test_whatever_is_shown_is_one_printable_line_of_a_bounded_length(text: str) -> None:
    told = shown(text)
    assert told.isprintable() and "\n" not in told and len(told) <= 1200
    assert eval(told.split("... (")[0]) == text[:100]


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ("Load model from /srv/secret/models/door.onnx failed: bad", "Load model from door.onnx failed: bad"),
        ("'/srv/a b/door.onnx' is cut off", "'door.onnx' is cut off"),
        ("[Errno 2] No such file: '/tmp/infilink-x/door.onnx'\nhere", "[Errno 2] No such file: 'door.onnx' here"),
        ("see https://example.org/docs/page.html", "see https://example.org/docs/page.html"),
        ("10 inputs/s, 1/2 of them; (`a`/`b`)", "10 inputs/s, 1/2 of them; (`a`/`b`)"),
        ("what /dev/video0 gave", "what video0 gave"),
        ("x" * 5000, "x" * 1000 + "..."),
    ],
)
def test_a_message_that_goes_out_names_files_without_their_folders(text: str, goes: str) -> None:
    assert for_outside(text) == goes


@given(st.lists(st.text(st.sampled_from("abz09._-"), min_size=1, max_size=9), min_size=2, max_size=6))
def test_no_absolute_path_goes_out(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert for_outside(f"model 'm': {path} can't be read") == f"model 'm': {parts[-1]} can't be read"
