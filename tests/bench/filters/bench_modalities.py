"""SKIP filters on texts, sounds and signals (needs the data folder of tests/real); the labels stand for the model.

python tests/bench/filters/bench_modalities.py [--seeds 3]
"""

import argparse
import re
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.errors import InfilinkError
from infilink.filters.evaluate import evaluate_filter
from infilink.filters.gates import open_gate
from infilink.filters.rules import parse_rule
from infilink.filters.train import train_filter
from infilink.models import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.payload import pack
from infilink.process import ModelCost
from infilink.trace import Trace, TraceWriter
from infilink.trace_info import TraceInfo
from real.data import find_data

Labelled = list[tuple[Array, str]]
WALKS = ("climb_stairs", "descend_stairs", "walk")


def texts(path: Path, *, label_first: bool) -> Labelled:
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    pairs = [(row[1], row[0]) if label_first else (row[0], row[1]) for row in rows]
    return [(np.frombuffer(text.encode(), np.uint8), label) for text, label in pairs]


def digits(folder: Path) -> Labelled:
    found = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            found.append((np.frombuffer(file.readframes(file.getnframes()), "<i2"), path.name.split("_")[0]))
    return found


def motions(folder: Path) -> Iterator[tuple[str, Labelled]]:
    """By volunteer: windows of 4 s, half overlapping."""
    by: dict[str, Labelled] = {}
    for path in sorted(folder.rglob("*.txt")):
        steps = np.loadtxt(path, dtype=np.float32, ndmin=2)
        who = re.split(r"[-_]", path.stem)[-1]
        windows = [steps[i : i + 128] for i in range(0, max(1, len(steps) - 127), 64)]
        by.setdefault(who, []).extend((window, path.parent.name.lower()) for window in windows if len(window) >= 32)
    return iter(sorted(by.items()))


def write(path: Path, rows: Labelled, classes: tuple[str, ...]) -> Trace:
    spec = ModelSpec(name="h", output=OutputSpec(kind="label", classes=classes))
    info = TraceInfo("bench", 1.0, {"h": spec}, {"h": "labels"}, {"h": ModelCost(1 << 20, 0.02, 0.1)}, input="array")
    with TraceWriter(path, info) as writer:
        for index, (value, label) in enumerate(rows):
            output = np.asarray([float(name == label) for name in classes], np.float32)
            writer.append(index, float(index), pack(value), {"h": output})
    return Trace(path)


def shuffled(rows: Labelled, seed: int) -> Labelled:
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def workloads(data: Path) -> Iterator[tuple[str, str, str, Labelled, Labelled]]:
    """Name, modality, rule, what is learnt from, what is judged on."""
    sms = texts(data / "text" / "sms_spam.tsv", label_first=True)
    yield "SMS, not spam", "text", "label in (ham)", sms[:2600], sms[2600:]
    train = texts(data / "text" / "sst2_train.tsv", label_first=False)
    dev = texts(data / "text" / "sst2_dev.tsv", label_first=False)
    yield "sentiment, negative", "text", "label in (0)", shuffled(train, 0)[:6000], dev
    spoken = shuffled(digits(data / "audio" / "spoken_digits"), 0)
    yield "digits, 5 to 9", "audio", "label in (5, 6, 7, 8, 9)", spoken[:1500], spoken[1500:]
    yield "digits, not 0", "audio", "label not in (0)", spoken[:1500], spoken[1500:]
    people = list(motions(data / "sensor" / "wrist_motion"))
    half = (len(people) + 1) // 2
    learn, judge = ([row for _, rows in part for row in rows] for part in (people[:half], people[half:]))
    yield "motion, not walking", "signal", f"label not in ({', '.join(WALKS)})", shuffled(learn, 0), judge


def line(name: str, seed: int, asked: float, learnt: Trace, judged: Trace, modality: str, rule: str, out: Path) -> str:
    """Trains one filter, judges it on the other part, and says how that went."""
    try:
        done = train_filter(learnt, rule=parse_rule(rule), accuracy=asked, out=out, modality=modality, seed=seed)
    except InfilinkError as error:
        return f"| {name} | {seed} | {asked} | {str(error)[:160]} |"
    found = evaluate_filter(out, judged)
    gate, times = open_gate(out), []
    for value in judged.part(0, 200).inputs():
        started = time.perf_counter()
        gate.decide(value, 0.0)
        times.append(time.perf_counter() - started)
    cells = (
        name,
        seed,
        asked,
        f"{done.redundant:.2f}",
        f"{found.rate:.2f}",
        f"{found.accuracy:.3f}",
        "-" if found.skill is None else f"{found.skill:.2f}",
        "yes" if found.certified else "no",
        f"{done.seconds:.0f}",
        f"{np.median(times) * 1000:.2f}",
        f"{out.stat().st_size / 1000:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    print("| workload | seed | asked | redundant | rate | accuracy | skill | certified | s to train | ms | KB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, modality, rule, learn, judge in workloads(data):
        classes = tuple(sorted({label for _, label in learn + judge}))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            with write(folder / "l", learn, classes) as learnt, write(folder / "j", judge, classes) as judged:
                for seed in range(options.seeds):
                    for asked in (0.9, 0.95):
                        print(line(name, seed, asked, learnt, judged, modality, rule, folder / "f.onnx"), flush=True)


if __name__ == "__main__":
    main()
