"""Rows go into the ledger in one transaction, the short way too: all of them, or none."""

from pathlib import Path

import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.tables import JOURNAL, SPECS
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, OperationalError

NOTE = {"at_us": 1, "kind": "plan", "device": "", "model": "", "text": "a note", "data": ""}


def spec(number: int) -> dict[str, object]:
    return {"id": number, "spec": "{}"}


def counts(database: Database) -> tuple[int, int]:
    with database.read() as connection:
        found = [connection.execute(select(func.count()).select_from(table)).scalar() for table in (SPECS, JOURNAL)]
    return found[0] or 0, found[1] or 0


def test_of_rows_that_can_not_all_be_written_none_is(tmp_path: Path):
    database = Database(tmp_path / "ledger.sqlite")
    database.write_rows([(JOURNAL, [NOTE]), (SPECS, [spec(1)])])
    database.write_rows([(JOURNAL, [NOTE]), (SPECS, [spec(2), spec(3)])])
    with pytest.raises(IntegrityError) as failure:
        database.write_rows([(JOURNAL, [NOTE, NOTE]), (SPECS, [spec(4), spec(3)])])
    assert database.trouble(failure.value) is None, "it is this row, not the database"
    assert counts(database) == (3, 2)
    database.write_rows([(SPECS, [spec(4)])])
    assert counts(database) == (4, 2)
    database.close()
    database.close()


def test_a_ledger_that_another_holds_is_away_and_is_written_afterwards(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("infilink.cloud.ledger.database._LOCKED_S", 0.01)
    database, other = Database(tmp_path / "ledger.sqlite"), Database(tmp_path / "ledger.sqlite")
    database.write_rows([(SPECS, [spec(1)])])
    database.write_rows([(SPECS, [spec(2)])])
    with other.write(), pytest.raises(OperationalError) as failure:
        database.write_rows([(SPECS, [spec(3)])])
    assert database.trouble(failure.value) == "away"
    database.write_rows([(SPECS, [spec(3)])])
    assert counts(database) == (3, 0)
    database.close()
    other.close()
