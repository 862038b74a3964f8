"""Started by systemd as `Type=notify`, a coordinator says when it serves and when it stops."""

import socket

import pytest

from .conftest import ENVIRONMENT, TIMEOUT_S


@pytest.mark.parametrize("prefix", ["", "@"], ids=["a file", "without a file"])
def test_whoever_started_it_is_told_when_it_serves_and_when_it_stops(start_daemon, tmp_path, monkeypatch, prefix):
    name = "infilink-test-notify" if prefix else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0{name}" if prefix else name)
        told.settimeout(TIMEOUT_S)
        monkeypatch.setitem(ENVIRONMENT, "NOTIFY_SOCKET", f"{prefix}{name}")
        daemon = start_daemon()
        assert told.recv(100) == b"READY=1"
        assert daemon.stop() == 0
        assert told.recv(100) == b"STOPPING=1"
