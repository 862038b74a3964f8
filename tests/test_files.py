"""A file that is replaced is at any time the old one or the new one, whole."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from infilink.errors import InvalidInput
from infilink.files import check_format, json_format, mark_format, replacing

WRITE = """
import sys
from pathlib import Path
from infilink.files import replacing

with replacing(Path(sys.argv[1])) as part:
    part.write_text("theirs")
    print("written", flush=True)
    sys.stdin.readline()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_stands_there_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    for text in ("first", "second"):
        with replacing(path) as part:
            assert part.parent == path.parent and str(os.getpid()) in part.name
            part.write_text(text)
            assert path.exists() == (text == "second")
        assert path.read_text() == text and names(path.parent) == ["a.txt"]


def test_an_exception_leaves_what_stood_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error_and_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as left:
        left.write_text("whole")
    left.write_text("half")
    with replacing(path) as part:
        assert part == left and not part.exists()
        part.write_text("new")
    assert path.read_text() == "new" and names(tmp_path) == ["a.txt"]


def test_two_threads_write_the_same_file_and_each_writes_its_own(tmp_path: Path) -> None:
    path, both = tmp_path / "a.txt", Barrier(2, timeout=60)

    def write(text: str) -> None:
        with replacing(path) as part:
            part.write_text(text)
            both.wait()
            assert part.read_text() == text

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(write, ("one", "two"))) == [None, None]
    assert path.read_text() in ("one", "two") and names(tmp_path) == ["a.txt"]


def test_two_processes_write_the_same_file_and_the_last_to_end_wins(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", WRITE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "written\n"
        with replacing(path) as part:
            part.write_text("ours")
        assert path.read_text() == "ours" and len(names(tmp_path)) == 2
        other.communicate("end\n", timeout=60)
    assert other.returncode == 0 and path.read_text() == "theirs" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (1, "p: is a thing of format 1, and this version reads 2 to 3; convert it: infilink upgrade p"),
        (4, "this version reads 2 to 3; a newer infilink wrote it: install that version"),
        ("2", "it is damaged"),
        (True, "it is damaged"),
        (None, "it is damaged"),
    ],
)
def test_a_format_that_is_not_read_says_how_to_go_on(found: object, says: str) -> None:
    check_format(2, (2, 3), path="p", what="a thing")
    with pytest.raises(InvalidInput, match=says):
        check_format(found, (2, 3), path="p", what="a thing")


@pytest.mark.parametrize(
    ("text", "found"), [('{"format": 7}', 7), ("{}", 1), ("[1]", 1), ("{", 1), ('{"format": "x"}', "x")]
)
def test_a_format_is_read_before_all_else(text: str, found: object) -> None:
    assert json_format(text) == found


def test_a_sqlite_file_is_marked_and_one_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    for _ in range(2):
        with closing(sqlite3.connect(path)) as database:
            mark_format(database, 2, path=path, what="a thing")
            assert database.execute("PRAGMA user_version").fetchone() == (2,)
    with closing(sqlite3.connect(path)) as database, pytest.raises(InvalidInput, match="a newer infilink"):
        mark_format(database, 1, path=path, what="a thing")
