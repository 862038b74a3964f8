"""A sender names as many streams as a site has, and not one more by inventing names."""

import pytest
from infilink.cloud.inference.senders import Senders
from infilink.errors import QueueFull


def test_a_sender_names_no_more_streams_than_a_site_has_within_a_minute() -> None:
    now = [1000.0]
    senders = Senders(3, clock=lambda: now[0])
    for number in range(3):
        senders.name("host a", f"camera-{number}")
        now[0] += 1.0
    with pytest.raises(QueueFull, match=r"`stream`: host a named 3 within a minute.*`max_devices`") as caught:
        senders.name("host a", "invented")
    assert caught.value.retry_after_s == 57.0
    senders.name("host b", "camera-9")
    now[0] += 30.0
    senders.name("host a", "camera-0")
    now[0] += 29.0
    senders.name("host a", "camera-3")
    assert set(senders._by_sender["host a"]) == {"camera-0", "camera-2", "camera-3"}, "the one not named for longest"


def test_senders_that_are_forgotten_are_those_not_heard_for_longest() -> None:
    senders = Senders(3)
    for number in range(5000):
        senders.name(f"host {number}", "camera")
    assert len(senders._by_sender) == 1024 and "host 4999" in senders._by_sender
