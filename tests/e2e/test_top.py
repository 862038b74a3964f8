"""`infilink top` against a real coordinator: on a terminal until q, and as lines where there is none."""

import os
import pty
import subprocess
import sys

from .conftest import ENVIRONMENT, TIMEOUT_S, TOKEN, infilink


def test_on_a_terminal_it_is_a_screen_until_q(daemon, start_agent):
    start_agent(daemon.address, name="watched", seconds=1.0).finish()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "infilink.cli", "top", daemon.address, "--token", TOKEN]
    environment = {**ENVIRONMENT, "COLUMNS": "160", "LINES": "40", "TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as watching:
        os.close(theirs)
        said = ""
        while "q: quit" not in said:
            said += os.read(ours, 65536).decode()
        os.write(ours, b"q")
        assert watching.wait(TIMEOUT_S) == 0
    os.close(ours)
    for part in ("memory", "compute", "latency p50 / p99", "runs now", "double", "watched"):
        assert part in said, part


def test_without_a_terminal_it_is_a_line_a_look(daemon):
    done = infilink("top", daemon.address, "--token", TOKEN, "--every", 0.1, "--looks", 3)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all(" inputs/s; " in line and "runs now: " in line for line in lines)
    done = infilink("top", daemon.address)
    assert done.returncode == 2 and "--token" in done.stderr


def test_health_is_an_exit_code_and_needs_no_token(daemon):
    done = infilink("health", daemon.address)
    assert done.returncode == 0 and done.stdout == "serving\n"
    done = infilink("health", "127.0.0.1:1")
    assert done.returncode == 2 and "nobody answers at 127.0.0.1:1" in done.stderr
