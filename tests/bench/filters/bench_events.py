"""Gates judged by the events that they find: rendered days, and real clips with at least five judged events.

python tests/bench/filters/bench_events.py [--seeds 2] [--days 2] [--only NAME] [--folder KEPT]

Rendered days: a street camera at 1 frame a second, in days of 5200 s; the first `--days` are learnt from, the next one
is judged. The models are the ground truth (boxes, and whether cars are on the carriageway), for the seven models of the
street would take hours. Real clips: `yolox_nano` at 10 frames a second, the first 60 % learnt from. Every threshold,
ours and the free gates', is chosen on what is learnt from; nothing is chosen on what is judged.

An event is found by an input that is sent while it lasts. False minutes are of the answers that stand in between: for
the free gates the last one is held.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.examples.street.dataset import true_boxes
from infilink.examples.street.street import Street
from infilink.examples.street.truth import CLASSES, TRAFFIC
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.candidates import Candidate
from infilink.filters.training.contest import Contest
from infilink.filters.training.entrants import Entrant
from infilink.filters.training.event_gates import FlipCandidate, KeptCandidate, scores_alone
from infilink.filters.training.event_selection import (
    EventJudged,
    EventSweep,
    EventTarget,
    Watch,
    best_of,
    confidence_of,
    judge_sweep,
)
from infilink.filters.training.free_gates import keep_changed
from infilink.filters.training.graphs import session_of
from infilink.filters.training.losses import Losses
from infilink.filters.training.replay import Replay
from infilink.filters.training.staleness import StalenessCandidate
from infilink.filters.training.sweep import references
from infilink.filters.training.temporal import NetworkCandidate
from infilink.filters.training.train_events import split_by_events, sweep_events
from infilink.filters.training.workload import Split, Workload
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.events import delays, distinct, events_of, score_events
from infilink.traces.trace import Trace, TraceInfo, TraceWriter
from real.data import find_data
from workloads import LEARNT, MODEL, recorded

RATES = (0.02, 0.05, 0.1, 0.2)
TARGET = EventTarget(0.95)
STEPS_PER_S, EVERY, DAY_S, SIZE, QUALITY = 2.0, 2, 5200.0, (224, 126), 85
STREET_RULES = {
    "person": ("boxes", "count(person) == 0"),
    "cyclist": ("boxes", "count(cyclist) == 0"),
    "cars on the road": ("traffic", "label in (free)"),
}
CLIPS = (
    "lobby_person",
    "shop_produce",
    "shop_aisle",
    "parking_cars",
    "traffic_road",
    "table_bottles",
    "campus_pedestrians",
    "highway_dense",
    "highway_hd",
    "mall_floor",
    "motorway_grey",
    "night_billboards",
)
CLIP_RULES = ("count(person) == 0", "count(car, bus, truck) == 0", "count(truck) == 0", "count(bottle) == 0")
LEAST_EVENTS = 5


@dataclass(frozen=True)
class Load:
    """What is learnt from and what is judged, and what the free gates send of both."""

    name: str
    learnt: Workload
    judged: Workload
    free: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def render_day(path: Path, seed: int, day: int, days: int = 1) -> Path:
    """Some simulated days of the rendered street, with the ground truth as its models."""
    if path.exists():
        return path
    outputs = {"boxes": OutputSpec(kind="boxes", classes=CLASSES), "traffic": OutputSpec(kind="label", classes=TRAFFIC)}
    specs = {name: ModelSpec(name=name, output=output) for name, output in outputs.items()}
    cost = ModelCost(50 << 20, 0.02, 0.1)
    info = TraceInfo(
        f"street {seed}", STEPS_PER_S / EVERY, specs, dict.fromkeys(specs, "truth"), dict.fromkeys(specs, cost)
    )
    street = Street(seed, STEPS_PER_S, day_s=DAY_S, start=0.0)
    for _ in range(round(day * DAY_S * STEPS_PER_S)):
        street.advance()
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with TraceWriter(part, info) as writer:
        for index, (frame, truth) in enumerate(street.frames(round(days * DAY_S * STEPS_PER_S / EVERY), EVERY)):
            small = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA)
            said = {
                "boxes": true_boxes(truth, CLASSES),
                "traffic": np.eye(3, dtype=np.float32)[TRAFFIC.index(truth.traffic)],
            }
            writer.append(index, truth.time_s, encode_jpeg(small, QUALITY), said)
    part.rename(path)
    return path


def loads(folder: Path, seeds: Sequence[int], days: int, only: str) -> Iterator[Load]:
    """All workloads, each part's pictures read once and shared by its rules."""
    for seed in seeds:
        names = {name: f"street {seed}, {name}" for name in STREET_RULES if only in f"street {seed}, {name}"}
        if names:
            learnt = Trace(render_day(folder / f"street{seed}_{days}.learnt", seed, 0, days))
            judged = Trace(render_day(folder / f"street{seed}_{days}.judged", seed, days))
            replays = Replay(learnt, pairwise=False), Replay(judged, pairwise=False)
            free = kept_free(replays[0]), kept_free(replays[1])
            for name, shown in names.items():
                model, rule = STREET_RULES[name]
                parts = workload(learnt, replays[0], model, rule), workload(judged, replays[1], model, rule)
                yield Load(shown, *parts, free)
    data = find_data()
    if data is None:
        print("real clips skipped: no data folder (set INFILINK_DATA)", file=sys.stderr)
        return
    for clip in (clip for clip in CLIPS if only in clip):
        whole = Trace(recorded(data, folder, clip))
        cut = round(LEARNT * len(whole))
        parts = whole.part(0, cut), whole.part(cut, len(whole))
        counts = [rule for rule in CLIP_RULES if min(event_counts(part, rule) for part in parts) >= LEAST_EVENTS]
        if counts:
            replays = Replay(parts[0], pairwise=False), Replay(parts[1], pairwise=False)
            free = kept_free(replays[0]), kept_free(replays[1])
            for rule in counts:
                learnt, judged = (workload(*each, MODEL, rule) for each in zip(parts, replays, strict=True))
                yield Load(f"{clip}, {rule}", learnt, judged, free)


