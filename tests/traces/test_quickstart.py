"""docs/LINKS.md: its code, run as it stands there, on a made-up street."""

import csv
import json
import re
import shlex
import subprocess
from pathlib import Path

import infilink
import numpy as np
import pytest
from infilink.cli import build_app
from infilink.links.graph import LinkGraph
from infilink.traces.trace import Trace

DOC = (Path(infilink.__file__).parent / "docs" / "LINKS.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)


def write_log(path: Path, count: int, seed: int) -> None:
    """Cars come and go, the scene follows from them, people walk on their own; the columns are the document's."""
    rng = np.random.default_rng(seed)
    cars, people = 0, 1
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(blocks("csv")[0].splitlines()[0].split(","))
        for row in range(count):
            cars = int(np.clip(cars + rng.choice([-1, 0, 0, 1]), 0, 4))
            people = int(rng.integers(0, 3)) if rng.random() < 0.1 else people
            boxes = [[0.1, 0.4, 0.2, 0.8, 0.9, "person"]] * people
            busy = 0.9 if cars >= 2 else 0.1
            writer.writerow([row * 0.5, cars, json.dumps(boxes), 1 - busy, busy])


def test_the_ten_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_log(tmp_path / "log.csv", 240, 1)
    write_log(tmp_path / "next_day.csv", 80, 2)
    lines = blocks("sh")[0].splitlines()
    assert len(lines) == 10
    for line in lines:
        words = shlex.split(line)
        if words[0] == "infilink":
            build_app(words[1:])(words[1:], prog_name="infilink", standalone_mode=False)
        else:
            subprocess.run(["/bin/sh", "-c", line], check=True, timeout=300)
    said = capsys.readouterr().out
    assert "expected agreement" in said and "executions saved" in said
    assert set(LinkGraph.load("links").models) == {"cars", "people", "scene"}
    assert "<svg" in Path("links.html").read_text()


def test_the_log_and_the_spec_it_shows_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text(blocks("csv")[0])
    for line in blocks("sh")[0].splitlines()[:4]:
        subprocess.run(["/bin/sh", "-c", line], check=True, timeout=300)
    (tmp_path / "specs" / "cars.toml").write_text(blocks("toml")[0])
    words = ["import", "log.csv", "--spec", "specs", "--out", "log.trace"]
    build_app(words)(words, standalone_mode=False)
    with Trace("log.trace") as trace:
        assert [float(value[0]) for value in trace.outputs("cars")] == [3, 1]
        assert [len(value) for value in trace.outputs("people")] == [1, 0]
        assert trace.info.costs["cars"].memory_bytes == int(3.7 * 2**30)
        assert trace.info.costs["cars"].load_s == 4.0


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "frames": (np.full((16, 24, 3), 20 * i, np.uint8) for i in range(5)),
        "count_cars": lambda frame: [round(float(frame.mean()) / 20)],
        "classify": lambda frame: [0.0, 1.0] if frame.mean() > 50 else [1.0, 0.0],
    }
    for block in blocks("python"):
        exec(block, given)
    with Trace("street.trace") as trace, Trace("my.trace") as mine:
        assert [float(value[0]) for value in trace.outputs("cars")] == [0, 1, 2, 3, 4]
        assert (trace.info.input, mine.info.input) == ("image", "none")
        assert [float(value[0]) for value in mine.outputs("cars")] == [3, 1, 1]
