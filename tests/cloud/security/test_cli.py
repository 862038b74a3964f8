"""`infilink token`: made, shown, removed."""

from pathlib import Path

import pytest
from infilink.cli import build_app
from infilink.cloud.security.tokens import TokenFile
from infilink.errors import InvalidInput
from typer.testing import CliRunner


def token(path: Path, *words: str) -> str:
    """What the command prints."""
    arguments = ["token", *words, "--tokens", str(path)]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(build_app(arguments), arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_device_s_token_is_for_its_name_unless_more_is_said(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    door = token(path, "new", "door").strip()
    yards = token(path, "new", "yard", "--device", "yard-*", "--days", "30").strip()
    ops = token(path, "new", "ops", "--scope", "operator").strip()
    file = TokenFile(path)
    assert file.of_token(door).bindings == (("door",),)
    assert file.of_token(yards).bindings == (("yard-*",),) and file.of_token(yards).expires_s < float("inf")
    assert file.of_token(ops).bindings == () and file.of_token(ops).scopes == {"operator"}
    shown = token(path, "ls")
    assert all(name in shown for name in ("door", "yard-*", "ops", "operator")) and door not in shown
    token(path, "rm", "door")
    assert "door" not in token(path, "ls")


def test_a_scope_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--scope: 'god' is none of device, reader, operator"):
        token(tmp_path / "tokens.toml", "new", "x", "--scope", "god")
