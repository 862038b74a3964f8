"""Links that read a stem: how far answers agree for models that did not run, by the age of their last output.

Learnt by `train_links` on the learnt part; judged on inputs whose last output is just so old. The best free way is
holding or the constant, whichever was better on the last quarter of what is learnt from.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.training.train import train_links
from infilink.outputs import Array
from infilink.traces.trace import Trace
from judging import agreement, mean, shown
from recordings import Place, turned
from stems import seen, site_stem

AGES_S = (1.0, 2.0, 4.0, 8.0)
RESIDENT = "yolox_nano"
LEAST = 8
CHOSEN_ON = 0.25
_STEP = 0.3


def measure(place: Place, turns: int) -> Iterator[dict[str, Any]]:
    """One row per clip, turn, model and age."""
    for clip in place.clips:
        recording = place.recording(clip)
        for turn in range(turns):
            learnt, judged = turned(recording, place.folder, turn)
            stem = site_stem(place, turn)
            graphs = {name: _graph(learnt, path, place.folder) for name, path in (("stem", stem), ("outputs", None))}
            features = seen(stem, judged, place.folder)
            for row in pairs(learnt, judged, graphs, features):
                yield {"clip": clip.stem, "turn": turn, **row}


def _graph(learnt: Trace, stem: Path | None, folder: Path) -> LinkGraph:
    out = folder / "links"
    shutil.rmtree(out, ignore_errors=True)
    train_links(learnt, out=out, stem=stem)
    return LinkGraph.load(out)


def pairs(learnt: Trace, judged: Trace, graphs: dict[str, LinkGraph], features: Array) -> Iterator[dict[str, Any]]:
    """The rows of one split."""
    before = {name: learnt.outputs(name) for name in learnt.models}
    after = {name: judged.outputs(name) for name in judged.models}
    for target in judged.models:
        spec, said, constant = judged.models[target].output, after[target], graphs["stem"].constants[target]
        for age_s in AGES_S:
            now, then = aged(judged.captured_s, age_s)
            old_now, old_then = aged(learnt.captured_s, age_s)
            late = old_now >= (1.0 - CHOSEN_ON) * len(learnt)
            if min(len(now), int(late.sum())) < LEAST:
                continue
            chosen_by = free_ways(spec, before[target], constant, old_now[late], old_then[late])
            free = free_ways(spec, said, constant, now, then)
            row: dict[str, Any] = {"target": target, "age_s": age_s, "inputs": len(now), **free}
            row["free"] = free[max(chosen_by, key=lambda way: chosen_by[way])]
            origins: list[str] = []
            for way, graph, running, reads in (
                ("stem", graphs["stem"], "", True),
                (f"{RESIDENT}", graphs["outputs"], RESIDENT, False),
                (f"{RESIDENT} + stem", graphs["stem"], RESIDENT, True),
            ):
                if running and (running == target or running not in after):
                    continue
                agreed = []
                for i, j in zip(now.tolist(), then.tolist(), strict=True):
                    sees = reads and graph.stem is not None
                    answer = graph.predict(
                        target,
                        {running: after[running][i]} if running else {},
                        last=said[j],
                        age_s=float(judged.captured_s[i] - judged.captured_s[j]),
                        then={running: after[running][j]} if running else {},
                        features=features[i] if sees else None,
                        features_then=features[j] if sees else None,
                    )
                    agreed.append(agreement(spec, answer.value, said[i]))
                    if way == "stem":
                        origins.append(answer.origin)
                row[way] = float(np.mean(agreed))
            row["linked"] = float(np.mean([origin == "linked" for origin in origins]))
            yield row


def aged(captured_s: Array, age_s: float) -> tuple[Array, Array]:
    """The inputs with one that is so old, within three tenths of a second or a tenth of the age, and those."""
    then = np.searchsorted(captured_s, captured_s - age_s - 1e-6)
    off = np.abs(captured_s - captured_s[then] - age_s)
    now = np.flatnonzero((off <= max(_STEP, age_s / 10)) & (then < np.arange(len(captured_s))))
    now = now[captured_s[now] - captured_s[0] >= age_s - 1e-6]
    return now, then[now]


def free_ways(spec: Any, said: Sequence[Array], constant: Array, now: Array, then: Array) -> dict[str, float]:
    """Mean agreement of the constant and of holding."""
    return {
        "constant": float(np.mean([agreement(spec, constant, said[i]) for i in now.tolist()])),
        "held": float(np.mean([agreement(spec, said[j], said[i]) for i, j in zip(now, then, strict=True)])),
    }


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    ways = ("constant", "held", "free", "stem")
    yield "\nNothing heavy runs: mean agreement over all pairs of a clip and a model:\n"
    yield "| age | pairs | " + " | ".join((*ways, "stem - free", "linked")) + " |"
    yield "|" + "---|" * (len(ways) + 4)
    for age_s in AGES_S:
        of = [row for row in rows if row["age_s"] == age_s]
        if of:
            means = [mean([row[way] for row in of]) for way in ways]
            cells = [*map(shown, means), shown(means[-1] - means[-2]), shown(mean([row["linked"] for row in of]), 2)]
            yield f"| {age_s:g} s | {len(of)} | " + " | ".join(cells) + " |"
    yield "\nThe same, clip by clip (all ages): free, stem; model by model:\n"
    for key in ("clip", "target"):
        cells = []
        for name in dict.fromkeys(row[key] for row in rows):
            of = [row for row in rows if row[key] == name]
            cells.append(f"{name} {shown(mean([r['free'] for r in of]))} {shown(mean([r['stem'] for r in of]))}")
        yield "- " + ", ".join(cells)
    worst = sorted(rows, key=lambda row: row["stem"] - row["free"])[:6]
    yield "\nWorst pairs against free: " + ", ".join(
        f"{row['clip']}/{row['target']} {row['age_s']:g} s {shown(row['stem'])} for {shown(row['free'])}"
        for row in worst
    )
    with_it = [row for row in rows if f"{RESIDENT} + stem" in row]
    if with_it:
        shown_ways = ("free", "stem", RESIDENT, f"{RESIDENT} + stem")
        yield f"\nWhere {RESIDENT} runs, the other models (without the stem: links learnt from outputs alone):\n"
        yield "| age | pairs | " + " | ".join(shown_ways) + " |"
        yield "|" + "---|" * (len(shown_ways) + 2)
        for age_s in AGES_S:
            of = [row for row in with_it if row["age_s"] == age_s]
            cells = [shown(mean([row[way] for row in of])) for way in shown_ways]
            yield f"| {age_s:g} s | {len(of)} | " + " | ".join(cells) + " |"
