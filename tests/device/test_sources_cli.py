"""The command that lists what inputs can come from."""

import json

from infilink.device.sources.names import KINDS
from infilink.device.sources_cli import sources_command


def test_every_kind_is_listed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    sources_command(as_json=False)
    shown = capsys.readouterr().out
    assert all(kind.example.split("(")[0] in shown for kind in KINDS)
    monkeypatch.setenv("COLUMNS", "80")
    sources_command(as_json=False)
    assert "…" not in capsys.readouterr().out
    sources_command(as_json=True)
    assert [kind["name"] for kind in json.loads(capsys.readouterr().out)] == [kind.name for kind in KINDS]
