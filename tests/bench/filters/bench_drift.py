"""A stem filter that learns on while it is at work, on a rendered day whose camera turns to infrared in the dark.

python tests/bench/filters/bench_drift.py [--stem stem.onnx] [--seeds 0 1 2] [--frames 3600] [--start 0.71]

The renderer's truth stands for the model. The day begins at midnight, so in infrared (`--start 0`: in the morning). The
filter is trained on the first tenth of the day, which is judged for nobody; then the same frames go through the file as
it is, and through the file with `update`, with the labels that a device has for nothing: of what it keeps, and of what
the audit draws. Accuracy is InFi's: only a needed frame that was skipped is an error, so a filter that keeps all has 1.
`not sent` is what is really saved: skipped, and not drawn either. `hindsight`: the rate at the one threshold for the
whole day that would have kept the accuracy.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import infilink
import numpy as np
from infilink.codec import encode_jpeg
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import Camera
from infilink.filters.gates.base import ModelOutput
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.local.learning_filter import LearningFilter
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.cost import ModelCost
from infilink.models.inputs.picture import PictureInput
from infilink.models.spec import ModelSpec
from infilink.models.stem.stem import Stem
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter
from infilink.traces.train_stem import train_stem
from infrared import InfraredStreet

SHARE = 0.1
ACCURACY = 0.9
STEPS_PER_S = 5
COUNT = OutputSpec(kind="count")
TRUTH = ModelSpec(name="truth", input=PictureInput(size=(64, 64)), output=COUNT)


class Run:
    """One gate on one day, with the audit beside it.

    Args:
        gate: the gate.
        audit: which share of what it skips is drawn.
        seed: of these draws.
    """

    def __init__(self, gate: FilterRuntime, audit: float, seed: int) -> None:
        self.gate = gate
        self.scores: list[float] = []
        self.kept: list[bool] = []
        self.drawn: list[bool] = []
        self.took_s = 0.0
        self._stretch = round(1.0 / audit)
        self._random = np.random.default_rng(seed)
        self._at = -1
        gate.substitute("truth", COUNT)

    def see(self, frame: Array, captured_s: float, needed: bool) -> None:
        """The next frame; what the models say of it is known if it is kept or drawn."""
        if len(self.kept) % self._stretch == 0:
            self._at = int(self._random.integers(self._stretch))
        drawn = len(self.kept) % self._stretch == self._at
        started = time.process_time()
        decision = self.gate.decide(frame, captured_s)
        if decision.learn is not None and (decision.keep or drawn):
            decision.learn({"truth": ModelOutput(np.asarray([float(needed)], np.float32), "")})
        self.took_s += time.process_time() - started
        self.scores.append(decision.score)
        self.kept.append(decision.keep)
        self.drawn.append(drawn and not decision.keep)


def frames_of(seed: int, frames: int, start: float, backdrop: Backdrop) -> Iterator[tuple[Array, bool, bool]]:
    """One frame per second of a day in fast motion, whether it is needed, and whether it is infrared."""
    street = InfraredStreet(seed, STEPS_PER_S, day_s=frames, start=start, backdrop=backdrop)
    for frame, truth in street.frames(frames, every=STEPS_PER_S):
        yield frame, truth.traffic != "free", street.infrared


def learn(day: Iterator[tuple[Array, bool, bool]], count: int, stem: Path, folder: Path) -> Path:
    """A filter of the day's first frames."""
    info = TraceInfo("drawn", 1.0, {"truth": TRUTH}, {"truth": ""}, {"truth": ModelCost(2**20, 0.02, 0.1)})
    with TraceWriter(folder / "first.trace", info) as writer:
        for i in range(count):
            frame, needed, _ = next(day)
            writer.append(i, float(i), encode_jpeg(frame), {"truth": np.asarray([float(needed)], np.float32)})
    with Trace(folder / "first.trace") as trace:
        train_filter(
            trace,
            models=["truth"],
            rule=parse_rule("value < 0.5"),
            accuracy=ACCURACY,
            out=folder / "filter.onnx",
            candidates=["stem"],
            stem=Stem(stem) if stem is not None else street_stem(trace, folder / "stem.onnx"),
            uncertified=True,
        )
    return folder / "filter.onnx"