def event_counts(trace: Trace, rule: str) -> int:
    """How many events a part has."""
    truth = Losses(trace, (MODEL,), parse_rule(rule)).truth
    return sum(len(events_of(what, there, trace.captured_s)) for what, there in truth.items())


def workload(trace: Trace, replay: Replay, model: str, rule: str) -> Workload:
    """A trace as what a contest is for."""
    losses = Losses(trace, (model,), parse_rule(rule))
    try:
        split = split_by_events(trace, losses.truth)
    except InvalidInput:
        split = Split(0, 0, len(trace))
    return Workload(trace, losses, split, replay)


FREE: dict[str, np.ndarray] = {
    "every K-th": np.unique(np.append(1, np.geomspace(1, 3000, 100).round())) - 0.5,
    "random": 1.0 - np.geomspace(1.0, 1e-3, 80),
    "background": np.append(-1.0, np.geomspace(1e-4, 0.5, 80)),
    "difference to previous": np.append(-1.0, np.geomspace(1e-4, 0.5, 80)),
    "difference to last kept": np.append(-1.0, np.geomspace(1e-4, 0.5, 60)),
}
"""The thresholds that are tried of every free gate, the most careful first; they hang on no inputs."""


def kept_free(replay: Replay) -> dict[str, np.ndarray]:
    """What every free gate sends of a part, per threshold, whatever the rule."""
    inputs = len(replay)
    alone = {
        "random": np.random.default_rng(0).random(inputs),
        "background": replay.column("background"),
        "difference to previous": replay.column("difference"),
    }
    found = {name: scores > FREE[name][:, None] for name, scores in alone.items()}
    found["every K-th"] = np.arange(inputs) % np.ceil(FREE["every K-th"])[:, None] == 0
    name = "difference to last kept"
    found[name] = np.stack([keep_changed(replay.pictures, threshold) for threshold in FREE[name]])
    for kept in found.values():
        kept[:, 0] = True
    return found


