"""The demo's table on the rendered street: default source and budget, over several seeds.

python tests/bench/bench_demo.py [SEED ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = (
    "| seed | run | agreement | of linked | of skipped | events found | within 2 s | false min/day | not sent "
    "| MiB sent | x H.264 | executions | CPU s | peak MiB | budget MiB | violations | frames/s |"
)


def line(seed: int | str, name: str, score: dict, stream_bytes: int) -> str:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    cells = (
        seed,
        name,
        share(score["agreement"]),
        share(score["agreement_linked"]),
        share(score["agreement_skipped"]),
        f"{score['events_found']}/{score['events']}",
        share(score["found_within_2s"]),
        f"{score['false_minutes']:.0f}",
        f"{score['filtering_rate']:.0%}",
        f"{score['sent_bytes'] / 2**20:.2f}",
        f"{score['sent_bytes'] / stream_bytes:.1f}",
        score["executions"],
        f"{score['cpu_s']:.1f}",
        f"{score['peak_bytes'] / 2**20:.0f}",
        f"{score['budget_bytes'] / 2**20:.0f}" if score["budget_bytes"] else "none",
        score["budget_violations"],
        f"{score['throughput_fps']:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main(seeds: list[int]) -> None:
    print(COLUMNS)
    print("|" + "---|" * (COLUMNS.count("|") - 1))
    walls = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as out:
            started = time.perf_counter()
            command = [sys.executable, "-m", "infilink.cli", "demo", "--out", out, "--seed", str(seed), "--json"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - started)
            report = json.loads((Path(out) / "report.json").read_text())
        for name, score in (("full run", report["full"]), ("infilink", report), *report["baselines"].items()):
            print(line(seed, name, score, report["stream_bytes"]), flush=True)
    print(f"\nwhole command: {', '.join(f'{wall:.0f} s' for wall in walls)}")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [0])
