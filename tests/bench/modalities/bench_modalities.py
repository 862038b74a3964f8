"""Six kinds of inputs over real daemons: what is sent, how far answers agree, which events are found.

Each row is a coordinator and an agent in processes of their own, on inputs that nothing was learnt from; the filter is
the one that `infilink train filter` makes of its own accord. Beside it stand what the library said before, and the free
gates at the same share of inputs.

python tests/bench/modalities/bench_modalities.py [PART OF A NAME ...]
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from infilink.filters.evaluation.outcome import Answers, Outcome
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.free_gates import keep_every, keep_random
from infilink.filters.training.losses import Losses
from infilink.outputs import Array
from infilink.traces.trace import Trace
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from workloads import Workload, command, make, said_by

ACCURACY = 0.9
_SEEDS = 5


@contextmanager
def coordinator(models: Path, folder: Path) -> Iterator[str]:
    """A coordinator in a process of its own; gives its address."""
    config = folder / "cloud.toml"
    config.write_text(f'listen = "127.0.0.1:0"\nmodels = {json.dumps(str(models))}\nledger = "ledger.sqlite"\n')
    for old in folder.glob("ledger.sqlite*"):
        old.unlink()
    started = subprocess.Popen(
        [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=(folder / "cloud.log").open("w"),
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert started.stdout is not None
        line = next((line for line in started.stdout if line.startswith("ready on ")), "")
        if not line:
            raise SystemExit(f"the coordinator did not start: {(folder / 'cloud.log').read_text()[-2000:]}")
        yield line.removeprefix("ready on ").strip()
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(60)


def recorded(workload: Workload, folder: Path) -> tuple[Path, Path]:
    """The traces to learn from and of what comes later, whose outputs are the truth."""
    if workload.learnt is not None and workload.judged is not None:
        return workload.learnt, workload.judged
    found = []
    for name, options in (("learn", workload.learn), ("live", workload.live)):
        path = folder / f"{name}.trace"
        if not path.is_file():
            command("record", *options, "--models", workload.models, "--out", path)
        found.append(path)
    return found[0], found[1]


def run(workload: Workload, folder: Path) -> dict[str, Any]:
    """One row."""
    folder.mkdir(parents=True, exist_ok=True)
    learn, live = recorded(workload, folder)
    gate, results = folder / "filter.onnx", folder / "results.sqlite"
    what = ("--model", workload.model, "--rule", workload.rule, "--accuracy", ACCURACY)
    trained = said_by(command("train", "filter", learn, *what, "--out", gate, "--uncertified", "--json"))
    spec: Any = trained["spec"]
    for old in folder.glob("results.sqlite*"):
        old.unlink()
    with coordinator(workload.models, folder) as address:
        options = ("--name", "bench", "--gate", gate, "--coordinator", address, "--pace", "max", "--queue", "all")
        device: Any = said_by(
            command("device", *workload.live, *options, *workload.device, "--results", results, "--json")
        )
    with Trace(live) as trace:
        losses = Losses(trace, (workload.model,), parse_rule(workload.rule))
        answers = Answers(losses, trace.captured_s, held=bool(spec["reference"] == "last kept"))
        kept = _kept(results, trace.sequences)
        sent = int(kept.sum())
        free = {
            "random": [answers.outcome(keep_random(len(kept), sent, seed=seed)) for seed in range(_SEEDS)],
            "every K-th": [answers.outcome(keep_every(len(kept), sent))],
        }
        return {
            "name": workload.name,
            "inputs": len(trace),
            "certified": spec["certificate"]["certified"],
            "said": (1.0 - spec["certificate"]["rate"], 1.0 - spec["certificate"]["error"]),
            "found": answers.outcome(kept),
            "free": free,
            "answered": device["answered"] == device["kept"],
            "decide_ms": (device["decide_p50_ms"], device["decide_p99_ms"]),
            "timed": workload.timed,
        }


def _kept(path: Path, sequences: Array) -> Array:
    """What the gate itself kept over the daemons, without what the audit drew: bool, one for each of `sequences`."""
    with sqlite3.connect(path) as database:
        rows = dict(database.execute("SELECT sequence, kept AND audit_probability = 0 FROM inputs"))
    missing = [int(each) for each in sequences if int(each) not in rows]
    if missing:
        raise SystemExit(f"{path}: the agent decided on other inputs than were recorded: {missing[:5]} ...")
    return np.asarray([bool(rows[int(each)]) for each in sequences])


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the table."""
    table = Table(title=f"filters for an agreement of {ACCURACY:g}, over daemons, on inputs that came later")
    for column in ("workload", "inputs", "said: sent", "agrees", "sent", "agrees", "random", "every K-th"):
        table.add_column(column, justify="left" if column == "workload" else "right")
    for column in ("events", "in 2 s", "random", "every K-th", "decided in ms, 99 %"):
        table.add_column(column, justify="right")
    for row in rows:
        found: Outcome = row["found"]
        free = {name: np.mean([each.accuracy for each in ways]) for name, ways in row["free"].items()}
        events = ["-"] * 4
        if row["timed"]:
            events = [
                f"{found.events.found}/{found.events.events}",
                f"{found.events.within.get(2.0, float('nan')):.2f}",
                *(f"{np.mean([each.events.found for each in ways]):.1f}" for ways in row["free"].values()),
            ]
        table.add_row(
            row["name"] + ("" if row["certified"] else " (not certified)") + ("" if row["answered"] else " (LOST)"),
            str(row["inputs"]),
            *(f"{each:.3f}" for each in (*row["said"], found.sent, found.accuracy, *free.values())),
            *events,
            f"{row['decide_ms'][0]:.2f}, {row['decide_ms'][1]:.2f}",
        )
    Console(width=200).print(table)


def main(wanted: Sequence[str]) -> None:
    """Runs them."""
    with tempfile.TemporaryDirectory(prefix="infilink-modalities-") as made:
        place = Path(os.environ.get("INFILINK_BENCH", made))
        workloads = make(place / "data", wanted)
        if not workloads:
            print("skipped: no data folder (set INFILINK_DATA), or no such workload")
            return
        rows = []
        for each in workloads:
            rows.append(run(each, place / "runs" / each.name.replace(" ", "_").replace(",", "")))
            show(rows[-1:])
        show(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