def street_stem(trace: Trace, out: Path) -> Stem:
    """The first layers of the rendered street's own people model."""
    people = Path(infilink.__file__).parent / "examples" / "street" / "models" / "people.onnx"
    train_stem([trace], {"people": people}, out=out, named=True)
    return Stem(out)


def skill(needed: Array, accuracy: float, rate: float) -> float:
    """0 is skipping at random, 1 a filter that knows the truth, at that accuracy."""
    random = min(1.0, (1.0 - accuracy) / float(needed.mean()))
    oracle = min(1.0, 2.0 - float(needed.mean()) - accuracy)
    return (rate - random) / (oracle - random) if rate > 0 and oracle - random > 0.01 else 0.0


def judge(run: Run, needed: Array, infrared: Array) -> dict[str, float]:
    """What is in the table."""
    skipped = ~np.asarray(run.kept)
    lost = needed * skipped
    order = np.argsort(run.scores, kind="stable")
    accuracy, rate = float(1.0 - lost.mean()), float(skipped.mean())
    learnt = run.gate.learnt() if isinstance(run.gate, LearningFilter) else None
    return {
        "accuracy": accuracy,
        "in infrared": float(1.0 - lost[infrared].mean()),
        "in colour": float(1.0 - lost[~infrared].mean()),
        "rate": rate,
        "skill": skill(needed, accuracy, rate),
        "not sent": float((skipped & ~np.asarray(run.drawn)).mean()),
        "hindsight": float((np.cumsum(needed[order]) <= (1.0 - ACCURACY) * len(needed)).mean()),
        "learnt from": float(learnt.inputs if learnt else 0),
        "better": float(learnt.better if learnt else 0),
        "worse": float(learnt.worse if learnt else 0),
        "CPU s": run.took_s,
    }


def text(values: list[float]) -> str:
    """The mean over the seeds."""
    if max(values) > 1.5:
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f}" + (f" ±{np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stem", type=Path, help="what `infilink train stem` wrote; default: of the street's people model"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--frames", type=int, default=3600)
    parser.add_argument("--start", type=float, default=0.71, help="time of day of the first frame; 0.71 is midnight")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    backdrop = Backdrop(Camera())
    rows: dict[str, list[dict[str, float]]] = {}
    first = round(SHARE * options.frames)
    for seed in options.seeds:
        day = frames_of(100 + seed, options.frames, options.start, backdrop)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = learn(day, first, options.stem, folder)
            makers: dict[str, Callable[[], Run]] = {
                "as it was trained": lambda path=path, seed=seed: Run(FilterRuntime(path), 0.01, seed),
                "learning, audit .01": lambda path=path, seed=seed, folder=folder: Run(
                    LearningFilter(path, folder / "a.npz"), 0.01, seed
                ),
                "learning, audit .05": lambda path=path, seed=seed, folder=folder: Run(
                    LearningFilter(path, folder / "b.npz"), 0.05, seed
                ),
            }
            runs = {each: make() for each, make in makers.items()}
            needed, infrared = [], []
            for i, (frame, is_needed, is_infrared) in enumerate(day, start=first):
                needed.append(float(is_needed))
                infrared.append(is_infrared)
                for run in runs.values():
                    run.see(frame, float(i), is_needed)
            for each, run in runs.items():
                row = judge(run, np.asarray(needed), np.asarray(infrared))
                rows.setdefault(each, []).append(row)
                cells = " | ".join(f"{value:.3f}" for value in row.values())
                print(f"| {each} {seed} | {cells} |", file=sys.stderr, flush=True)
    names = list(rows["as it was trained"][0])
    print(f"| filter | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for each, found in rows.items():
        print(f"| {each} | {' | '.join(text([row[column] for row in found]) for column in names)} |")


if __name__ == "__main__":
    main()
