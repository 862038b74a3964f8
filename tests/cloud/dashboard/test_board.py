"""Which streams a page shows, and in which order."""

from types import SimpleNamespace

import pytest
from infilink.cloud.dashboard import board
from infilink.cloud.dashboard.board import PAGE, Board, only, page_of

NAMES = [f"camera-{number}" for number in range(200)]
SESSIONS = dict.fromkeys(NAMES)


def test_pages_hold_all_streams_once():
    found = [name for page in range(-(-len(NAMES) // PAGE)) for name in page_of(page)(SESSIONS)[0]]
    assert found == NAMES
    assert page_of(99)(SESSIONS) == ([], 200)


def test_a_text_finds_names_whatever_its_case_on_as_many_pages_as_it_takes():
    assert page_of(0, "CAMERA-19")(SESSIONS) == (["camera-19", *(f"camera-{number}" for number in range(190, 200))], 11)
    names, found = page_of(1, "1")(SESSIONS)
    assert len(names) == PAGE and found == sum("1" in name for name in NAMES)
    assert page_of(0, "door")(SESSIONS) == ([], 0)


def test_those_with_which_something_is_wrong_are_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(board, "troubles", lambda session: ["its clock is 3 s behind"] if session else [])
    sessions = SESSIONS | {"camera-7": "wrong", "camera-17": "wrong"}
    assert page_of(0, wrong=True)(sessions) == (["camera-7", "camera-17"], 2)
    assert page_of(0, "17", wrong=True)(sessions) == (["camera-17"], 1)


def test_one_stream_is_shown_as_long_as_it_is_there():
    assert only("camera-7")(SESSIONS) == (["camera-7"], 1)
    assert only("camera-700")(SESSIONS) == ([], 0)


def test_numbers_in_names_are_sorted_as_numbers():
    names = ["camera-10", "camera-2", "2", "door", "camera-2/b", "10", "camera-2/a", "²", "camera-" + 40 * "9"]
    sessions = {at: SimpleNamespace(key=SimpleNamespace(name=name)) for at, name in enumerate(names)}
    found = Board(SimpleNamespace(sessions=sessions), None, None).sessions()
    assert [*found] == [
        "2",
        "10",
        "camera-2",
        "camera-2/a",
        "camera-2/b",
        "camera-10",
        "camera-" + 40 * "9",
        "door",
        "²",
    ]
