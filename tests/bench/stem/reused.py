"""REUSE on streams: how far a filter that holds answers comes on the way from the best free gate to an oracle.

Counts of boxes must be the same for an answer to be right. Every gate is given the threshold that drops the most of the
judged part with 90 % right answers there; "as learnt" is what the filter does with its own. A gate is told the models'
outputs for what it kept at once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from free import keep_changed, keep_every, pictures_of
from infilink.errors import InvalidInput
from infilink.filters.gates.base import ModelOutput
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from judging import mean, shown
from recordings import Place, turned
from stems import site_stem

MODEL = "yolox_nano"
ACCURACY = 0.9
RULE = "unchanged >= 1"
INPUTS = 600
LEVELS = 14
_HALVINGS = 8
_ROOM = 0.02


def measure(place: Place, turns: int) -> Iterator[dict[str, Any]]:
    """One row per clip, turn and filter: with a stem, and without."""
    for clip in place.clips:
        for turn in range(turns):
            learnt, judged = turned(place.recording(clip, inputs=INPUTS), place.folder, turn)
            if MODEL not in learnt.models:
                continue
            counts = [_counts(part) for part in (learnt, judged)]
            frames = list(judged.frames())
            row = {"clip": clip.stem, "turn": turn, **free_rates(counts[0], counts[1], pictures_of(frames))}
            for name, stem in (("with a stem", site_stem(place, turn)), ("without", None)):
                began_s = time.process_time()
                out = place.folder / "reuse.filter.onnx"
                try:
                    done = train_filter(
                        learnt,
                        models=(MODEL,),
                        rule=parse_rule(RULE),
                        accuracy=ACCURACY,
                        out=out,
                        stem=None if stem is None else Stem(stem),
                        uncertified=True,
                        resume=False,
                    )
                except InvalidInput as error:
                    yield {**row, "by": name, "refused": str(error)[:160]}
                    continue
                gate = open_gate(out)
                kept = run(gate, judged, frames)
                told = {"learnt_s": time.process_time() - began_s, "used": done.spec.stem is not None}
                rate, right = held(kept, counts[1])
                best = best_rate(partial(run, gate, judged, frames), gate, counts[1], (rate, right))
                yield {**row, **told, "by": name, "best": best, "rate": rate, "right": right}


def _counts(trace: Trace) -> Array:
    """How many boxes of each class: int64 (inputs, classes)."""
    classes = len(trace.models[MODEL].output.classes)
    return np.stack([np.bincount(rows[:, 5].astype(int), minlength=classes) for rows in trace.outputs(MODEL)])


def run(gate: Any, judged: Trace, frames: Sequence[Array], threshold: float | None = None) -> Array:
    """What the gate keeps."""
    gate.reset()
    if threshold is not None:
        gate.threshold = threshold
    outputs, digest = judged.outputs(MODEL), judged.info.digests[MODEL]
    kept = []
    for frame, at, said in zip(frames, judged.captured_s, outputs, strict=True):
        decision = gate.decide(frame, float(at))
        kept.append(decision.keep)
        if decision.keep and decision.learn is not None:
            decision.learn({MODEL: ModelOutput(said, digest)})
    return np.asarray(kept)


def held(kept: Array, counts: Array) -> tuple[float, float]:
    """The share that was dropped, and the share of right answers, if the last one is held."""
    last = np.maximum.accumulate(np.where(kept, np.arange(len(kept)), 0))
    return float(1.0 - kept.mean()), float((counts[last] == counts).all(axis=1).mean())


def best_rate(keeps: Callable[[float], Array], gate: Any, counts: Array, learnt: tuple[float, float]) -> float:
    """The most that is dropped with enough right answers, over the thresholds of the filter's own table and between."""
    tried = {gate.threshold: learnt}
    for level in np.linspace(0, len(gate.spec.table) - 1, LEVELS).round().astype(int) if gate.spec.table else ():
        threshold = float(gate.spec.table[level].threshold)
        tried[threshold] = held(keeps(threshold), counts)
    for _ in range(_HALVINGS):
        order = sorted(tried)
        good = [i for i, each in enumerate(order) if tried[each][1] >= ACCURACY]
        if not good or good[-1] + 1 == len(order):
            break
        middle = (order[good[-1]] + order[good[-1] + 1]) / 2
        tried[middle] = held(keeps(middle), counts)
    return max((rate for rate, right in tried.values() if right >= ACCURACY), default=0.0)


def free_rates(before: Array, counts: Array, pictures: Array) -> dict[str, float]:
    """What costs nothing drops, and what an oracle does that knows all outputs."""
    n = len(counts)
    every = [held(keep_every(n, 1.0 / step), counts) for step in (*range(1, 64), *np.geomspace(64, max(65, n), 16))]
    apart = np.quantile(np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2)), np.linspace(0, 1, 60))
    changed = [held(keep_changed(pictures, float(each * scale)), counts) for each in apart for scale in (1.0, 2.0, 4.0)]
    kinds, often = np.unique(before, axis=0, return_counts=True)
    right = float((counts == kinds[np.argmax(often)]).all(axis=1).mean())
    ties = np.random.default_rng(0).random(n)
    oracle = []
    for level in np.linspace(0.0, 1.0, 60):
        kept, last = np.zeros(n, bool), 0
        kept[0] = True
        for i in range(1, n):
            if ties[i] >= level and (counts[i] != counts[last]).any():
                kept[i], last = True, i
        oracle.append(held(kept, counts))
    best = {
        name: max((rate for rate, true in found if true >= ACCURACY), default=0.0)
        for name, found in (("every K-th", every), ("difference", changed), ("oracle", oracle))
    }
    best["majority"] = 1.0 if right >= ACCURACY else (1.0 - ACCURACY) / (1.0 - right)
    best["free"] = max(best["every K-th"], best["difference"], best["majority"])
    return best


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    yield f"\nShare dropped at {ACCURACY:g} right answers, best threshold on the judged part; way to the oracle:\n"
    yield "| clip | every K-th | difference | majority | oracle | without | way | with a stem | way | learnt (right) |"
    yield "|" + "---|" * 10
    ways: dict[str, list[float]] = {"without": [], "with a stem": []}
    for clip in dict.fromkeys(row["clip"] for row in rows):
        of = [row for row in rows if row["clip"] == clip]
        cells = [shown(mean([row[key] for row in of])) for key in ("every K-th", "difference", "majority", "oracle")]
        learnt = ""
        for name, found in ways.items():
            there = [row for row in of if row["by"] == name]
            best = mean([row.get("best", 0.0) for row in there])
            free, oracle = (mean([row[key] for row in there]) for key in ("free", "oracle"))
            found.append((best - free) / (oracle - free) if oracle - free > _ROOM else float("nan"))
            cells += [shown(best), shown(found[-1], 2)]
            good = [row for row in there if "rate" in row]
            learnt = f"{shown(mean([row['rate'] for row in good]))} ({shown(mean([row['right'] for row in good]))})"
        yield f"| {clip} | " + " | ".join(cells) + f" | {learnt} |"
    yield "\nMean way: " + ", ".join(f"{name} {shown(mean(found), 2)}" for name, found in ways.items())
    for row in rows:
        if "refused" in row:
            yield f"\nRefused, {row['clip']}, {row['by']}: {row['refused']}"
