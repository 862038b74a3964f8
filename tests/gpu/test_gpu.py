"""The script for machines with a card; elsewhere that it runs as far as it can."""

import subprocess
import sys
from pathlib import Path

import pytest
from infilink.models.doctor import cards

SCRIPT = Path(__file__).with_name("run.py")


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=900
    )


@pytest.mark.skipif(not cards(), reason="no NVIDIA card is here")
def test_what_only_a_card_can_show():
    done = run("--cycles", "40", "--seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(bool(cards()), reason="there is a card")
def test_without_a_card_it_says_why_and_runs_on_the_processors():
    assert "skipped: " in run().stdout
    done = run("--dry", "--cycles", "6", "--seconds", "0.2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "budget over 6 loads" in done.stdout and "bytes back" in done.stdout and "bare" in done.stdout
