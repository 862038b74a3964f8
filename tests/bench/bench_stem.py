"""One stem, many heads: SKIP, events, links, REUSE, light answers, and what all that costs.

python tests/bench/bench_stem.py [--only skip] [--clips FOLDER] [--models FOLDER] [--folder KEPT]

Clips are any videos or traces, models a folder as `infilink record` takes it; without them, those of the data folder.
What is judged is judged by `stem/judging.py`, which shares nothing with what learns; all learning goes through the
functions and commands that users have.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "stem"))

import answered
import events
import linked
import reused
import send
import skip
import small
import speed
from recordings import Place

Rows = Iterable[dict[str, Any]]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], choices=list(TABLES), help="these tables alone")
    parser.add_argument("--clips", type=Path, help="a folder of videos or traces")
    parser.add_argument("--models", type=Path, help="a folder of models with their specs")
    parser.add_argument("--stem", type=Path, help="use this stem; default: chosen by what is learnt from")
    parser.add_argument("--latency", default="1ms", help="what a stem may take; a busy machine needs more")
    parser.add_argument("--folder", type=Path, help="where recordings and rows are kept; default: a temporary one")
    parser.add_argument("--turns", type=int, default=1, help="how many of the three turns of each clip; skip: all")
    parser.add_argument("--candidates", nargs="*", default=[], help="skip, events: these alone")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        place = Place.of(
            options.folder or Path(temporary), options.clips, options.models, options.stem, options.latency
        )
        if place is None:
            print("skipped: no data folder (set INFILINK_DATA, or give --clips and --models)")
            return
        for name in options.only or TABLES:
            began_s = time.perf_counter()
            measured, tables = TABLES[name]
            rows = []
            for row in measured(place, options):
                rows.append(row)
                with (place.folder / f"{name}.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(f"\n### {name}")
            print("\n".join(tables(rows)), flush=True)
            print(f"{name}: {time.perf_counter() - began_s:.0f} s", file=sys.stderr, flush=True)


TABLES: dict[str, tuple[Callable[[Place, argparse.Namespace], Rows], Callable[[Any], Iterator[str]]]] = {
    "skip": (lambda place, given: skip.measure(place, given.candidates or skip.WAYS), skip.tables),
    "heads": (lambda place, given: answered.measure(place, given.turns), answered.tables),
    "events": (
        lambda place, given: events.measure(place, given.turns, given.candidates or events.GATES),
        events.tables,
    ),
    "links": (lambda place, given: linked.measure(place, given.turns), linked.tables),
    "reuse": (lambda place, given: reused.measure(place, given.turns), reused.tables),
    "send": (lambda place, _: send.measure(place), send.tables),
    "small": (lambda place, _: small.measure(place), small.tables),
    "speed": (lambda place, _: speed.measure(place), speed.tables),
}


if __name__ == "__main__":
    main()