def kept_by(candidate: Candidate, threshold: float, work: Workload) -> np.ndarray:
    """What is sent of a whole part: bool (inputs,)."""
    stop = len(work.trace)
    replay = getattr(candidate, "replay", work.stream)
    last = references(candidate, np.asarray([threshold]), replay=replay, start=0, stop=stop)
    return np.asarray(last[0] == np.arange(stop))


def again(each: Entrant, work: Workload) -> Candidate:
    """What was learnt, over the judged part: by the very graph of its file."""
    candidate, replay = each.candidate, work.stream
    if isinstance(candidate, FlipCandidate):
        network = NetworkCandidate(session_of(each.graph), replay)
        scored = replace(work, split=Split(0, 0, len(work.trace)))
        states = scores_alone(network, scored, start=0)
        return FlipCandidate(states, replay.captured_s, candidate.weights)
    if isinstance(candidate, StalenessCandidate):
        return StalenessCandidate(session_of(each.graph), candidate.rate, replay.beside_kept())
    assert isinstance(candidate, KeptCandidate)
    scalar = {"kept-blocks": "top difference", "kept-difference": "difference", "age": "age"}[candidate.name]
    return KeptCandidate(candidate.name, scalar, replay.beside_kept())


def judge(name: str, kept: np.ndarray, work: Workload) -> dict[str, Any]:
    """What is found of the judged part by what is sent of it; in between the last answer is held."""
    truth, captured_s = work.losses.truth, work.trace.captured_s
    events = {what: events_of(what, there, captured_s) for what, there in truth.items()}
    last = np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))
    held = score_events(events, truth, {what: there[last] for what, there in truth.items()}, captured_s)
    late_s = delays(distinct(events), {what: there & kept for what, there in truth.items()}, captured_s)
    return {
        "gate": name,
        "sent": float(kept.mean()),
        "events": len(late_s),
        "recall": float(np.isfinite(late_s).mean()),
        "within 2 s": float((late_s <= 2.0).mean()),
        "delay": float(np.quantile(late_s, 0.5, method="inverted_cdf")),
        "false minutes": held.false_minutes,
        "f1": held.f1,
    }


def measure(load: Load) -> Iterator[dict[str, Any]]:
    """One row per gate and rate, and one per gate at the recall that is asked for."""
    learnt, judged = load.learnt, load.judged
    began = time.process_time()
    entered = Contest(learnt, events=True).enter()
    sweeps = [sweep_events(each.candidate, learnt, TARGET, learnt=each.learnt) for each in entered]
    trained_s = time.process_time() - began
    row = {"workload": load.name, "inputs": [len(learnt.trace), len(judged.trace)], "cpu_s": round(trained_s)}
    row["calibrating events"] = [len(sweep.watch.events) for sweep in sweeps]
    at_work = [again(each, judged) for each in entered]

    def run(index: int, threshold: float) -> np.ndarray:
        return kept_by(at_work[index], threshold, judged)

    for rate in RATES:
        index, threshold = best_at(sweeps, rate)
        found = judge("ours", run(index, threshold), judged)
        yield {**row, **found, "asked": f"{rate:g} sent", "by": entered[index].candidate.name}
    best = best_of([judge_sweep(sweep, TARGET, confidence=confidence_of(len(sweeps))) for sweep in sweeps])
    index = sweeps.index(best.sweep)
    found = judge("ours", run(index, threshold_of(best)), judged)
    yield {**row, **found, "asked": "recall", "by": best.sweep.name, "certified": best.certified}
    watch = Watch.of(learnt.losses.truth, learnt.trace.captured_s, start=0, stop=len(learnt.trace))
    for name, thresholds in FREE.items():
        sweep = EventSweep(name, thresholds, load.free[0][name], watch)
        kept = load.free[1][name]
        for rate in RATES:
            yield {**row, **judge(name, kept[nearest(sweep, rate)], judged), "asked": f"{rate:g} sent"}
        chosen = judge_sweep(sweep, TARGET, confidence=confidence_of(1))
        yield {**row, **judge(name, kept[chosen.best], judged), "asked": "recall", "certified": chosen.certified}


