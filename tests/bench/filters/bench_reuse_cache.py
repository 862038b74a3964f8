"""What a look-up in the result cache costs, and what learned reuse brings on real inputs beside what is free.

python tests/bench/filters/bench_reuse_cache.py [--seeds 3] [--skip-real] [--only NAME] [--stem FILE [--folder KEPT]]

The second part needs the data folder of tests/real; the labels stand for the model. The third, with a stem, has real
clips: what a detector counts is reused, by the key of an encoder, and by the better of that and one from the stem.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.errors import InfilinkError
from infilink.filters.reuse.cache import ResultCache
from infilink.filters.reuse.evaluate import evaluate_reuse
from infilink.filters.reuse.gate import ReuseRuntime
from infilink.filters.reuse.index import L1Index
from infilink.filters.reuse.store import CacheSettings, Entry
from infilink.filters.reuse.train import train_reuse
from infilink.models.stem.stem import Stem
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace
from real.data import find_data
from workloads import LEARNT, MODEL, Labelled, digits, motions, recorded, shuffled, texts, write

ROUNDS = 3000
DIMS = 32
NEIGHBOURS = 10
FREE = ("majority", "last value", "random", "nearest raw input", "oracle")


def times_ms(works: Sequence[Callable[[Array], object]], queries: Array) -> Array:
    """Median and 99th percentile of `ROUNDS` calls each, in turns, after some to warm up: (works, 2)."""
    found = np.empty((ROUNDS + 50, len(works)))
    for i, row in enumerate(found):
        for j, work in enumerate(works):
            started = time.perf_counter()
            work(queries[i % len(queries)])
            row[j] = (time.perf_counter() - started) * 1e3
    return np.percentile(found[50:], [50, 99], axis=0).T


def clustered(count: int, random: np.random.Generator) -> Array:
    """Embeddings as a network makes them: some hundred groups, fewer directions than dimensions."""
    centres, directions = random.normal(0, 3, (200, 6)), random.normal(0, 1, (6, DIMS))
    inner = centres[random.integers(0, 200, count)] + random.normal(0, 0.6, (count, 6))
    return (inner @ directions + random.normal(0, 0.05, (count, DIMS))).astype(np.float32)


def bench_lookup() -> None:
    """Live look-ups, hits and misses, beside the bare distance computation over the same matrix."""
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    output = OutputSpec(kind="label", classes=tuple("abcdefgh"))
    print("| entries | what | p50 ms | p99 ms | of bare |\n|---|---|---|---|---|")
    for entries in (1000, 10_000):
        vectors, queries = clustered(entries, random), clustered(500, random)
        cache = ResultCache(output, dims=DIMS, version="v", gate=8.0, settings=CacheSettings(entries, NEIGHBOURS))
        results = np.eye(8, dtype=np.float32)
        cache.restore([Entry(vector, results[i % 8 if i % 3 else 0], 0.0) for i, vector in enumerate(vectors)])
        held = np.stack([entry.embedding for entry in cache.entries()])
        compare(entries, "cache look-up", lambda query, cache=cache: cache.lookup(query, 1.0), held, queries)
    vectors, queries = clustered(100_000, random), clustered(500, random)
    index = L1Index(DIMS, len(vectors))
    for row, vector in enumerate(vectors):
        index.put(row, vector)
    compare(len(vectors), "index, approximate", lambda query: index.nearest(query, NEIGHBOURS), vectors, queries)


def compare(entries: int, what: str, work: Callable[[Array], object], held: Array, queries: Array) -> None:
    """Two rows of the table, measured in turns, so that a busy machine is busy for both."""

    def bare(query: Array) -> object:
        return cv2.batchDistance(query[None], held, cv2.CV_32F, normType=cv2.NORM_L1, K=NEIGHBOURS)

    floor, found = times_ms((bare, work), queries)
    print(f"| {entries} | bare cv2.batchDistance | {floor[0]:.3f} | {floor[1]:.3f} | 1 |")
    print(f"| {entries} | {what} | {found[0]:.3f} | {found[1]:.3f} | {found[0] / floor[0]:.2f} |", flush=True)


def workloads(data: Path) -> Iterator[tuple[str, str, Labelled, Labelled]]:
    """Name, modality, what is learnt from, what is judged on."""
    sms = texts(data / "text" / "sms_spam.tsv", label_first=True)
    yield "SMS", "text", sms[:4000], sms[4000:]
    learn, judge = motions(data / "sensor" / "wrist_motion")
    yield "motion, later recordings", "signal", shuffled(learn, 0), shuffled(judge, 1)
    spoken = shuffled(digits(data / "audio" / "spoken_digits"), 0)
    half = len(spoken) * 3 // 4
    yield "digits, all speakers", "audio", spoken[:half], spoken[half:]


def live(path: Path, judged: Trace) -> tuple[float, float]:
    """The runtime over inputs it has not seen, its cache empty at first: rate and accuracy."""
    runtime, reused, right = ReuseRuntime(path), 0, 0
    outputs = judged.outputs("h")
    for at, (value, output) in enumerate(zip(judged.inputs(), outputs, strict=True)):
        decision = runtime.decide(value, float(at))
        if decision.ticket is not None:
            runtime.learn(decision.ticket, output, float(at))
        elif decision.answer is not None:
            reused += 1
            right += int(np.argmax(decision.answer) == np.argmax(output))
    return reused / len(outputs), 1.0 - (reused - right) / len(outputs)


def line(name: str, seed: int, asked: float, learnt: Trace, judged: Trace, modality: str, out: Path) -> str:
    """Trains on one part, runs live on the other, and says how that went."""
    try:
        done = train_reuse(learnt, model="h", accuracy=asked, out=out, modality=modality, seed=seed)
    except InfilinkError as error:
        return f"| {name} | {seed} | {asked} | {str(error)[-400:]} |"
    rate, accuracy = live(out, judged)
    found = done.spec.competitors
    cells = (
        name,
        seed,
        asked,
        f"{rate:.2f}",
        f"{accuracy:.3f}",
        f"{done.spec.certificate.rate:.2f}",
        f"{found['learned'].rate:.2f}",
        *(f"{found[free].rate:.2f}" for free in FREE),
        f"{done.spec.theta:g}",
        f"{done.decide_s * 1e3:.2f}",
        f"{done.seconds:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def bench_pictures(stem: Stem, clips: Sequence[str], folder: Path, accuracies: list[float]) -> None:
    """Real clips: a part learnt from, the rest judged with an empty cache; with a stem and without."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    heads = ("learned", *FREE, "ms", "s to train")
    print(f"\n| clip | key | asked | live rate | live accuracy | {' | '.join(heads)} |")
    print("|---" * (5 + len(heads)) + "|")
    for clip in clips:
        whole = Trace(recorded(data, folder, clip, fps=5.0))
        spec = whole.info.models[MODEL]
        counted = spec.output.model_copy(update={"measure": "counts"})
        whole.info.models[MODEL] = spec.model_copy(update={"output": counted})
        cut = round(LEARNT * len(whole))
        for asked in accuracies:
            for name, used in (("encoder", None), ("the better", stem)):
                print(picture_line(f"{clip} | {name}", asked, whole.part(0, cut), whole.part(cut, len(whole)), used))


