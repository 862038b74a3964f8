"""What a decision costs on one core, beside the floor: shrinking the frame and running the bare session.

Run it as a script: `python tests/bench/filters/bench_decide.py`. It makes its own frames and filters.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.modalities import Learnable, fit_modality
from infilink.filters.modalities.stream import MOTION, SCALARS, SIDE, Shrinker
from infilink.filters.networks.encoders import EncoderNetwork
from infilink.filters.spec import Certificate, FilterSpec, load_filter
from infilink.filters.training.change_rate import ChangeRate
from infilink.filters.training.graphs import compress, save_filter, scalar_graph, traced_graph
from infilink.filters.training.staleness import Staleness, staleness_graph
from infilink.filters.training.temporal import TemporalNetwork, network_graph
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
        runs=1,
        lost=0,
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
    zeros, ones = np.zeros(len(SCALARS), np.float32), np.ones(len(SCALARS), np.float32)
    motion = len(MOTION)
    rate = ChangeRate(zeros[:motion], ones[:motion], zeros[:motion], -1.0)
    network = network_graph(TemporalNetwork(zeros, ones).eval())
    graphs = {
        "network": network,
        "network int8": compress(network),
        "blend": staleness_graph(rate, Staleness(zeros[:3], ones[:3], zeros[:3], 0.0)),
        "difference": scalar_graph("difference"),
        "edge": scalar_graph("edge"),
    }
    paths = {}
    for kind, graph in graphs.items():
        paths[kind] = folder / f"{kind}.onnx"
        save_filter(paths[kind], graph, whole.model_copy(update={"kind": kind}))
    for kind in ("image", "video"):
        modality = fit_modality(kind, [np.zeros((8, 8, 3), np.uint8)])
        paths[kind] = folder / f"{kind}.onnx"
        save_alone(paths[kind], modality, whole)
    return paths


def save_alone(path: Path, modality: Learnable, whole: FilterSpec) -> None:
    """A filter of a modality, untrained."""
    network = EncoderNetwork(*modality.encoder()).eval()
    spec = whole.model_copy(update={"kind": "network", "modality": modality, "rule": "empty", "longest_s": None})
    save_filter(path, traced_graph(network, np.zeros((1, *modality.shape), modality.dtype)), spec)


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
        feed = {each.name: fed[each.name] if each.name in fed else alone(each) for each in session.get_inputs()}
        found[f"floor: {kind} session"] = lambda i, session=session, feed=feed: session.run(None, feed)
        found[f"{kind}: decide"] = lambda i, gate=gate: gate.decide(frames[i % len(frames)], i / 15)
    return found


def alone(told: ort.NodeArg) -> Array:
    """Nothing, as a session wants it."""
    shape = [size if isinstance(size, int) else 1 for size in told.shape]
    return np.zeros(shape, {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64}.get(told.type, np.float32))


def others(folder: Path, random: np.random.Generator) -> Iterator[tuple[str, Callable[[int], object]]]:
    """A second of sound, a text of 64 words, a signal of 128 x 9, a feature map of 64 x 26 x 26."""
    made = {
        "audio": random.normal(0, 3000, (8, 8000)).astype(np.int16),
        "text": [np.frombuffer(" ".join(random.choice(list("abcdefgh"), 64)).encode(), np.uint8) for _ in range(8)],
        "signal": random.normal(0, 1, (8, 128, 9)).astype(np.float32),
        "map": random.normal(0, 1, (8, 64, 26, 26)).astype(np.float32),
    }
    certificate = load_filter(folder / "network.onnx")[0]
    for kind, values in made.items():
        path = folder / f"{kind}.onnx"
        save_alone(path, fit_modality(kind, list(values)), certificate)
        session, gate = load_filter(path)[1], FilterRuntime(path)
        feed = {each.name: alone(each) for each in session.get_inputs()}
        yield f"floor: {kind} session", lambda i, session=session, feed=feed: session.run(None, feed)
        yield f"{kind}: decide", lambda i, gate=gate, values=values: gate.decide(values[i % len(values)], 0.0)


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
        for name, call in others(Path(folder), random):
            table.add_row("", name, *(f"{value:.3f}" for value in times_ms(call)))
        for path in sorted(Path(folder).glob("*.onnx")):
            table.add_row("file", path.stem, f"{path.stat().st_size / 1000:.0f} KB", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
