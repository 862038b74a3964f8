"""What is there and what is wrong, each with what to do next."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
from infilink.models import doctor
from infilink.models.doctor import check_machine, disk, guarded, port

TOPICS = {"versions", "processors", "providers", "cards", "memory", "disk", "clock"}


def test_a_machine_is_looked_at_as_a_whole(tmp_path):
    found = list(check_machine(tmp_path))
    assert {finding.topic for finding in found} == TOPICS
    told = {finding.topic: finding.text for finding in found}
    assert "infilink" in told["versions"] and "onnxruntime" in told["versions"]
    assert "cpu" in told["providers"] and "processors may be used" in found[1].text
    assert all(finding.advice for finding in found if finding.state == "wrong")


def test_a_disk_without_room_or_that_can_not_be_written_is_wrong(tmp_path):
    (finding,) = disk(tmp_path / "not" / "there" / "yet", 1)
    assert finding.state == "ok" and "free for" in finding.text
    (finding,) = disk(tmp_path, 2**60)
    assert finding.state == "wrong" and "make room" in finding.advice


def test_a_port_that_is_taken_is_told_with_what_to_do():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        (finding,) = port(f"127.0.0.1:{taken.getsockname()[1]}")
        assert finding.state == "note" and "infilink status" in finding.advice
    (finding,) = port("192.0.2.7:80")
    assert finding.state == "wrong" and "an address of this machine" in finding.advice
    (finding,) = port("127.0.0.1:0")
    assert finding.state == "ok"


def test_what_can_not_be_looked_at_is_a_finding_too():
    def fails():
        yield from ()
        raise PermissionError("no")

    (finding,) = guarded("memory", fails)
    assert finding.state == "note" and "PermissionError" in finding.text


@pytest.mark.parametrize(
    ("installed", "shown", "state", "says"),
    [
        ([], None, "ok", "models run on the processors"),
        (["CUDAExecutionProvider"], None, "wrong", "cards can't be measured"),
        (["CUDAExecutionProvider"], [], "wrong", "the driver shows no card"),
        ([], [("H100", 100, 50)], "note", "the installed onnxruntime can't use it"),
        (["CUDAExecutionProvider"], [("H100", 2**30, 2**29)], "ok", "cuda:0: H100, 512.0 MiB of 1.0 GiB free"),
    ],
)
def test_cards_and_what_could_use_them_are_told_together(monkeypatch, installed, shown, state, says):
    monkeypatch.setattr(doctor, "cards", lambda: shown)
    monkeypatch.setattr(doctor.ort, "get_available_providers", lambda: [*installed, "CPUExecutionProvider"])
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    found = [finding for finding in check_machine(Path()) if finding.topic == "cards"]
    assert found[-1].state == state and says in found[-1].text
