"""Started by systemd as `Type=notify`, a coordinator says when it serves and when it stops; so does an agent."""

import json
import socket

from .conftest import ENVIRONMENT, TIMEOUT_S, Program, infilink


def test_whoever_started_it_is_told_when_it_serves_and_when_it_stops(start_daemon, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(TIMEOUT_S)
        monkeypatch.setitem(ENVIRONMENT, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon = start_daemon()
        assert told.recv(100) == b"READY=1"
        assert daemon.stop() == 0
        assert told.recv(100) == b"STOPPING=1"


def test_an_agent_says_that_it_captures_without_a_coordinator_and_tells_of_itself(tmp_path, video, monkeypatch):
    config = tmp_path / "device.toml"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, socket.create_server(("127.0.0.1", 0)) as mute:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(TIMEOUT_S)
        config.write_text(
            f"name = 'yard'\ncoordinator = '127.0.0.1:{mute.getsockname()[1]}'\nconnect_timeout_s = 1000.0\n"
            f"[streams.door]\nsource = '{video}'\nloop = true\n[streams.mic]\nsource = 'none.wav'\n"
        )
        for key, value in (("NOTIFY_SOCKET", "notify"), ("XDG_RUNTIME_DIR", "")):
            monkeypatch.setitem(ENVIRONMENT, key, str(tmp_path / value))
        monkeypatch.setitem(ENVIRONMENT, "WATCHDOG_USEC", "4000000")
        agent = Program(tmp_path / "log", "device", "--config", config)
        try:
            lines: list[str] = []
            while "READY=1" not in lines or lines.count("WATCHDOG=1") < 2:
                lines += told.recv(1000).decode().splitlines()
            # One of before it was ready may have said so already.
            *_, status = (line for line in lines if line.startswith("STATUS=") and "tried again" in line)
            assert "door: " in status and "none.wav" in status
            agents = json.loads(infilink("device", "status", "--json", "--name", "yard").stdout)["agents"]
            (found,) = (each for each in agents if each["pid"] == agent.process.pid)
            door, mic = found["streams"]["door"], found["streams"]["mic"]
            assert (door["state"], door["capturing"], door["connected"]) == ("running", True, False)
            assert mic["state"] == "waiting" and "none.wav" in mic["failure"]
            assert any("none.wav" in each["text"] for each in found["problems"])
            agent.terminate()
            while "STOPPING=1" not in lines:
                lines += told.recv(1000).decode().splitlines()
            agent.wait()
            assert agent.process.returncode == 0, "else systemd calls what it asked for a failure"
        finally:
            agent.close()
