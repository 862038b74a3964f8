"""A power cut, as the disk shows it afterwards: what was synced is there, whatever became of what came after it."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.device.disk_state import is_damaged
from infilink.device.uplink.spool_file import Change, DamagedRow, SpoolFile
from infilink.device.uplink.spool_rescue import open_spool_file, rescue
from infilink.device.uplink.spool_rows import Head, Key, SpoolRow

SESSION, COMMITS, EACH = "s", 6, 3
PAGE_BYTES = 4096


def message(sequence):
    return bytes([sequence % 251]) * (500 + 997 * (sequence % 5))


def rows(commit):
    sequences = range(commit * EACH, (commit + 1) * EACH)
    return [
        SpoolRow(Head(Key(SESSION, each), each / 10, each / 10, 0.0, len(message(each))), message(each))
        for each in sequences
    ]


HEADER_BYTES = 100
"""Of SQLite: what is damaged there may say that the file is another version's, or is not to be written."""


class Hidden(list):
    """A list that is not shown when a test fails: it is long."""

    def __repr__(self):
        return "what lies on the disk"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """What lies on the disk after each commit: the database, its log, and the inputs that are synced by then."""
    folder = tmp_path_factory.mktemp("spool")
    found, there = Hidden(), set()
    with closing(SpoolFile(folder / "s.spool")) as file:
        for commit in range(COMMITS):
            gone = [] if commit < 3 else [Key(SESSION, (commit - 3) * EACH)]
            file.write(Change(rows=rows(commit), gone=gone))
            there |= {row.head.key.sequence for row in rows(commit)}
            there -= {key.sequence for key in gone}
            parts = [(folder / name).read_bytes() for name in ("s.spool", "s.spool-wal")]
            found.append((*parts, frozenset(there)))
    return found


def read(path):
    """The inputs that a spool gives, each as it was put in, once damage was met; and how many it says are damaged."""
    try:
        return read_once(path, open_spool_file(path))
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        return read_once(path, rescue(path, str(error)))


def read_once(path, opened):
    found, damaged = set(), 0
    with closing(opened) as file:
        for head in file.unanswered(SESSION, limit=1000):
            try:
                row = file.load(head.key)
            except DamagedRow:
                damaged += 1
                continue
            assert row.message == message(head.key.sequence)
            found.add(head.key.sequence)
    return found, damaged


def flipped(content, bits):
    changed = bytearray(content)
    for bit in bits:
        if changed:
            place = bit % (8 * len(changed))
            changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_was_synced_outlives_a_power_cut_while_more_is_written(images, data):
    commit = data.draw(st.integers(0, COMMITS - 2), "commit that was synced")
    database, log, synced = images[commit]
    later = images[commit + 1][1]
    assert later[: len(log)] == log and len(later) > len(log), "the log only grows: there was no checkpoint"
    tail = later[len(log) :]
    # Of what was not synced some is there, and not as it was written.
    tail = flipped(tail[: data.draw(st.integers(0, len(tail)))], data.draw(st.lists(st.integers(0, 2**20), max_size=8)))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s.spool"
        path.write_bytes(database)
        path.with_name("s.spool-wal").write_bytes(log + tail)
        found, damaged = read(path)
    kept, new = synced & images[commit + 1][2], images[commit + 1][2] - synced
    assert kept <= found <= synced | new and not damaged


@pytest.fixture(scope="module")
def content(images, tmp_path_factory):
    """The database at the end, with all of its log in it."""
    path = tmp_path_factory.mktemp("whole") / "s.spool"
    path.write_bytes(images[-1][0])
    path.with_name("s.spool-wal").write_bytes(images[-1][1])
    with closing(SpoolFile(path)):
        pass
    return Hidden([path.read_bytes()])


@settings(max_examples=60, deadline=None)
@given(bits=st.lists(st.integers(0, 2**20), min_size=1, max_size=3))
def test_damage_anywhere_behind_the_header_gives_nothing_that_was_not_put_in(images, content, bits):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "s.spool"
        path.write_bytes(content[0][:HEADER_BYTES] + flipped(content[0][HEADER_BYTES:], bits))
        found, _ = read(path)
        assert found <= images[-1][2]
        again, _ = read(path)
        assert again == found, "it is mended once"


@pytest.mark.parametrize("what", ["inputs", "inputs_value", "sessions"])
def test_a_table_that_is_damaged_costs_no_input(images, content, tmp_path, what):
    path = tmp_path / "s.spool"
    content = content[0]
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as database:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = database.execute(sql, (what,)).fetchone()
    at = (page - 1) * PAGE_BYTES
    path.write_bytes(content[:at] + bytes([0xA5]) * PAGE_BYTES + content[at + PAGE_BYTES :])
    assert read(path) == (images[-1][2], 0)
    assert path.with_name("s.spool.damaged-1").exists()
