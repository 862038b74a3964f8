"""Ctrl-C in the command's first moments: one line, never a traceback."""

import subprocess
import sys

import pytest

# Stands before all other finders of modules, and sends Ctrl-C in the middle of one's import.
HEAVY = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
            except KeyboardInterrupt:
                raise ImportError("initialization failed")

sys.meta_path.insert(0, Finder())
sys.argv = ["infilink", *{arguments!r}]
from infilink import main
main()
"""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("typer", ["--help"]),
        ("onnxruntime", ["record", "--help"]),
        ("infilink.device.agent", ["device"]),
        ("infilink.device.record", ["record", "--source", "0", "--models", ".", "--out", "a.trace"]),
    ],
    ids=["the command line", "a command", "the agent", "what a command loads itself"],
)
def test_an_import_that_is_interrupted_is_one_line(tmp_path, name, arguments):
    code = HEAVY.format(name=name, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")
