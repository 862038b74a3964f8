"""Kills of an agent with a spool, and of its coordinator, at random moments under load: what is lost, what is twice.

`python tests/bench/device/bench_kills.py [--kills 300] [--side-by-side 2]`: real daemons, whose source is live (25
pictures a second) or a recording, one after the other; each of them killed with SIGKILL. Must be true: of all inputs
that counted as taken at some moment none is without an answer at the end, no input has two, and of a recording
none is left out and each has its own answer.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from killing import FPS, Outcome, Site

sys.path.append(str(Path(__file__).parents[3]))
from tests.e2e.conftest import write_model

_A_ROUND = 25
_RECORDED_S = 3.0
"""So much of a recording there is for each kill."""


def rounds(kills: int) -> Iterator[tuple[int, bool]]:
    """How many kills each round has, and whether its source is live."""
    for number, done in enumerate(range(0, kills, _A_ROUND)):
        yield min(_A_ROUND, kills - done), number % 2 == 0


def run(folder: Path, models: Path, number: int, kills: int, *, live: bool) -> Outcome:
    """One round."""
    frames = None if live else round(_RECORDED_S * kills * FPS)
    site = Site(folder, models, frames=frames, queue="latest" if live else "all")
    try:
        return site.run(kills, random.Random(number))
    finally:
        site.close()


def main() -> int:
    """Runs it and prints a table; 1: something was lost, or twice."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--side-by-side", type=int, default=2)
    given = options.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(given.side_by_side) as pool:
        models = Path(name) / "models"
        models.mkdir()
        write_model(models / "bright.onnx")
        running = [
            (live, pool.submit(run, Path(name) / str(number), models, number, kills, live=live))
            for number, (kills, live) in enumerate(rounds(given.kills))
        ]
        outcomes = [(live, future.result()) for live, future in running]
    table = Table(
        "source", "kills of the agent", "of the coordinator", "taken", "lost", "twice", "wrong", "left out", "late"
    )
    bad = 0
    for live in (True, False):
        mine = [outcome for each, outcome in outcomes if each == live]
        sums = {
            name: sum(getattr(each, name) for each in mine)
            for name in ("lost", "duplicates", "wrong", "holes", "late", "tracebacks")
        }
        bad += sum(sums[name] for name in ("lost", "duplicates", "wrong", "holes", "tracebacks"))
        table.add_row(
            "live" if live else "recording",
            *(str(sum(each.kills[who] for each in mine)) for who in ("agent", "coordinator")),
            str(sum(len(each.taken) for each in mine)),
            str(sums["lost"]),
            str(sums["duplicates"]),
            *(("-", "-") if live else (str(sums["wrong"]), str(sums["holes"]))),
            str(sums["late"]),
        )
    Console().print(table)
    print(f"{given.side_by_side} side by side, {time.monotonic() - began_s:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
