"""The demo's table on the rendered site, default budgets, over several seeds: means, and how far seeds spread.

python tests/bench/bench_demo.py [SEED ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SEEDS = (0, 1, 2)
COLUMNS = (
    "| seed | policy | agreement | of linked | of held | events found | within 2 s | delay s | false min/day "
    "| not sent | MiB sent | of JPEGs | x H.264 | runs | of runs | CPU s | of CPU | peak MiB | violations |"
)


def line(seed: int | str, name: str, score: dict[str, Any], report: dict[str, Any]) -> str:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    cells = (
        seed,
        name,
        share(score["agreement"]),
        share(score["agreement_linked"]),
        share(score["agreement_held"]),
        f"{score['events_found']}/{score['events']}",
        share(score["found_within_2s"]),
        share(score["delay_p50_s"]),
        f"{score['false_minutes']:.0f}",
        f"{score['filtering_rate']:.0%}",
        f"{score['sent_bytes'] / 2**20:.2f}",
        f"{score['sent_bytes'] / report['full']['sent_bytes']:.1%}",
        f"{score['sent_bytes'] / report['stream_bytes']:.2f}",
        score["executions"],
        f"{score['executions_share']:.1%}",
        f"{score['cpu_s']:.1f}",
        f"{score['cpu_share']:.1%}",
        f"{score['peak_bytes'] / 2**20:.0f}",
        score["budget_violations"],
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def spread(reports: list[dict[str, Any]]) -> None:
    """Ours less the best that learns nothing, and less each of ours without a part, seed by seed."""
    print("\nours, replayed, less another: mean (lowest, highest of the seeds)\n")
    for field in ("agreement", "event_recall", "found_within_2s"):
        ours = np.asarray([report["policies"]["replayed"][field] for report in reports])
        best = np.asarray([max(report["policies"][name][field] for name in report["free"]) for report in reports])
        others = {"the best that learns nothing": best}
        for name in ("no_links", "no_filters", "no_stem", "hindsight"):
            others[name] = np.asarray([report["policies"][name][field] for report in reports])
        for name, values in others.items():
            ahead = ours - values
            print(f"- {field}, {name}: {ahead.mean():+.3f} ({ahead.min():+.3f}, {ahead.max():+.3f})")
    for title in reports[0]["checked"]:
        off = [report["checked"][title]["daemons"] - report["checked"][title]["replayed"] for report in reports]
        print(f"- {title}, over daemons less replayed: {', '.join(f'{each:+.3f}' for each in off)}")


def main(seeds: list[int]) -> None:
    print(COLUMNS)
    print("|" + "---|" * (COLUMNS.count("|") - 1))
    walls, reports = [], []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as out:
            started = time.perf_counter()
            command = [sys.executable, "-m", "infilink.cli", "demo", "--out", out, "--seed", str(seed), "--json"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - started)
            report = json.loads((Path(out) / "report.json").read_text())
        reports.append(report)
        for name, score in (("infilink", report), *report["policies"].items(), ("full", report["full"])):
            print(line(seed, name, score, report), flush=True)
    spread(reports)
    print(f"\nwhole command: {', '.join(f'{wall:.0f} s' for wall in walls)}")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or list(SEEDS))
