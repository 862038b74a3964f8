"""REUSE on streams: who holds an answer the longest at 90 % agreement of counts, on real clips at their own frame rate.

python tests/bench/filters/bench_reuse.py [--seeds 3] [--clips NAME ...] [--candidates NAME ...] [--folder KEPT]
    [--stem FILE]

Learnt on the first 60 % of a clip (the last third of that calibrates and chooses), judged on the rest, in closed loop.
Each column is the share of frames dropped by the best threshold on the judged part; "ours" is what is trained by
default. "Way": how far ours is on the way from the best of every K-th, difference and majority to the oracle. With a
stem (`infilink train stem`), "stem used" is the share of the seeds in which "blend" has chosen to read it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.modalities.stream import LOW_LEVEL
from infilink.filters.rules.parser import Unchanged
from infilink.filters.training.candidates import Candidate, LowLevelCandidate, ScalarCandidate
from infilink.filters.training.contest import STEM, UNCHANGED
from infilink.filters.training.entrants import Entrant
from infilink.filters.training.graphs import session_of
from infilink.filters.training.losses import Losses
from infilink.filters.training.replay import LONGEST_S, Replay
from infilink.filters.training.staleness import StalenessCandidate
from infilink.filters.training.stem_staleness import StemStalenessCandidate
from infilink.filters.training.stem_view import StemView
from infilink.filters.training.sweep import Bounds, levels, rate_at, sweep
from infilink.filters.training.temporal import NetworkCandidate
from infilink.filters.training.train import FilterTrainer
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace
from real.data import find_data
from workloads import LEARNT, MODEL, recorded

CLIPS = (
    "lobby_person",
    "shop_produce",
    "highway_dense",
    "traffic_road",
    "campus_pedestrians",
    "table_bottles",
    "parking_cars",
)
RULE = Unchanged(1.0)
ACCURACY = 0.9
# Where answers change with every other frame, few of the usual 60 are low enough.
JUDGED_LEVELS = 240
NAMES = tuple(name for name in UNCHANGED if name != "random")


def opened(data: Path, folder: Path, clip: str, start: float, stop: float) -> Trace:
    """A part of a clip, whose detector counts: two outputs agree if they have as many boxes of each class."""
    whole = Trace(recorded(data, folder, clip, fps=1000.0))
    part = whole.part(round(start * len(whole)), round(stop * len(whole)))
    spec = part.info.models[MODEL]
    counted = spec.output.model_copy(update={"measure": "counts"})
    part.info.models[MODEL] = spec.model_copy(update={"output": counted})
    return part


def again(each: Entrant, replay: Replay, judged: Trace, stem: Stem | None) -> Candidate:
    """The same candidate on the judged part."""
    name = each.candidate.name
    if isinstance(each.candidate, StemStalenessCandidate) and stem is not None:
        return each.candidate.on(replay, StemView.of(stem, judged))
    if name in LOW_LEVEL:
        return LowLevelCandidate(name, replay)
    if isinstance(each.candidate, StalenessCandidate):
        return StalenessCandidate(session_of(each.graph), each.candidate.rate, replay)
    if name == "network":
        return NetworkCandidate(session_of(each.graph), replay)
    return ScalarCandidate(name, replay)


def default_of(made: FilterTrainer) -> FilterTrainer:
    """Of what competed, what competes by default."""
    names = made.contest.names([])
    at = [i for i, each in enumerate(made.entered) if each.candidate.name in names]
    parts = {name: [getattr(made, name)[i] for i in at] for name in ("entered", "sweeps", "costs_s")}
    return replace(made, **parts)


def measure(
    clip: str, seed: int, data: Path, folder: Path, names: tuple[str, ...], stem: Stem | None
) -> dict[str, Any]:
    """One row: every candidate's rate on the judged part, and which one was chosen before."""
    learnt, judged = opened(data, folder, clip, 0.0, LEARNT), opened(data, folder, clip, LEARNT, 1.0)
    started = time.perf_counter()
    made = FilterTrainer.compete(
        learnt, models=(MODEL,), rule=RULE, accuracy=ACCURACY, candidates=names, stem=stem, seed=seed
    )
    trained_s = time.perf_counter() - started
    with_stem = [each.candidate.name for each in made.entered if each.stem is not None]
    row: dict[str, Any] = {
        "with_stem": with_stem,
        "clip": clip,
        "seed": seed,
        "trained_s": round(trained_s, 1),
        "inputs": len(judged),
    }
    out = folder / "reuse.onnx"
    try:
        done = default_of(made).finish(out, accuracy=ACCURACY, uncertified=True)
        found = evaluate_filter(out, judged)
        row |= {"ours": done.spec.kind, "certified": done.spec.certificate.certified}
        row |= {"runs": done.spec.certificate.runs}
        row |= {"deployed": found.rate, "kept": found.accuracy, "contract": found.contract}
        row |= {"events": found.events.events, "found": found.events.found}
        same = [each.events.found for each in found.baselines if abs(each.rate - found.rate) < 0.02]
        row |= {"free_found": max(same, default=0)}
    except InvalidInput as error:
        row |= {"ours": "refused", "refused": str(error)[:200]}
    losses = Losses(judged, (MODEL,), RULE)
    replay = Replay(judged, pairwise=True)
    count = len(judged)
    for each in made.entered:
        candidate = again(each, replay, judged, stem)
        run = sweep(
            candidate,
            levels(candidate, replay, start=0, stop=count, count=JUDGED_LEVELS),
            replay=replay,
            losses=losses,
            start=0,
            stop=count,
            longest_s=LONGEST_S,
        )
        row[each.candidate.name] = rate_at(run, ACCURACY)
    bounds = Bounds.of(losses, replay, 0, count, ACCURACY)
    current = np.arange(1, count)
    spec = judged.models[MODEL].output
    before = spec.compact(learnt.outputs(MODEL))
    after = spec.compact(judged.outputs(MODEL))
    assert before is not None and after is not None
    kinds, often = np.unique(before, axis=0, return_counts=True)
    right = float((after == kinds[np.argmax(often)]).all(axis=1).mean())
    row["majority"] = 1.0 if right >= ACCURACY else (1.0 - ACCURACY) / (1.0 - right)
    row |= {"every": bounds.every, "oracle": bounds.optimal, "changes": float(losses.of(current - 1, current).mean())}
    return row


