"""The command line: its table of contents, and how it says that something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from infilink.cli import COMMANDS, EXIT_USER_ERROR, GROUPS

from .e2e.conftest import infilink as forked


def infilink(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infilink.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


PATHS = [(name,) for name, entry in COMMANDS.items() if entry.target] + [
    (group, name) for group, entries in GROUPS.items() for name in entries
]


def test_help_tells_of_every_command() -> None:
    done = infilink("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f" {name} " in done.stdout


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys; from infilink.cli import build_app; build_app(['--help']);"
        "print([m for m in ('torch', 'cv2', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_help_of_its_own(path: tuple[str, ...]) -> None:
    done = forked(*path, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: infilink" in done.stdout


def test_models_alone_shows_its_commands() -> None:
    done = infilink("models")
    assert "Usage: infilink models" in done.stdout + done.stderr
    for name in GROUPS["models"]:
        assert f" {name} " in done.stdout + done.stderr


def test_a_command_with_commands_of_its_own_runs_by_itself() -> None:
    done = infilink("device", "--config", "status")
    assert done.returncode == EXIT_USER_ERROR and done.stderr.startswith("error: status: there is no such file")
    assert "No such command 'nothing'" in infilink("device", "nothing").stderr
    assert "--json" in infilink("device", "status", "--help").stdout


def test_version() -> None:
    assert infilink("--version").stdout.startswith("infilink 0.")


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = infilink("record", "--source", "no.mp4", "--models", str(tmp_path), "--out", str(tmp_path / "a.trace"))
    assert done.returncode == EXIT_USER_ERROR
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
