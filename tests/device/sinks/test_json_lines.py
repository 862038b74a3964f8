"""JSON lines: one object for each input, as it is known, in files that are rotated."""

import json
import os

import pytest
from infilink.device.sinks.settings import JsonLinesConfig

from ...test_full_disk import room_for_each_file
from .made import PERSON, boxes, delivered, event, said


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_is_there_and_how_that_is_known(tmp_path):
    sink = JsonLinesConfig(kind="jsonl", path=tmp_path / "new" / "r.jsonl").open()
    sink.take(delivered(3, said(boxes(PERSON), origin="held", reference=1, trust="certified", confidence=0.91)))
    sink.take_event(event(delivered(3)))
    sink.close()
    line, happened = read(tmp_path / "new" / "r.jsonl")
    assert line == {
        "type": "input",
        "device": "cam",
        "stream": "door",
        "sequence": 3,
        "captured_s": 0.3,
        "unix_s": 1.8e9 + 0.3,
        "kept": True,
        "late": False,
        "refused": "",
        "level": "",
        "results": [
            {
                "model": "yolo",
                "origin": "held",
                "confidence": 0.91,
                "trusted": True,
                "trust": "certified",
                "sources": [],
                "reference": 1,
                "kind": "boxes",
                "boxes": [{"class": "person", "score": 0.8, "box": [0.2, 0.2, 0.6, 0.9]}],
            }
        ],
    }
    assert (happened["type"], happened["what"], happened["picture"]) == ("event", "person", "best.jpg")
    assert happened["best"]["sequence"] == 3


def test_a_file_is_put_aside_when_it_is_full_and_the_oldest_goes(tmp_path):
    path = tmp_path / "r.jsonl"
    config = JsonLinesConfig(kind="jsonl", path=path, size_bytes=4096, files=3)
    for begin in range(0, 100, 25):  # Opened anew now and then, as at an agent's restart.
        sink = config.open()
        for sequence in range(begin, begin + 25):
            sink.take(delivered(sequence, said(boxes(PERSON))))
        sink.close()
    files = sorted(each.name for each in tmp_path.iterdir())
    assert files == ["r.jsonl", "r.jsonl.1", "r.jsonl.2"]
    assert all((tmp_path / name).stat().st_size <= 4096 for name in files)
    there = [line["sequence"] for name in reversed(files) for line in read(tmp_path / name)]
    assert there == list(range(there[0], 100))


def test_standard_output_stays_open(capsys):
    sink = JsonLinesConfig(kind="jsonl", path="-").open()
    sink.take(delivered(1))
    sink.close()
    print("more")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["sequence"] == 1 and second == "more"


def test_events_alone_may_be_wanted(tmp_path):
    sink = JsonLinesConfig(kind="jsonl", path=tmp_path / "r.jsonl", events_only=True).open()
    sink.take(delivered(1))
    sink.take_event(event(delivered(2)))
    sink.close()
    assert [line["type"] for line in read(tmp_path / "r.jsonl")] == ["event"]


def test_a_pipe_is_not_waited_for_and_its_next_reader_gets_whole_lines(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    sink = JsonLinesConfig(kind="jsonl", path=path, size_bytes=2**12).open()
    for _ in range(2):
        with pytest.raises(OSError, match="nobody reads"):
            sink.take(delivered(1))
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        for sequence in range(2, 22):
            sink.take(delivered(sequence))
        lines = os.read(reader, 2**16).splitlines()
        assert [json.loads(line)["sequence"] for line in lines] == [*range(2, 22)], "and nothing is put aside"
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            sink.take(delivered(22))
    sink.close()
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_a_line_for_which_there_is_no_room_leaves_no_part_of_itself(tmp_path):
    path = tmp_path / "r.jsonl"
    sink = JsonLinesConfig(kind="jsonl", path=path).open()
    sink.take(delivered(1))
    with room_for_each_file(path.stat().st_size + 10), pytest.raises(OSError, match="No space left"):
        sink.take(delivered(2))
    sink.take(delivered(3))
    sink.close()
    assert [line["sequence"] for line in read(path)] == [1, 3]
