"""What links reach where nothing heavy runs but the stem, or one model beside it, at several ages of the last output.

python tests/bench/links/bench_stem_links.py TRACE... --stem stem.onnx [--running yolox_nano] [--age 2 --age 4 --age 8]

The links are learnt and chosen on the first 60 % of each trace (`train_links` learns on 80 % of those), judged from
62 % on, on inputs whose last output is exactly so old; a pair of a trace and a model counts where there are eight. The
best free way is holding or the constant, whichever was better from 45 to 60 %.
"""

import argparse
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.table import STEM
from infilink.links.training.train import train_links
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from rich.console import Console
from rich.table import Table

AGES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
FREE_WAYS = ("constant", "held")
_LEAST = 8


@dataclass(frozen=True)
class Pair:
    """One model on one trace at one age: the mean agreement of every way.

    Attributes:
        trace: its name.
        target: the model that is answered for.
        age_s: how old its last output is.
        reached: by way: "constant", "held", "free" (the better of them before), "stem", and by what runs.
        origins: of the answers with the stem alone, the share that was linked.
    """

    trace: str
    target: str
    age_s: float
    reached: dict[str, float]
    linked: float


def measure(
    path: Path, stem: Path | None, *, running: str = "", ages_s: Sequence[float] = AGES_S, every: int = 1
) -> list[Pair]:
    """All pairs of one trace.

    Args:
        path: the trace.
        stem: what links read beside outputs; None: outputs only.
        running: a model that runs on every input; empty: none.
        ages_s: of last outputs.
        every: of the judged inputs each so many-th is.
    """
    with Trace(path) as trace, tempfile.TemporaryDirectory() as folder:
        count = len(trace)
        with trace.part(0, int(0.6 * count)) as learnt:
            train_links(learnt, out=Path(folder) / "links", stem=stem)
        graph = LinkGraph.load(Path(folder) / "links")
        features = None
        if stem is not None:
            looking = Stem(stem)
            features = np.stack([looking.see(frame).features for frame in trace.frames()])
        outputs = {name: trace.outputs(name) for name in trace.models}
        step_s = float(np.median(np.diff(trace.captured_s)))
        replayed = _Replayed(graph, outputs, trace.captured_s, features)
        found = []
        for target in trace.models:
            for age_s in ages_s:
                lag = max(1, round(age_s / step_s))
                chosen_on = np.arange(int(0.45 * count) + lag, int(0.6 * count))
                judged = np.arange(int(0.62 * count) + min(lag, int(0.1 * count)), count)
                judged = judged[judged >= lag]
                if min(len(chosen_on), len(judged)) >= _LEAST:
                    found.append(_pair(replayed, path.stem, target, lag, age_s, chosen_on, judged[::every], running))
        return found


@dataclass(frozen=True)
class _Replayed:
    graph: LinkGraph
    outputs: dict[str, list[Array]]
    captured_s: Array
    features: Array | None

    def linked(self, target: str, inputs: Array, lag: int, sources: tuple[str, ...]) -> tuple[float, float]:
        """Mean agreement of the answers, and the share that was linked, where just `sources` ran."""
        spec, values = self.graph.models[target].output, self.outputs[target]
        agreements, linked = [], 0
        for row in inputs.tolist():
            answer = self.graph.predict(
                target,
                {name: self.outputs[name][row] for name in sources if name != STEM},
                last=values[row - lag],
                age_s=float(self.captured_s[row] - self.captured_s[row - lag]),
                then={name: self.outputs[name][row - lag] for name in sources if name != STEM},
                features=self._seen(row, sources),
                features_then=self._seen(row - lag, sources),
            )
            agreements.append(spec.agreement(answer.value, values[row]))
            linked += answer.origin == "linked"
        return float(np.mean(agreements)), linked / len(inputs)

    def _seen(self, row: int, sources: tuple[str, ...]) -> Array | None:
        reads = STEM in sources and self.features is not None and self.graph.stem is not None
        return self.features[row] if reads and self.features is not None else None

    def free(self, target: str, inputs: Array, lag: int) -> dict[str, float]:
        """Mean agreement of the constant and of holding."""
        spec, values, constant = self.graph.models[target].output, self.outputs[target], self.graph.constants[target]
        pairs = [(values[row - lag], values[row]) for row in inputs.tolist()]
        return {
            "constant": float(np.mean([spec.agreement(constant, now) for _, now in pairs])),
            "held": float(np.mean([spec.agreement(then, now) for then, now in pairs])),
        }


def _pair(
    replayed: _Replayed,
    name: str,
    target: str,
    lag: int,
    age_s: float,
    chosen_on: Array,
    judged: Array,
    running: str,
) -> Pair:
    before = replayed.free(target, chosen_on, lag)
    reached = replayed.free(target, judged, lag)
    reached["free"] = reached[max(before, key=lambda way: before[way])]
    reached["stem"], linked = replayed.linked(target, judged, lag, (STEM,))
    if running and target != running:
        reached[running], _ = replayed.linked(target, judged, lag, (running,))
        reached[f"{running} + stem"], _ = replayed.linked(target, judged, lag, (running, STEM))
    return Pair(name, target, age_s, reached, linked)


def show(console: Console, pairs: Iterable[Pair], title: str) -> None:
    """A row an age; with a running model, its columns and those beside them are of the other models."""
    found = list(pairs)
    ways = list(dict.fromkeys(way for pair in found for way in pair.reached))
    table = Table(title=title)
    for column in ("age", "pairs", *ways, "linked"):
        table.add_column(column, justify="right")
    for age_s in sorted({pair.age_s for pair in found}):
        here = [pair for pair in found if pair.age_s == age_s]
        cells = [f"{np.mean([pair.reached[way] for pair in here if way in pair.reached]):.3f}" for way in ways]
        table.add_row(f"{age_s:g} s", str(len(here)), *cells, f"{np.mean([pair.linked for pair in here]):.2f}")
    console.print(table)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", type=Path, nargs="*")
    parser.add_argument("--stem", type=Path)
    parser.add_argument("--running", default="")
    parser.add_argument("--age", type=float, action="append", default=[])
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.traces:
        print("skipped: give traces, and a --stem (bench_stem.py --only links records some itself)")
        return
    console, ages_s = Console(), tuple(arguments.age) or AGES_S
    found = []
    for path in arguments.traces:
        found += measure(path, arguments.stem, running=arguments.running, ages_s=ages_s, every=arguments.every)
    show(console, found, "all models")
    if arguments.running:
        others = [pair for pair in found if pair.target != arguments.running]
        show(console, others, f"where {arguments.running} runs: the other models")


if __name__ == "__main__":
    main()
