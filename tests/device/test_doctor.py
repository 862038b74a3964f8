"""What `infilink doctor` and `infilink device --check` find of an agent's settings, each thing tried for real."""

import json
import re
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from infilink.cli import build_app
from infilink.device import doctor, doctor_stream
from infilink.device.governor.sensors import Readings, Sensors
from infilink.device.status_socket import serve_status
from infilink.models.doctor import Finding
from infilink.models.spec import digest, read_spec

from ..filters.made import write_frames
from .coordinator import TIMEOUT_S, Coordinator


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other agent of this machine is seen; a first input is waited for on a slow machine, too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(doctor_stream, "_GIVES_WITHIN_S", TIMEOUT_S)


@pytest.fixture
def served(start_coordinator: Callable[..., Coordinator], tiny_models: Path) -> Coordinator:
    """A coordinator that serves `bright`; its clock is right."""
    started = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")})
    started.welcome.now_ns = time.time_ns()
    return started


@pytest.fixture
def write(tmp_path: Path, video: Path, served: Coordinator) -> Callable[..., Path]:
    def write(text: str = "", **settings: object) -> Path:
        values = {"name": "yard", "source": str(video), "coordinator": served.address, **settings}
        path = tmp_path / "device.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()) + text)
        return path

    return write


def found(path: Path) -> dict[str, list[Finding]]:
    by_topic: dict[str, list[Finding]] = {}
    for finding in doctor.check(path):
        by_topic.setdefault(finding.topic, []).append(finding)
    return by_topic


def wrong(path: Path) -> list[str]:
    return [
        f"{each.topic}: {each.text}" for each in doctor.check(path) if each.state == "wrong" and each.topic != "heat"
    ]


def test_what_will_do_is_told_with_figures(
    write: Callable, tmp_path: Path, tiny_models: Path, served: Coordinator
) -> None:
    (tmp_path / "local").mkdir()
    for name in ("bright.onnx", "bright.toml"):
        if (tiny_models / name).is_file():
            shutil.copy(tiny_models / name, tmp_path / "local" / name)
    path = write("[streams.door]\n", gate="every:2", local="local", results="r.sqlite")
    told = found(path)
    assert not wrong(path)
    assert told["source door"][0].text.endswith("v.avi: 64x48 pictures, 10 a second")
    assert "every:2: decides in" in told["gate door"][0].text
    assert "runs here, loaded in" in told["models door"][0].text and "ms an input" in told["models door"][0].text
    text = told["coordinator door"][0].text
    assert "takes this device in" in text and text.endswith("serves bright to such inputs")
    hello = served.connection().hello
    assert (hello.device, hello.stream) == ("yard", "door") and hello.local["bright"] == digest(
        tiny_models / "bright.onnx"
    )
    assert not (tmp_path / "r.sqlite").exists(), "nothing is written"


@pytest.mark.parametrize(
    ("settings", "topic", "says"),
    [
        ({"source": "none.mp4"}, "source", "none.mp4"),
        ({"gate": "none.onnx"}, "gate", "there is no such file"),
        ({"gate": "difference:3"}, "gate", "3.0 must be from 0 to 1"),
        ({"gate": "model.onnx"}, "gate", "no filter"),
        ({"gate": "frames.onnx"}, "coordinator", "was learnt from squares, which is not in service"),
        ({"local": "nowhere"}, "models", "nowhere"),
        ({"stem": "frames.onnx", "send": "ask"}, "models", "frames.onnx"),
    ],
    ids=["source", "gate", "no such number", "no filter", "another model", "local", "stem"],
)
def test_what_is_wrong_is_named_and_the_rest_is_still_tried(
    write: Callable, tmp_path: Path, tiny_models: Path, settings: dict[str, str], topic: str, says: str
) -> None:
    write_frames(tmp_path / "frames.onnx")
    shutil.copy(tiny_models / "bright.onnx", tmp_path / "model.onnx")
    told = wrong(write(**settings))
    assert any(text.startswith(f"{topic}: ") and says in text for text in told), told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('results = "."', "is no file"),
        ('results = "foreign.sqlite"', "is a database of something else"),
        ('results = "device.toml"', "can't be read as a results file"),
        ('[spool]\nfolder = "device.toml"', "is a file, and .*device.toml is to be a folder"),
        ('[spool]\nfolder = "device.toml/spool"', "is a file"),
        ('[event_pictures]\nfolder = "device.toml"', "is a file"),
        ('[[sinks]]\nkind = "jsonl"\npath = "device.toml/x"', "sinks: .*can't be written"),
        ('[[sinks]]\nkind = "command"\nrun = ["no-such-program-here"]', "there is no program"),
        ('metrics_listen = "{taken}"', "can't listen on"),
        ('[[sinks]]\nkind = "preview"\nlisten = "{taken}"', "can't listen on"),
    ],
)
def test_where_nothing_can_be_written_or_listened_on_is_told(
    write: Callable, tmp_path: Path, text: str, says: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "foreign.sqlite")) as database:
        database.execute("CREATE TABLE bills (a)")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = wrong(write(text.replace("{taken}", f"127.0.0.1:{taken.getsockname()[1]}")))
    assert len(told) == 1 and re.search(says, told[0]), told


