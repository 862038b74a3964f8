"""A daemon's log: a line an event, or a JSON object a line, whatever stands in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from typer.testing import CliRunner

PROGRAM = """
import logging
from infilink.reporting import LogFormat, start_logging
start_logging(LogFormat({form!r}))
logger = logging.getLogger("infilink.cloud.daemon")
logger.info("%s: connected [red]x[/red] %s", "yard", "y" * 200)
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("two\\nlines")
"""


def logged(form: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(form=form)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_json_is_one_object_a_line() -> None:
    first, second = map(json.loads, logged("json").splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "infilink.cloud.daemon",
        "message": f"yard: connected [red]x[/red] {'y' * 200}",
    }
    assert second["message"] == "two\nlines" and second["error"].endswith("ZeroDivisionError: division by zero")


def test_where_there_is_no_terminal_a_line_is_not_broken() -> None:
    line = logged("text").splitlines()[0]
    assert line.endswith(f" INFO    yard: connected [red]x[/red] {'y' * 200}")


@pytest.mark.parametrize("command", ["cloud", "device"])
def test_both_daemons_take_the_format_and_no_other(command: str) -> None:
    done = CliRunner().invoke(build_app([command]), [command, "--log-format", "xml"])
    assert done.exit_code == 2 and "'json'" in done.output


def test_a_log_file_is_bounded_and_a_disk_that_is_full_is_told_once(tmp_path) -> None:
    code = """
import logging
from pathlib import Path
from infilink import reporting
reporting.LOG_FILE_BYTES = 1000
reporting.start_logging(file=Path({path!r}))
for index in range(200):
    logging.info("line %d", index)
"""
    path = tmp_path / "logs" / "agent.log"
    done = subprocess.run(
        [sys.executable, "-c", code.format(path=str(path))], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(each.name for each in path.parent.iterdir()) == ["agent.log", *(f"agent.log.{i}" for i in (1, 2, 3))]
    assert all(each.stat().st_size <= 1000 for each in path.parent.iterdir())
    assert path.read_text().splitlines()[-1].endswith("INFO    line 199")
    if Path("/dev/full").exists():
        done = subprocess.run(
            [sys.executable, "-c", code.format(path="/dev/full").replace("range(200)", "range(3)")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.count("the log can't be written") == 1 and "Traceback" not in done.stderr
    line = ["device", "--log-file", str(tmp_path / "logs"), "--name", "a", "--source", "0", "--coordinator", "a:1"]
    with pytest.raises(InvalidInput, match=r"--log-file .*: can't be written"):
        build_app(line)(line, standalone_mode=False)
