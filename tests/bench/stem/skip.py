"""SKIP: is it needed? Area under the curve and skill of filters on a stem, and of what there was before."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from infilink.errors import InvalidInput
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.heads.binary import Binary
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from judging import auc, best_skill, boxes_of, mean, shown, skill_of
from recordings import TURNS, Place, turned
from stems import seen, shuffled, site_stem

RULES = {"count(person) == 0": ("person",), "count(car, bus, truck) == 0": ("car", "bus", "truck")}
MODEL = "yolox_nano"
ACCURACY = 0.9
LEAST_SHARE = 0.05
LABELLED = (20, 50)
DRAWS = 5
INPUTS = 600
"""Of a clip, about: at 5 a second the shorter ones have too few to calibrate on."""
STEM = "stem"
WAYS = (STEM, "image", "network", "background", "difference")


@dataclass(frozen=True)
class Task:
    """One rule on one clip, turned: what is learnt from and what is judged."""

    clip: str
    turn: int
    model: str
    rule: str
    learnt: Trace
    judged: Trace
    needed: tuple[Array, Array]


def tasks(place: Place, *, model: str = MODEL) -> Iterator[Task]:
    """Every rule on every clip and turn where both kinds of inputs occur in what is learnt from and what is judged."""
    for clip in place.clips:
        recording = place.recording(clip, inputs=INPUTS)
        for turn in range(TURNS):
            learnt, judged = turned(recording, place.folder, turn)
            if model not in learnt.models or learnt.models[model].output.kind != "boxes":
                continue
            spec = learnt.models[model].output
            for rule, classes in RULES.items():
                if not set(classes) <= set(spec.classes):
                    continue
                needed = tuple(boxes_of(part.outputs(model), spec, classes) > 0 for part in (learnt, judged))
                if all(LEAST_SHARE <= each.mean() <= 1 - LEAST_SHARE for each in needed):
                    yield Task(clip.stem, turn, model, rule, learnt, judged, (needed[0], needed[1]))


def measure(place: Place, candidates: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row per task and way of deciding."""
    features: dict[tuple[str, int, str], tuple[Array, Array]] = {}
    for task in tasks(place):
        row = {"clip": task.clip, "turn": task.turn, "rule": task.rule, "needed": float(task.needed[1].mean())}
        row |= {"learnt": len(task.learnt), "judged": len(task.judged)}
        stem = site_stem(place, task.turn)
        for name in candidates:
            yield {**row, "by": name, **trained(task, name, stem, place)}
        for kind, path in (("head", stem), ("random weights", shuffled(stem, place.folder))):
            key = (task.clip, task.turn, kind)
            if key not in features:
                features[key] = seen(path, task.learnt, place.folder), seen(path, task.judged, place.folder)
            learnt, judged = features[key]
            yield {**row, "by": kind, **headed(learnt, judged, task.needed)}
            for count in LABELLED if kind == "head" else ():
                yield {**row, "by": f"head of {count}", **headed_by_few(learnt, judged, task.needed, count)}


def trained(task: Task, name: str, stem: Path, place: Place) -> dict[str, Any]:
    """A filter of one candidate, learnt and opened as a user does; judged by its scores and by what it sends."""
    out = place.folder / f"{task.clip}_{task.turn}_{name}.filter.onnx"
    out.unlink(missing_ok=True)
    began_s = time.process_time()
    try:
        done = train_filter(
            task.learnt,
            models=(task.model,),
            rule=parse_rule(task.rule),
            accuracy=ACCURACY,
            out=out,
            candidates=(name,),
            stem=Stem(stem) if name == STEM else None,
            uncertified=True,
            resume=False,
        )
    except InvalidInput as error:
        return {"refused": str(error)[:160]}
    learnt_s = time.process_time() - began_s
    gate = open_gate(out)
    decided = [gate.decide(f, float(t)) for f, t in zip(task.judged.frames(), task.judged.captured_s, strict=True)]
    scores = np.asarray([each.score for each in decided])
    kept = np.asarray([each.keep for each in decided])
    needed = task.needed[1]
    sent = skill_of(kept, needed)
    return {
        "auc": auc(scores, needed),
        "best skill": best_skill(scores, needed, ACCURACY).skill,
        "skill": sent.skill,
        "kept": sent.accuracy,
        "rate": sent.rate,
        "certified": done.spec.certificate.certified,
        "learnt_s": learnt_s,
    }