def table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    """What the rows say, as markdown."""
    head = (
        "clip",
        "changes",
        "ours (chosen)",
        *names,
        "stem used",
        "every K-th",
        "majority",
        "oracle",
        "way",
        "deployed",
        "kept",
    )
    head = (*head, "certified", "runs", "verdicts", "events", "free's events")
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    groups = defaultdict(list)
    for row in rows:
        groups[row["clip"]].append(row)
    ways = []
    for clip, group in groups.items():
        good = [row for row in group if row["ours"] != "refused"]
        mean = {key: np.mean([row[key] for row in group]) for key in ("changes", *names, "every", "majority", "oracle")}
        ours = np.mean([row[row["ours"]] if row["ours"] != "refused" else 0.0 for row in group])
        free = max(mean["every"], mean["difference"], mean["majority"])
        way = (ours - free) / (mean["oracle"] - free) if mean["oracle"] - free > 0.005 else float("nan")
        ways.append(way)
        chosen = "/".join(dict.fromkeys(row["ours"] for row in group))
        deployed = f"{np.mean([row['deployed'] for row in good]):.2f}" if good else "-"
        kept = f"{np.mean([row['kept'] for row in good]):.3f}" if good else "-"
        used = np.mean(["blend" in row["with_stem"] for row in group])
        cells = [
            clip,
            f"{mean['changes']:.2f}",
            f"{ours:.2f} ({chosen})",
            *(f"{mean[name]:.2f}" for name in names),
            f"{used:.1f}",
        ]
        cells += [f"{mean[key]:.2f}" for key in ("every", "majority", "oracle")]
        proof = [f"{sum(row['certified'] for row in good)}/{len(group)}"]
        proof += [f"{np.mean([row['runs'] for row in good]):.0f}"] if good else ["-"]
        proof.append(", ".join(dict.fromkeys(row["contract"] for row in good)) or "-")
        proof += [_events(good, key) for key in ("found", "free_found")]
        yield "| " + " | ".join([*cells, f"{way:.2f}", deployed, kept, *proof]) + " |"
    certified = sum(row.get("certified", False) for row in rows)
    yield f"\nMean way: {np.nanmean(ways):.2f}; certified {certified} of {len(rows)}."


def _events(rows: list[dict[str, Any]], key: str) -> str:
    """How many of how many events, mean of the seeds."""
    return f"{np.mean([row[key] for row in rows]):.1f} of {rows[0]['events']}" if rows else "-"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clips", nargs="*", default=list(CLIPS))
    parser.add_argument("--candidates", nargs="*", choices=NAMES, help="difference among them; default: all")
    parser.add_argument("--stem", type=Path, help="what `infilink train stem` wrote; default: none")
    parser.add_argument("--folder", type=Path, help="where recordings and rows are kept; default: a temporary one")
    options = parser.parse_args()
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        stem = None if options.stem is None else Stem(options.stem)
        there = tuple(name for name in NAMES if stem is not None or name != STEM)
        rows, names = [], tuple(options.candidates or there)
        for clip in options.clips:
            for seed in range(options.seeds):
                rows.append(measure(clip, seed, data, folder, names, stem))
                with (folder / "rows.jsonl").open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                print(f"{clip}, seed {seed}: {rows[-1]['trained_s']:.0f} s", file=sys.stderr, flush=True)
        print("\n".join(table(rows, names)))


if __name__ == "__main__":
    main()
