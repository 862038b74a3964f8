"""Four streams of four kinds in one agent on one core: is each input decided before the next one of its stream comes?

A camera (a clip at its own rate), a microphone's sounds, a wrist's sensor and lines of text, each with the filter that
bench_modalities.py trained or one made here; the agent has one core, the coordinator the others.

python tests/bench/modalities/bench_streams.py [SECONDS]
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from bench_modalities import coordinator, recorded
from workloads import Workload, command, find_data, link_models, make, said_by

_SECONDS = 60.0
_LIGHT = "light_person_detector"


def _filter(workload: Workload, folder: Path) -> Path:
    gate = folder / "filter.onnx"
    if not gate.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        learn, _ = recorded(workload, folder)
        what = ("--model", workload.model, "--rule", workload.rule)
        command("train", "filter", learn, *what, "--out", gate, "--uncertified")
    return gate


def _camera(data: Path, folder: Path) -> tuple[Path, Path]:
    """A clip, and a filter of what changes in it."""
    clip, trace, gate = data / "video" / "lobby_person.mp4", folder / "lobby.trace", folder / "lobby.onnx"
    if not gate.is_file():
        models = link_models(data, folder / "detector", [_LIGHT])
        command("record", "--source", clip, "--models", models, "--seconds", 70, "--out", trace)
        command("train", "filter", trace, "--rule", "unchanged", "--out", gate, "--uncertified", "--stem", "none")
    return clip, gate


def _config(folder: Path, address: str, streams: dict[str, dict[str, Any]]) -> Path:
    path = folder / "device.toml"
    top = {"name": "four", "coordinator": address, "pace": "source", "queue": "latest"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for name, settings in streams.items():
        cut = settings.pop("cut", None)
        lines += [f"[streams.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
        if cut:
            lines.append(f"cut = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in cut.items())} }}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _late(results: Path, period_s: float) -> tuple[int, float]:
    """How many inputs a stream decided on, and the share that was decided later than a period after its own time."""
    with sqlite3.connect(results) as database:
        rows = database.execute("SELECT captured_s, decided_s FROM inputs ORDER BY sequence").fetchall()
    captured_s, decided_s = np.asarray(rows, float).T
    # The source's clock and the run's begin at different times: the earliest decision is the one that was not late.
    behind_s = decided_s - captured_s
    return len(rows), float((behind_s - behind_s.min() > period_s).mean())


def main(seconds: float) -> None:
    """Runs them."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    with tempfile.TemporaryDirectory(prefix="infilink-streams-") as made:
        place = Path(os.environ.get("INFILINK_BENCH", made))
        folder = place / "streams"
        folder.mkdir(parents=True, exist_ok=True)
        sounds, wrist, texts = make(place / "data", ["digits", "wrist", "SMS"])
        clip, gate = _camera(data, folder)
        models = folder / "models"
        models.mkdir(exist_ok=True)
        for source in (*sounds.models.iterdir(), *wrist.models.iterdir(), *texts.models.iterdir()):
            (models / source.name).unlink(missing_ok=True)
            (models / source.name).symlink_to(source.resolve())
        link_models(data, models, [_LIGHT])
        runs = place / "runs"
        gates = {
            each.name: _filter(each, runs / each.name.replace(" ", "_").replace(",", ""))
            for each in (sounds, wrist, texts)
        }
        periods = {"camera": 0.1, "ear": 1.0, "wrist": 2.0, "mail": 1.0}
        streams: dict[str, dict[str, Any]] = {
            "camera": {"source": str(clip), "gate": str(gate)},
            "ear": {"source": sounds.live[1], "gate": str(gates[sounds.name])},
            "wrist": {
                "source": wrist.live[1],
                "gate": str(gates[wrist.name]),
                "cut": {"window_s": 4.0, "stride_s": 2.0},
            },
            "mail": {"source": texts.live[1], "gate": str(gates[texts.name])},
        }
        for name, settings in streams.items():
            for old in folder.glob(f"{name}.sqlite*"):
                old.unlink()
            settings |= {"results": str(folder / f"{name}.sqlite"), "seconds": seconds}
        with coordinator(models, folder) as address:
            config = _config(folder, address, streams)
            cores = sorted(os.sched_getaffinity(0))[:1]
            done = subprocess.run(
                [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"],
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        ends: Any = said_by(done.stdout)["streams"]
        table = Table(title=f"four streams on one core, {seconds:g} s at their sources' own rates")
        for column in ("stream", "inputs", "kept", "answered", "decided in ms, 50 %", "99 %", "later than a period"):
            table.add_column(column, justify="left" if column == "stream" else "right")
        for name, period_s in periods.items():
            inputs, late = _late(folder / f"{name}.sqlite", period_s)
            end = ends[name]
            table.add_row(
                name,
                str(inputs),
                str(end["kept"]),
                str(end["answered"]),
                f"{end['decide_p50_ms']:.2f}",
                f"{end['decide_p99_ms']:.2f}",
                f"{late:.3f}",
            )
        Console(width=140).print(table)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS)
