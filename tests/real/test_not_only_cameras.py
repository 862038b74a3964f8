"""The guide's commands for inputs that are no pictures, each of them tried on the real datasets."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..e2e.conftest import Program, infilink
from .data import find_data

FASTER = {"infilink.examples.datasets.digits": ["--epochs", "8"]}
"""What is added to a script: half as long in training, which costs the models what nothing below asks about. (The
wrist's models need all of their short training: no filter of worse ones is worth it.)"""
SHARE = 2
"""Of the recordings one of so many is taken, where there are thousands."""
README = Path(__file__).parents[2] / "README.md"
DATASETS = {
    "free-spoken-digit-dataset/recordings": "audio/spoken_digits",
    "HMP_Dataset": "sensor/wrist_motion",
}


def commands() -> list[list[list[str]]]:
    """Each block of the guide's section as its commands, word by word."""
    section = README.read_text(encoding="utf-8").split("## Not only cameras")[1].split("\n## ")[0]
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```sh\n(.*?)```", section, re.S)]
    return [[shlex.split(line, comments=True) for line in block.splitlines() if line.strip()] for block in blocks]


@contextmanager
def coordinator(words: list[str], folder: Path) -> Iterator[str]:
    """Runs the guide's coordinator at a free port; gives its address."""
    started = Program(folder / "cloud.log", *words[1:], "--listen", "127.0.0.1:0", folder=folder)
    try:
        yield started.ready()
        started.terminate()
        started.wait()
    finally:
        started.close()


def run(words: list[str], folder: Path) -> str:
    """Runs a command, or a script, in a folder; gives what it printed."""
    if words[0] == "infilink":
        done = infilink(*words[1:], folder=folder)
    else:
        assert words[:2] == ["python", "-m"], words
        done = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-3000:]}"
    return done.stdout


def some_of(dataset: Path, folder: Path) -> Path:
    """A folder with some of a dataset's thousands of sounds; any other dataset as it is."""
    recordings = sorted(dataset.glob("*.wav"))
    if not recordings:
        return dataset
    folder.mkdir()
    for recording in recordings[::SHARE]:
        (folder / recording.name).symlink_to(recording.resolve())
    return folder


@pytest.mark.parametrize("block", commands(), ids=["spoken digits", "a wrist's motion"])
def test_from_files_to_live_decisions_by_the_guides_commands(block: list[list[str]], tmp_path: Path) -> None:
    data = find_data()
    if data is None or not all((data / folder).is_dir() for folder in DATASETS.values()):
        pytest.skip("no real datasets: set INFILINK_DATA (tests/real/data.py)")
    given = {word: str(some_of(data / DATASETS[word], tmp_path / "dataset")) for word in block[0] if word in DATASETS}
    script, *learning, cloud, device = [[given.get(word, word) for word in words] for words in block]
    run([*script, *FASTER.get(script[2], [])], tmp_path)
    for words in learning:
        run(words, tmp_path)
    with coordinator(cloud, tmp_path) as address:
        said = json.loads(run([*device, "--coordinator", address, "--json"], tmp_path))
    assert said["certified"] and said["answered"] == said["kept"] and said["dropped"] == said["refused"] == 0
    assert 0 < said["kept"] < 0.7 * said["frames"], "a third of what comes is never sent"
