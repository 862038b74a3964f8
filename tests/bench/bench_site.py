"""A site of many streams under budgets of memory and compute: ours beside everything free, on identical inputs.

python tests/bench/bench_site.py [--only real memory] [--clips FOLDER] [--models FOLDER] [--folder KEPT]

Clips are any videos or traces, models a folder as `infilink record` takes it; without them, those of the data folder.
Links are learnt on the first 60 % of each camera; it is served from 62 % on, from three beginnings.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "stem"))
sys.path.insert(0, str(Path(__file__).parent / "site"))

import agreed
import cost
import daemons
import loss
import memory
import planned
import prepare
import second
from baselines import FREE
from ours import OURS
from prepare import Bench


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], choices=list(TABLES), help="these tables alone")
    parser.add_argument("--data", type=Path, help="the data folder; default: INFILINK_DATA, or the one beside")
    parser.add_argument("--clips", type=Path, help="a folder of videos or traces")
    parser.add_argument("--models", type=Path, help="a folder of models with their specs")
    parser.add_argument("--stem", type=Path, help="use this stem; default: chosen by what is learnt from")
    parser.add_argument("--folder", type=Path, help="where what is made is kept; default: a temporary one")
    parser.add_argument("--ticks", type=int, default=250, help="how many inputs of each camera are served")
    parser.add_argument("--turns", type=int, default=3, help="from how many beginnings")
    parser.add_argument("--shares", type=float, nargs="*", default=list(agreed.SHARES), help="of the full compute")
    parser.add_argument("--policies", nargs="*", default=list(agreed.POLICIES), help="these alone")
    parser.add_argument("--budget", default="40%%", help="daemons: the memory")
    parser.add_argument("--compute", default="all", help="daemons: the processors")
    parser.add_argument("--answers", nargs="*", default=["links", "hold", "full"], help="daemons: these alone")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        bench = prepare.open_bench(options, Path(temporary))
        if bench is None:
            print("skipped: no data folder (set INFILINK_DATA, or give --clips and --models)")
            return
        for name in options.only or TABLES:
            began_s = time.perf_counter()
            print(f"\n### {name}")
            for line in TABLES[name](bench):
                print(line, flush=True)
            print(f"{name}: {time.perf_counter() - began_s:.0f} s", file=sys.stderr, flush=True)


def _real(bench: Bench) -> Iterator[str]:
    given = bench.options
    return agreed.agreement_table(bench.site, given.shares, given.policies, ticks=given.ticks, turns=given.turns)


def _events(bench: Bench) -> Iterator[str]:
    given = bench.options
    names = [name for name in given.policies if name in (OURS, *FREE) or "without" in name]
    return agreed.events_table(bench.site, agreed.EVENTS_SHARE, names, ticks=given.ticks, turns=given.turns)


def _memory(bench: Bench) -> Iterator[str]:
    return memory.table(bench.site, ticks=bench.options.ticks, turns=bench.options.turns)


def _loss(bench: Bench) -> Iterator[str]:
    given = bench.options
    for share in given.shares:
        yield f"\n{OURS}, {share:.0%} of the compute:"
        measured = agreed.measure(bench.site, agreed.POLICIES[OURS], share, ticks=given.ticks, turns=given.turns)
        yield from loss.table(bench.site, measured, ticks=given.ticks)


def _plan(bench: Bench) -> Iterator[str]:
    return planned.table(bench.site, ticks=bench.options.ticks, turns=bench.options.turns)


TABLES: dict[str, Callable[[Bench], Iterator[str]]] = {
    "real": _real,
    "events": _events,
    "memory": _memory,
    "plan": _plan,
    "second": lambda bench: second.table(bench.second),
    "daemons": daemons.table,
    "cost": lambda bench: cost.table(bench.site),
    "loss": _loss,
}


if __name__ == "__main__":
    main()
