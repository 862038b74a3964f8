"""The fork server: Ctrl-C, which a terminal sends to all of a program's processes, does not reach it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from multiprocessing import forkserver
from infilink.models.forked import start_fork_server
start_fork_server()
print(open(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see which signals are blocked")
def test_ctrl_c_does_not_reach_the_fork_server() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    blocked = next(line for line in done.stdout.splitlines() if line.startswith("SigBlk:"))
    assert int(blocked.split()[1], 16) & 1 << signal.SIGINT - 1