def threshold_of(judged: EventJudged) -> float:
    """The threshold that was chosen."""
    return float(judged.sweep.thresholds[judged.best])


def nearest(sweep: EventSweep, rate: float) -> int:
    """The threshold whose send rate on what is learnt from is nearest, as a ratio."""
    return int(np.argmin(np.abs(np.log(np.maximum(sweep.sent, 1e-6) / rate))))


def best_at(sweeps: Sequence[EventSweep], rate: float) -> tuple[int, float]:
    """Of the candidates at a send rate the one that finds the most of what it calibrates on."""
    found = []
    for sweep in sweeps:
        row = nearest(sweep, rate)
        found.append((1.0 - float(sweep.watch.lost(sweep.kept[[row]]).mean()), float(sweep.thresholds[row])))
    index = max(range(len(found)), key=lambda each: found[each][0])
    return index, found[index][1]


def tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    gates = list(dict.fromkeys(row["gate"] for row in rows))
    for name in dict.fromkeys(row["workload"] for row in rows):
        of = [row for row in rows if row["workload"] == name]
        yield f"\n**{name}**: {of[0]['events']} judged events\n"
        yield "| gate | " + " | ".join(f"{rate:.0%} sent" for rate in RATES) + " |"
        yield "|---|" + "---|" * len(RATES)
        for gate in gates:
            cells = []
            for rate in RATES:
                found = next(row for row in of if row["gate"] == gate and row["asked"] == f"{rate:g} sent")
                cells.append(_cell(found))
            yield f"| {gate} | " + " | ".join(cells) + " |"
    yield "\nAt event recall .95, thresholds chosen on what was learnt from:\n"
    yield "| workload | gate | certified | sent | recall | within 2 s | median delay | false minutes a day | event F1 |"
    yield "|---|---|---|---|---|---|---|---|---|"
    ratios = []
    for name in dict.fromkeys(row["workload"] for row in rows):
        of = [row for row in rows if row["workload"] == name and row["asked"] == "recall"]
        for row in of:
            shown = f"{row['gate']} ({row['by']})" if "by" in row else row["gate"]
            yield (
                f"| {name} | {shown} | {'yes' if row['certified'] else 'no'} | {row['sent']:.3f} | "
                f"{row['recall']:.3f} | {row['within 2 s']:.3f} | {_delay(row['delay'])} | "
                f"{row['false minutes']:.0f} | {row['f1']:.3f} |"
            )
        ours = of[0]
        free = [row for row in of[1:] if row["recall"] >= TARGET.recall]
        if ours["recall"] >= TARGET.recall and free:
            ratios.append(ours["sent"] / min(row["sent"] for row in free))
    if ratios:
        yield (
            f"\nWhere both find .95 ({len(ratios)} workloads), ours sends {np.mean(ratios):.2f} times what the best "
            f"free gate sends (geometric mean {math.exp(np.mean(np.log(ratios))):.2f}): "
            + ", ".join(f"{ratio:.2f}" for ratio in ratios)
        )


def _cell(row: dict[str, Any]) -> str:
    by = f" {row['by']}" if "by" in row else ""
    return (
        f"{row['recall']:.2f} / {row['within 2 s']:.2f} / {_delay(row['delay'])} / {row['false minutes']:.0f} "
        f"({row['sent']:.3f}){by}"
    )


def _delay(delay_s: float) -> str:
    return f"{delay_s:.1f} s" if math.isfinite(delay_s) else "never"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[2])
    parser.add_argument("--days", type=int, default=2, help="that are learnt from; one more is judged")
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=Path, help="where recordings and rows are kept; default: a temporary one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for load in loads(folder, options.seeds, options.days, options.only):
            for row in measure(load):
                rows.append(row)
                with (folder / "events.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(f"{load.name}: {rows[-1]['cpu_s']} s of processor time", file=sys.stderr, flush=True)
        print("\n".join(tables(rows)))


if __name__ == "__main__":
    main()
