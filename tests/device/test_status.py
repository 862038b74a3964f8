"""An agent tells what it does over a socket of this machine, whether or not a coordinator is there."""

import json
import os
import socket
import tempfile
from pathlib import Path

import pytest
from infilink.cli import build_app
from infilink.device.agent_status import Rates
from infilink.device.status_socket import running_agents, serve_status


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Where this user's sockets are."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "infilink"


STREAM = {
    "state": "running",
    "source": "rtsp://camera/door",
    "gate": "door.onnx",
    "capturing": True,
    "connected": False,
    "inputs_per_s": 14.9,
    "busy_s": 0.0,
    "failure": "",
    "frames": 100,
    "kept": 7,
    "dropped": 1,
    "sent_bytes": 2048,
    "rate_far": "above",
    "filter": {"allowed": "proven", "doing": "", "refused": "no room on the disk", "digest": "a1"},
}
AGENT = {
    "name": "yard",
    "version": "0.1",
    "pid": 7,
    "coordinator": "c:7420",
    "up_s": 100_000.0,
    "streams": {"door": STREAM, "mic": {**STREAM, "state": "waiting", "failure": "no [such] microphone"}},
    "problems": [{"at_s": 0.0, "level": "warning", "text": "nobody answers"}],
}


def test_who_asks_is_answered_and_what_was_killed_is_cleared_away(folder: Path, capsys) -> None:
    with serve_status(lambda: AGENT) as path:
        assert path == folder / f"{os.getpid()}.sock" and path.stat().st_mode & 0o077 == 0
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(folder / "1.sock"))
        (folder / "2.sock").write_text("no socket")
        assert AGENT in running_agents()
        assert not (folder / "1.sock").exists()
        line = ["device", "status", "--name", "yard", "--json"]
        build_app(line)(line, standalone_mode=False)
        assert json.loads(capsys.readouterr().out)["agents"] == [AGENT]
        line = ["device", "status", "--name", "yard"]
        build_app(line)(line, standalone_mode=False)
        told = capsys.readouterr().out
        for part in (
            "up 1 d 03:46:40",
            "no coordinator",
            "is tried again",
            "7.0%",
            "rate_far above",
            "door: filter from the coordinator: digest a1, refused no room on the disk",
            "no [such] micro",
        ):
            assert part in told
        assert "nobody answers" in told and "allowed" not in told
    assert not path.exists()
    assert build_app(line)(line, standalone_mode=False) == 1
    assert "no agent called 'yard' runs here" in capsys.readouterr().out


def test_a_status_that_fails_is_told_and_the_next_is_answered(folder: Path) -> None:
    answers = iter([{}, AGENT])
    with serve_status(lambda: {"name": next(answers)["name"]}):
        assert [each for each in running_agents() if "error" in each] == [{"error": "KeyError('name')"}]
        assert {"name": "yard"} in running_agents()


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path, caplog) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with serve_status(lambda: AGENT) as path:
        assert path is None
    assert "is not this user's alone" in caplog.text
    assert AGENT not in running_agents()


def test_rates_are_of_the_last_seconds_and_begin_anew_with_a_stream() -> None:
    now_s = 0.0
    rates = Rates(lambda: now_s)
    for now_s in map(float, range(61)):
        rates.take({"door": int(15 * now_s if now_s < 40 else 600), "mic": int(now_s)})
    assert rates.per_s("door") == 0.0 and rates.per_s("mic") == 1.0 and rates.per_s("none") == 0.0
    now_s = 61.0
    rates.take({"door": 3})
    assert rates.per_s("door") == 0.0 and rates.per_s("mic") == 0.0
    now_s = 62.0
    rates.take({"door": 10})
    assert rates.per_s("door") == 7.0