def test_why_the_coordinator_does_not_take_it_is_told(write: Callable, served: Coordinator) -> None:
    served.refusals = [
        (grpc.StatusCode.UNAUTHENTICATED, "this token is not known here"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "places taken: 64 of 64"),
    ]
    assert wrong(write()) == [f"coordinator: {served.address}: this token is not known here"]
    assert wrong(write()) == [f"coordinator: {served.address}: places taken: 64 of 64"]
    served.welcome.now_ns = time.time_ns() + 3600 * 10**9
    assert any("s behind the coordinator's" in text for text in wrong(write(deadline_s=2.0)))
    served.welcome.specs.clear()
    assert any(text.endswith("serves nothing to such inputs") for text in wrong(write()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert wrong(write(coordinator=f"127.0.0.1:{port}")) == [
        f"coordinator: 127.0.0.1:{port}: nobody answers: nothing listens there"
    ]


def test_what_does_not_fit_the_coordinator_is_no_question_of_the_network(write: Callable, served: Coordinator) -> None:
    served.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, "put the same file on both")]
    (told,) = found(write())["coordinator"]
    assert (told.state, told.advice) == ("wrong", "") and told.text.endswith("put the same file on both")


def test_a_source_that_gives_nothing_is_not_waited_for(write: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_stream, "_GIVES_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = write(source=f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert any("gave no input within 0 s" in text or "source" in text for text in wrong(path))


def test_a_card_that_wears_out_and_an_agent_that_runs_already_are_told(
    write: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_device_of", lambda folder: "/dev/mmcblk0p2")
    with serve_status(lambda: {"name": "yard", "pid": 7}):
        told = found(write(results="r.sqlite"))
    assert any("lies on an SD card (/dev/mmcblk0p2)" in each.text for each in told["disk"])
    assert "runs here as process 7" in told["agent"][0].text and "coordinator" not in told


def test_the_device_of_a_folder_is_that_of_its_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 9:9 / /other rw - ext4 /dev/sdz1 rw\n2 0 {number >> 8}:{number & 255} / / rw - ext4 /dev/mmcblk0p2 rw\n"
    )
    monkeypatch.setattr(doctor.os, "major", lambda given: given >> 8)
    monkeypatch.setattr(doctor.os, "minor", lambda given: given & 255)
    monkeypatch.setattr(doctor, "_MOUNTS", mounts)
    assert doctor._device_of(tmp_path / "not" / "there") == "/dev/mmcblk0p2"
    monkeypatch.setattr(doctor, "_MOUNTS", tmp_path / "none")
    assert doctor._device_of(tmp_path) == ""


def test_the_command_says_by_its_exit_code_whether_it_will_do(
    write: Callable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_heat", lambda: iter(()))
    line = ["device", "--check", "--json", "--config", str(write())]
    assert not build_app(line)(line, standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["wrong"] == 0 and {"source", "gate", "coordinator", "memory"} <= {
        each["topic"] for each in told["findings"]
    }
    line = ["device", "--check", "--config", str(write(source="none.mp4"))]
    assert build_app(line)(line, standalone_mode=False) == 1
    assert "1 wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("readings", "states"),
    [
        ({}, ["ok"]),
        ({"temperature_c": 50.0}, ["ok"]),
        ({"temperature_c": 75.0}, ["note"]),
        ({"temperature_c": 85.0, "throttled": ("throttled",)}, ["wrong", "wrong"]),
    ],
)
def test_heat_is_told_before_anything_runs(
    readings: dict[str, object], states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sensors, "read", lambda self, now_s: Readings(**readings))
    assert [each.state for each in doctor._heat()] == states