def picture_line(name: str, asked: float, learnt: Trace, judged: Trace, stem: Stem | None) -> str:
    """One row of it."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "reuse.onnx"
        try:
            done = train_reuse(
                learnt, model=MODEL, accuracy=asked, out=out, modality="image", stem=stem, uncertified=True
            )
        except InfilinkError as error:
            return f"| {name} | {asked} | {str(error)[-200:]} |"
        found = evaluate_reuse(out, judged)
    rates = [f"{done.spec.competitors[each].rate:.2f}" for each in ("learned", *FREE)]
    name += "" if done.spec.stem is None else " (stem)"
    cells = (f"{found.rate:.2f}", f"{found.accuracy:.3f}", *rates, f"{done.decide_s * 1e3:.2f}", f"{done.seconds:.0f}")
    return f"| {name} | {asked} | " + " | ".join(cells) + " |"


def bench_real(seeds: int, accuracies: list[float], only: str) -> None:
    """Rates at an accuracy; those from "learned" on are picked with the results known, on the calibration part."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    heads = ("learned", *FREE, "theta", "ms", "s to train")
    print(f"\n| inputs | seed | asked | live rate | live accuracy | certified rate | {' | '.join(heads)} |")
    print("|---" * (6 + len(heads)) + "|")
    for name, modality, learn, judge in workloads(data):
        if only not in name:
            continue
        classes = tuple(sorted({label for _, label in learn + judge}))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            with write(folder / "l", learn, classes) as learnt, write(folder / "j", judge, classes) as judged:
                for seed in range(seeds):
                    for asked in accuracies:
                        print(line(name, seed, asked, learnt, judged, modality, folder / "f.onnx"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--accuracy", type=float, nargs="+", default=[0.9])
    parser.add_argument("--skip-real", action="store_true")
    parser.add_argument("--only", default="", help="the real inputs with this in their name, and no look-ups")
    parser.add_argument("--stem", type=Path, help="what `infilink train stem` wrote: real clips, and nothing else")
    parser.add_argument("--clips", nargs="*", default=["lobby_person", "shop_produce", "traffic_road"])
    parser.add_argument("--folder", type=Path, default=Path("."), help="where their recordings are kept")
    options = parser.parse_args()
    if options.stem is not None:
        bench_pictures(Stem(options.stem), options.clips, options.folder, options.accuracy)
        return
    if not options.only:
        bench_lookup()
    if not options.skip_real:
        bench_real(options.seeds, options.accuracy, options.only)


if __name__ == "__main__":
    main()
