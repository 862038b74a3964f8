"""The results file: every input has a value, its own or that of the one it refers to."""

import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from infilink.device.result_rows import InputRow, ResultRow
from infilink.device.results import ResultsFile
from infilink.device.results_read import Results
from infilink.errors import InvalidInput

from ..test_full_disk import room_for_each_file


def row(sequence, *, kept):
    return InputRow(sequence, sequence / 10, kept, 0.5, 0.4, 0.001, sequence / 10, 100 if kept else 0)


def result(sequence, *, value=None, reference=None, origin="executed"):
    array = None if value is None else np.asarray([value], np.float32)
    return ResultRow("m", sequence, sequence / 10, origin, 1.0, True, ("a", "b"), reference, array)


def test_served_resolves_references_and_fills_what_got_no_answer(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        for sequence in (0, 2, 4):
            file.add_input(row(sequence, kept=True))
        file.add_input(row(1, kept=False), [result(1, reference=0, origin="reused")])
        file.add_input(row(5, kept=False), [result(5, reference=4, origin="skipped")])
        file.add_input(row(3, kept=True))
        file.add_refused(3, "dropped")
        for sequence in (0, 2, 4):
            file.add_results(sequence, 1.0, [result(sequence, value=sequence)])
    with Results(path) as results:
        assert results.sequences == [0, 1, 2, 3, 4, 5]
        assert results.kept == [True, False, True, True, True, False]
        assert [float(value[0]) for value in results.served("m")] == [0, 0, 2, 2, 4, 4]
        assert results.origins("m") == ["executed", "reused", "executed", "held", "executed", "skipped"]
        with pytest.raises(InvalidInput, match="it has: m"):
            results.served("other")


def sequences(path):
    with Results(path) as results:
        return results.sequences


def test_a_live_source_goes_on_and_a_file_source_sets_the_run_before_aside(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        file.add_input(row(7, kept=True))
    with ResultsFile(path, anew=False) as file:
        assert file.next_sequence == 8
    for number in (1, 2):
        with ResultsFile(path, anew=True) as file:
            assert file.next_sequence == 0
            file.add_input(row(number, kept=True))
    with ResultsFile(path, anew=True):
        pass
    with ResultsFile(path, anew=True):
        pass
    assert sequences(tmp_path / "r.1.sqlite") == [7], "no start deletes what an earlier run wrote"
    assert sequences(tmp_path / "r.2.sqlite") == [1] and sequences(tmp_path / "r.3.sqlite") == [2]
    assert sequences(path) == [] and not (tmp_path / "r.4.sqlite").exists(), "there was nothing to set aside"


@pytest.mark.parametrize(
    ("sequences", "every", "found"),
    [
        ([], 1, (0, set())),
        ([0, 1, 2], 1, (3, set())),
        ([0, 1, 3, 4, 7], 1, (2, {3, 4, 7})),
        ([40, 41], 1, (42, set())),
        ([0, 3, 6], 3, (7, set())),
        ([0, 3, 9], 3, (4, {9})),
        # A packet gate chose other ones of so many.
        ([0, 2, 5, 9], 3, (10, set())),
    ],
)
def test_from_where_on_rows_are_missing(tmp_path, sequences, every, found):
    with ResultsFile(tmp_path / "r.sqlite", anew=True) as file:
        for sequence in sequences:
            file.add_input(row(sequence, kept=True))
    with ResultsFile(tmp_path / "r.sqlite", anew=False) as file:
        begins, there = file.gap(every)
    assert (begins, {*there}) == found


def test_what_is_there_is_bounded_the_oldest_run_goes_first(tmp_path, caplog):
    path, most_bytes = tmp_path / "r.sqlite", 600_000
    for _ in range(3):
        with ResultsFile(path, anew=True, most_bytes=most_bytes) as file:
            for sequence in range(8):
                wide = replace(result(sequence), value=np.zeros(8192, np.float32))
                file.add_input(row(sequence, kept=True), [wide])
    assert not (tmp_path / "r.1.sqlite").exists() and (tmp_path / "r.2.sqlite").exists()
    with ResultsFile(path, anew=False, most_bytes=most_bytes) as file:
        for sequence in range(8, 60):
            file.add_input(row(sequence, kept=True), [replace(result(sequence), value=np.zeros(8192, np.float32))])
            written(file)
    assert not (tmp_path / "r.2.sqlite").exists()
    left = sequences(path)
    assert left == list(range(left[0], 60)) and 5 <= len(left) <= 18
    assert path.stat().st_size < 2 * most_bytes
    assert sum("the oldest results go" in record.message for record in caplog.records) == 2, "once a run"


def written(file):
    """Waits until all that was added is in the file."""
    done = threading.Event()
    file.add_refused(-1, "", then=done.set)
    assert done.wait(30.0)


def test_a_file_that_another_program_holds_locked_ends_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("infilink.device.results_table._LOCKED_S", 0.01)
    monkeypatch.setattr("infilink.device.results._AGAIN_S", (0.01, 0.01))
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Event()
        file.add_input(row(0, kept=True))
        file.add_results(0, 1.0, [result(0, value=0)], then=done.set)
        wait_for(lambda: file.trouble == "another program has locked it")
        assert not done.is_set()
        other.execute("COMMIT")
        assert done.wait(30.0)
        assert not file.trouble and not file.lost
    assert sequences(path) == [0]
    assert sum("results wait in memory" in record.message for record in caplog.records) == 1


def wait_for(condition):
    pause, ends = threading.Event(), time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < ends
        pause.wait(0.005)


def test_while_it_is_locked_the_oldest_rows_are_lost_and_counted_once_memory_is_full(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("infilink.device.results_table._LOCKED_S", 0.01)
    monkeypatch.setattr("infilink.device.results._AGAIN_S", (0.01, 0.01))
    monkeypatch.setattr("infilink.device.results._WAITING_BYTES", 3_000)
    path = tmp_path / "r.sqlite"
    with (
        ResultsFile(path, anew=True, waits=True) as file,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        file.add_input(row(0, kept=True))
        wait_for(lambda: file.trouble)
        for sequence in range(1, 40):
            file.add_input(row(sequence, kept=True))
        assert 29 <= file.lost <= 31
        other.execute("COMMIT")
    assert sequences(path) == list(range(file.lost, 40)), "the newest are kept"
    assert sum("are lost" in record.message for record in caplog.records) == 1


def test_a_full_disk_is_a_state(tmp_path, monkeypatch):
    monkeypatch.setattr("infilink.device.results._AGAIN_S", (0.01, 0.01))
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        with room_for_each_file(path.stat().st_size + 60_000):
            for sequence in range(100):
                wide = replace(result(sequence), value=np.zeros(1024, np.float32))
                file.add_input(row(sequence, kept=True), [wide])
            wait_for(lambda: file.trouble == "the disk is full")
        wait_for(lambda: not file.trouble)
    assert sequences(path) == list(range(100)) and not file.lost


def test_what_cannot_be_written_at_the_start_is_later_and_overwrites_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("infilink.device.results_table._LOCKED_S", 0.01)
    monkeypatch.setattr("infilink.device.results._AGAIN_S", (0.01, 0.01))
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=False) as file:
        file.add_input(row(5, kept=True))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        file = ResultsFile(path, anew=False)
        assert file.trouble == "another program has locked it" and file.next_sequence == 0
        file.add_input(row(0, kept=True))
    file.close()
    assert sequences(path) == [0] and sequences(tmp_path / "r.1.sqlite") == [5]


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("infilink.device.results._AGAIN_S", (0.01, 0.01))
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        for sequence in range(500):
            file.add_input(row(sequence, kept=True), [result(sequence, value=0)])
    with path.open("r+b") as bytes_:
        bytes_.seek(4096)
        bytes_.write(b"\xff" * (path.stat().st_size - 4096))
    with closing(sqlite3.connect(path)) as database:
        # What is read at the start is whole: the damage is found when something is written.
        assert database.execute("PRAGMA user_version").fetchone()[0] == 1
    try:
        file = ResultsFile(path, anew=False)
    except InvalidInput:
        pytest.fail("a damaged file ended it")
    file.add_input(row(600, kept=True))
    file.close()
    assert sequences(path) == [600]
    assert any("is damaged" in record.message for record in caplog.records)


def test_what_is_no_results_file_is_said(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(InvalidInput, match="no such results file"):
        Results(path)
    path.write_text("something else, and long enough not to be an empty database")
    with pytest.raises(InvalidInput, match="not a results file"):
        Results(path)
    with pytest.raises(InvalidInput, match="can't be opened"):
        ResultsFile(path, anew=False)


def test_another_program_s_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "r.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE results (a); CREATE TABLE answers (b);")
    content = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"r.sqlite: is a database of something else: give `results` a file"):
        ResultsFile(path, anew=True)
    assert path.read_bytes() == content and [each.name for each in tmp_path.iterdir()] == ["r.sqlite"]


def test_what_is_called_like_an_earlier_run_and_is_none_stays(tmp_path):
    path, other = tmp_path / "r.sqlite", tmp_path / "r.2025.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.executescript("CREATE TABLE bills (a);")
    with ResultsFile(path, anew=True, most_bytes=100_000) as file:
        for sequence in range(30):
            file.add_input(row(sequence, kept=True), [replace(result(sequence), value=np.zeros(8192, np.float32))])
            written(file)
    assert other.exists()


def test_what_stands_behind_a_value_is_kept(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        for sequence in range(4):
            file.add_input(row(sequence, kept=True))
        file.add_results(0, 1.0, [replace(result(0, value=0), trust="revoked", trusted=False)])
        file.add_results(1, 1.0, [result(1, value=1)])
        file.add_results(2, 1.0, [replace(result(2, value=2), trusted=False)])
    with Results(path) as results:
        assert results.trust("m") == ["revoked", "certified", "uncalibrated", ""]


def test_a_file_of_an_earlier_version_goes_on(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        file.add_input(row(0, kept=True), [result(0, value=0)])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE results DROP COLUMN trust")
        database.execute("ALTER TABLE inputs DROP COLUMN late")
        database.execute("ALTER TABLE inputs DROP COLUMN level")
    with Results(path) as results:
        assert results.trust("m") == [""]
    with ResultsFile(path, anew=False) as file:
        file.add_input(row(1, kept=True), [result(1, value=1)])
    with Results(path) as results:
        assert results.trust("m") == ["", "certified"]


def test_two_agents_do_not_write_one_file(tmp_path):
    path = tmp_path / "r.sqlite"
    says = "another agent uses it: end one of them, or give each its own `results`"
    with ResultsFile(path, anew=False, alone=True), pytest.raises(InvalidInput, match=says):
        ResultsFile(path, anew=False, alone=True)
    with ResultsFile(path, anew=False, stream="door", alone=True) as file:
        file.add_input(row(0, kept=False))
    for _ in range(2):
        with pytest.raises(InvalidInput, match="has results of stream 'door'"):
            ResultsFile(path, anew=False, alone=True)
    ResultsFile(path, anew=False, stream="door", alone=True).close()
