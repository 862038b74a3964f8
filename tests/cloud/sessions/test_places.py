"""Places: where all are taken, the stream that uses its place least gives way to a newcomer."""

from types import SimpleNamespace

import pytest
from infilink.cloud.sessions.places import Place, Places
from infilink.cloud.sessions.session import SessionKey


class Site:
    """Two places, and streams that say something when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.places = Places(2, clock=lambda: self.now_s)
        self.sessions: dict[SessionKey, SimpleNamespace] = {}
        self.taken: dict[str, Place] = {}

    def connect(self, name: str) -> None:
        key = SessionKey(name, "1")
        self.sessions[key] = SimpleNamespace(connection=object(), name=name)
        self.taken[name] = self.places.take(key)

    def says(self, name: str, *, is_input: bool = False) -> None:
        self.places.heard(self.taken[name], is_input=is_input)

    def gives_way(self) -> str | None:
        found = self.places.make_room(self.sessions)
        return None if found is None else found.name


@pytest.fixture
def site() -> Site:
    one = Site()
    for name in ("a", "b"):
        one.connect(name)
    return one


def test_nobody_gives_way_where_there_is_room_or_all_have_just_come(site: Site) -> None:
    assert site.gives_way() is None
    site.sessions[SessionKey("b", "1")].connection = None
    site.now_s = 1000.0
    assert site.gives_way() is None


def test_who_is_silent_longest_gives_way_first(site: Site) -> None:
    site.now_s = 5.0
    site.says("a")
    site.now_s = 14.0
    assert site.gives_way() is None or site.gives_way() == "b"
    site.now_s = 15.0
    assert site.gives_way() == "b"


def test_then_who_has_sent_no_input_for_a_minute(site: Site) -> None:
    for site.now_s in range(0, 60, 5):
        site.says("a")
        site.says("b", is_input=True)
        assert site.gives_way() is None
    site.now_s = 60.0
    site.says("a")
    assert site.gives_way() == "a"
    site.says("a", is_input=True)
    assert site.gives_way() is None, "it has something to send"


def test_a_place_that_was_taken_over_by_its_own_session_is_not_left_by_the_old_stream(site: Site) -> None:
    old = site.taken["a"]
    site.connect("a")
    site.places.leave(SessionKey("a", "1"), old)
    site.now_s = 11.0
    assert site.gives_way() in ("a", "b")
    site.places.leave(SessionKey("a", "1"), site.taken["a"])
    assert site.gives_way() is None
