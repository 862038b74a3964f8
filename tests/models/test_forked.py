"""The fork server: Ctrl-C, which a terminal sends to all of a program's processes, does not reach it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
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


TOLD = """
import os
from multiprocessing import forkserver
from pathlib import Path
from infilink.models.forked import start_fork_server
before = dict(os.environ)
start_fork_server()
assert dict(os.environ) == before
told = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/environ").read_text().split("\\0")
print([each for each in told if each.startswith("GLIBC_TUNABLES=")])
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see what a process began with")
@pytest.mark.parametrize("own", ["", "glibc.malloc.hugetlb=0"])
def test_the_fork_server_asks_for_huge_pages_unless_a_person_says_otherwise(own: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {"GLIBC_TUNABLES": own} if own else {}
    command = [sys.executable, "-c", TOLD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert done.stdout.strip() == str([f"GLIBC_TUNABLES={own or 'glibc.malloc.hugetlb=1'}"])


LEFT_OPEN = """
import sys
from infilink.models.process import ModelProcess
process = ModelProcess(sys.argv[1]).load()
print(process.pid)
raise SystemExit(3)
"""


def test_a_program_that_leaves_a_process_open_ends_with_it(tiny_models: Path) -> None:
    command = [sys.executable, "-c", LEFT_OPEN, str(tiny_models / "bright.onnx")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and not psutil.pid_exists(int(done.stdout))
