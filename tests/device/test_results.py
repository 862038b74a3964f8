"""The results file: every input has a value, its own or that of the one it refers to."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from infilink.device.results import InputRow, ResultRow, Results, ResultsFile
from infilink.errors import InvalidInput


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


def test_a_file_source_starts_anew_and_a_live_one_goes_on(tmp_path):
    path = tmp_path / "r.sqlite"
    with ResultsFile(path, anew=True) as file:
        file.add_input(row(7, kept=True))
    with ResultsFile(path, anew=False) as file:
        assert file.next_sequence == 8
    with ResultsFile(path, anew=True) as file:
        assert file.next_sequence == 0


def test_what_is_no_results_file_is_said(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(InvalidInput, match="no such results file"):
        Results(path)
    path.write_text("something else, and long enough not to be an empty database")
    with pytest.raises(InvalidInput, match="not a results file"):
        Results(path)
    with pytest.raises(InvalidInput, match="can't be opened"):
        ResultsFile(path, anew=False)


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
    with Results(path) as results:
        assert results.trust("m") == [""]
    with ResultsFile(path, anew=False) as file:
        file.add_input(row(1, kept=True), [result(1, value=1)])
    with Results(path) as results:
        assert results.trust("m") == ["", "certified"]
