"""What systemd is told by its own socket, and how long it waits."""

import os
import socket

import pytest
from infilink.protos.systemd import notify, watchdog_s


@pytest.mark.parametrize("name", ["notify", "@infilink-test"])
def test_states_travel_together(tmp_path, monkeypatch, name) -> None:
    given = f"@infilink-{os.getpid()}" if name.startswith("@") else str(tmp_path / name)
    monkeypatch.setenv("NOTIFY_SOCKET", given)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0{given[1:]}" if name.startswith("@") else given)
        notify("READY=1", "STATUS=door: 15 inputs/s")
        notify()
        notify("STOPPING=1")
        assert told.recv(100) == b"READY=1\nSTATUS=door: 15 inputs/s"
        assert told.recv(100) == b"STOPPING=1"


def test_nobody_to_tell_harms_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        (None, None, None),
        ("3000000", None, 3.0),
        ("3000000", "own", 3.0),
        ("3000000", "1", None),
        ("x", None, None),
        ("0", None, None),
    ],
)
def test_how_long_it_waits_is_read_of_the_environment(monkeypatch, usec, pid, expected) -> None:
    for key, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        monkeypatch.delenv(key, raising=False)
        if value is not None:
            monkeypatch.setenv(key, value)
    assert watchdog_s() == expected
