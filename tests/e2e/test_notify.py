"""Started by systemd as `Type=notify`, a coordinator says when it serves and when it stops."""

import socket

from .conftest import ENVIRONMENT, TIMEOUT_S


def test_whoever_started_it_is_told_when_it_serves_and_when_it_stops(start_daemon, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(TIMEOUT_S)
        monkeypatch.setitem(ENVIRONMENT, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon = start_daemon()
        assert told.recv(100) == b"READY=1"
        assert daemon.stop() == 0
        assert told.recv(100) == b"STOPPING=1"
