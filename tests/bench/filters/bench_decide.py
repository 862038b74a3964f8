"""What a decision costs on one core, beside the floor: shrinking the frame and running the bare session.

Run it as a script: `python tests/bench/filters/bench_decide.py`. It makes its own frames and filters.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from infilink.filters.artifact import write_network, write_pace, write_scalar
from infilink.filters.channels import MOTION, SCALARS
from infilink.filters.network import TemporalNetwork
from infilink.filters.pace import Pace
from infilink.filters.pictures import SIDE, Shrinker
from infilink.filters.runtime import FilterRuntime
from infilink.filters.spec import Certificate, FilterSpec, load_filter
from infilink.outputs import Array
from rich.console import Console
from rich.table import Table

ROUNDS = 2000
SIZES = ((640, 360), (1280, 720), (1920, 1080))


def make_filters(folder: Path) -> dict[str, Path]:
    """One filter of each kind; what a decision costs does not hang on what was learnt."""
    certificate = Certificate(
        certified=False,
        confidence=0.95,
        inputs=1,
        effective_inputs=1,
        errors=0,
        error=0,
        upper_bound=1,
        method="",
        rate=0,
    )
    whole = FilterSpec(
        kind="",
        rule="unchanged",
        models={},
        reference="last kept",
        threshold=0.5,
        accuracy=0.9,
        step_s=0.05,
        longest_s=10.0,
        certificate=certificate,
    )
    specs = {kind: whole.model_copy(update={"kind": kind}) for kind in ("network", "pace", "difference")}
    zeros, ones = np.zeros(len(SCALARS), np.float32), np.ones(len(SCALARS), np.float32)
    motion = len(MOTION)
    pace = Pace(zeros[:motion], ones[:motion], zeros[:motion], -1.0)
    paths = {kind: folder / f"{kind}.onnx" for kind in specs}
    write_network(paths["network"], TemporalNetwork(zeros, ones).eval(), specs["network"])
    write_pace(paths["pace"], pace, specs["pace"])
    write_scalar(paths["difference"], "difference", specs["difference"])
    return paths


def times_ms(work: Callable[[int], object]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum of `ROUNDS` calls, after some to warm up."""
    found = []
    for i in range(ROUNDS + 50):
        started = time.perf_counter()
        work(i)
        found.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(found[50:], [50, 99])
    return float(p50), float(p99), max(found[50:])


def works(filters: dict[str, Path], frames: list[Array]) -> dict[str, Callable[[int], object]]:
    """What is timed on frames of one size, by name."""
    shrinker = Shrinker()
    found: dict[str, Callable[[int], object]] = {"floor: shrink": lambda i: shrinker.shrink(frames[i % len(frames)])}
    fed = {"channels": np.zeros((1, 3, SIDE, SIDE), np.float32), "scalars": np.zeros((1, len(SCALARS)), np.float32)}
    for kind, path in filters.items():
        session, gate = load_filter(path)[1], FilterRuntime(path)
        found[f"floor: {kind} session"] = lambda i, session=session: session.run(None, fed)
        found[f"{kind}: decide"] = lambda i, gate=gate: gate.decide(frames[i % len(frames)], i / 15)
    return found


def main() -> None:
    """Prints the table."""
    cv2.setNumThreads(1)
    table = Table("frame", "what", "p50 ms", "p99 ms", "max ms", title=f"{ROUNDS} decisions on one core")
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        filters = make_filters(Path(folder))
        for width, height in SIZES:
            frames = [random.integers(0, 255, (height, width, 3), np.uint8) for _ in range(8)]
            for name, call in works(filters, frames).items():
                table.add_row(f"{width}x{height}", name, *(f"{value:.3f}" for value in times_ms(call)))
    Console().print(table)


if __name__ == "__main__":
    main()
