"""Links of a recording with invented times: they are learnt, and nothing is certified of them."""

import json
import sqlite3
from pathlib import Path

import pytest
from infilink.links.graph import LinkGraph
from infilink.links.table import Table
from infilink.links.training.train import LinksTraining, train_links
from infilink.traces.trace import Trace

from ..conftest import RULES, crossing, given, write_trace


def thresholds(table: Table) -> list[float | None]:
    rows = (table.held, *table.linked.values())
    return [table.constant.threshold, *(cell.threshold for row in rows for cell in row)]


def test_invented_times_certify_nothing(
    tmp_path: Path, specs, long_training: LinksTraining, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_trace(tmp_path / "old.trace", crossing(320, 1), specs)
    with sqlite3.connect(path) as database:
        info = json.loads(database.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()[0])
        database.execute("UPDATE meta SET value = ?", (json.dumps({**info, "times": "invented"}),))
    database.close()
    with Trace(path) as trace:
        done = train_links(trace, out=tmp_path / "links", fit=given(RULES))
    tables = LinkGraph.load(done.folder).tables.values()
    assert any(table.linked for table in tables)
    assert {threshold for table in tables for threshold in thresholds(table)} == {None}
    assert "old.trace are invented" in caplog.text
    proven = LinkGraph.load(long_training.folder).tables.values()
    assert any(threshold is not None for table in proven for threshold in thresholds(table))