def headed(learnt: Array, judged: Array, needed: tuple[Array, Array]) -> dict[str, Any]:
    """A yes/no head on the features, as it orders the judged part."""
    scores = Binary.fit(learnt, needed[0]).score(judged)
    return {"auc": auc(scores, needed[1]), "best skill": best_skill(scores, needed[1], ACCURACY).skill}


def headed_by_few(learnt: Array, judged: Array, needed: tuple[Array, Array], count: int) -> dict[str, Any]:
    """The same from a few labelled inputs, drawn at random with both kinds among them: means of some draws."""
    found: list[dict[str, Any]] = []
    for seed in range(DRAWS):
        drawn = np.sort(np.random.default_rng(seed).permutation(len(learnt))[:count])
        if 0 < needed[0][drawn].sum() < count:
            found.append(headed(learnt[drawn], judged, (needed[0][drawn], needed[1])))
    return {key: mean([each[key] for each in found]) for key in ("auc", "best skill")}


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    ways = list(dict.fromkeys(row["by"] for row in rows))
    names = list(dict.fromkeys((row["clip"], row["rule"]) for row in rows))
    for what, title in (
        ("auc", "Area under the curve, mean of the turns (how many there were)"),
        ("best skill", f"Skill at {ACCURACY:g}, best threshold on the judged part, mean of the turns"),
        ("skill", f"Skill as sent, threshold for {ACCURACY:g} fitted on the learnt part (accuracy that was kept)"),
    ):
        with_it = [way for way in ways if any(what in row for row in rows if row["by"] == way)]
        yield f"\n{title}:\n"
        yield "| clip, rule | needed | " + " | ".join(with_it) + " |"
        yield "|" + "---|" * (len(with_it) + 2)
        means: dict[str, list[float]] = {way: [] for way in with_it}
        for clip, rule in names:
            of = [row for row in rows if (row["clip"], row["rule"]) == (clip, rule)]
            cells = [f"{clip}, {rule}", shown(mean([row["needed"] for row in of]), 2)]
            for way in with_it:
                there = [row for row in of if row["by"] == way]
                found = [row for row in there if what in row]
                means[way].append(mean([row[what] for row in found]))
                text = shown(means[way][-1])
                if what == "skill":
                    text += f" ({shown(mean([row['kept'] for row in found]))})"
                elif len(found) < len(there) or way == ways[0]:
                    text += f" ({len(found)} of {len(there)})"
                cells.append(text)
            yield "| " + " | ".join(cells) + " |"
        yield "| mean | | " + " | ".join(shown(mean(means[way])) for way in with_it) + " |"
    done = [row for row in rows if "certified" in row]
    for way in dict.fromkeys(row["by"] for row in done):
        of = [row for row in done if row["by"] == way]
        certified = sum(row["certified"] for row in of)
        asked = [row for row in rows if row["by"] == way]
        yield (
            f"\n{way}: {len(of)} of {len(asked)} trainings gave a filter, {certified} with a certificate; "
            f"{sum(row['kept'] >= ACCURACY for row in of)} kept {ACCURACY:g} on the judged part; "
            f"{mean([row['learnt_s'] for row in of]):.1f} s of processor time each."
        )
    for reason in dict.fromkeys(f"{row['by']}, {row['clip']}: {row['refused']}" for row in rows if "refused" in row):
        yield f"\nRefused: {reason}"
