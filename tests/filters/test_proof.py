"""A recording with invented times proves nothing."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from infilink.errors import NotCertified
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.traces.trace import Trace


def invented(path: Path, out: Path) -> Path:
    """The same recording, as one whose times were made up."""
    shutil.copy(path, out)
    with sqlite3.connect(out) as database:
        info = json.loads(database.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()[0])
        text = json.dumps({**info, "times": "invented"})
        database.execute("UPDATE meta SET value = ? WHERE key = 'info'", (text,))
    database.close()
    return out


def test_invented_times_certify_nothing(trace_path, tmp_path):
    with Trace(invented(trace_path, tmp_path / "old.trace")) as trace:
        assert "old.trace are invented" in trace.unproven

        def train(**options):
            return train_filter(
                trace,
                models=("scene",),
                rule=parse_rule("label in (nothing)"),
                accuracy=0.8,
                out=tmp_path / "filter.onnx",
                candidates=("difference",),
                **options,
            )

        with pytest.raises(NotCertified, match="nothing can be certified from it: record it again, or have it without"):
            train()
        done = train(uncertified=True)
    found = done.spec.certificate
    assert not found.certified and found.method.startswith("none: the times of old.trace are invented")
    with Trace(trace_path) as trace:
        assert trace.unproven == "" and train(uncertified=True).spec.certificate.method != found.method
