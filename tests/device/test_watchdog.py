"""What systemd is told of an agent whose streams start, get on, hang and recover."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from infilink.device.pulse import Pulse
from infilink.device.watchdog import Watchdog


@dataclass
class Stream:
    name: str
    settled: bool = False
    busy: float = 0.0

    def busy_s(self) -> float:
        return self.busy


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def heard(tmp_path, monkeypatch) -> Iterator[socket.socket]:
    """What systemd hears; it waits for 40 s."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "40000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.setblocking(False)
        yield told


def lines(told: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found += told.recv(1000).decode().splitlines()
        except BlockingIOError:
            return found


def test_it_is_ready_once_every_stream_captures_and_beats_while_all_get_on(heard, caplog) -> None:
    clock, streams, text = Clock(), [Stream("door"), Stream("mic")], "door: starts"
    watchdog = Watchdog(lambda: streams, lambda: text, clock)
    watchdog.look()
    assert lines(heard) == ["WATCHDOG=1", "STATUS=door: starts"]
    streams[0].settled = True
    clock.now_s = 1.0
    watchdog.look()
    assert lines(heard) == [], "the microphone is not there yet, and no beat is due"
    streams[1].settled = True
    watchdog.look()
    assert lines(heard) == ["READY=1"]
    clock.now_s = 11.0
    watchdog.look()
    assert lines(heard) == ["WATCHDOG=1"], "the text is as it was"
    streams[1].busy = 20.5
    for clock.now_s in (25.0, 40.0):
        watchdog.look()
    assert lines(heard) == []
    (told,) = caplog.messages
    assert told == (
        "stream mic: the capture loop has been at work on one input for more than 20 s: systemd starts this agent anew"
    )
    streams[1].busy, text = 0.0, "all is well"
    watchdog.look()
    assert lines(heard) == ["WATCHDOG=1"]
    clock.now_s = 60.0
    watchdog.look()
    watchdog.stopping()
    assert lines(heard) == ["WATCHDOG=1", "STATUS=all is well", "STOPPING=1"]


def test_a_loop_that_waits_is_not_at_work() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.busy_s() == 0.0
    with pulse.at_work():
        clock.now_s = 5.0
        assert pulse.busy_s() == 5.0
        with pulse.waiting():
            clock.now_s = 500.0
            assert pulse.busy_s() == 0.0
        assert pulse.busy_s() == 0.0
        clock.now_s = 501.0
        assert pulse.busy_s() == 1.0
    assert pulse.busy_s() == 0.0
