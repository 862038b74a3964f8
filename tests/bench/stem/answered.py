"""Heads alone: how far what a stem's heads say agrees with the models, and whether their confidence can be believed.

Heads look at nothing but the input, so their answer has no age; holding and the constant have.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from infilink.models.heads.head import Head
from judging import agreement, mean, shown
from linked import AGES_S, LEAST, aged, free_ways
from recordings import Place, turned
from stems import seen, site_stem


def measure(place: Place, turns: int) -> Iterator[dict[str, Any]]:
    """One row per clip, turn and model."""
    for clip in place.clips:
        recording = place.recording(clip)
        for turn in range(turns):
            learnt, judged = turned(recording, place.folder, turn)
            stem = site_stem(place, turn)
            features = seen(stem, learnt, place.folder), seen(stem, judged, place.folder)
            before = {name: learnt.outputs(name) for name in learnt.models}
            types = {name: spec.output for name, spec in learnt.models.items()}
            heads = Head.fit_all(features[0], before, types)
            for name, head in heads.items():
                spec, said = types[name], judged.outputs(name)
                answers = head.answer(features[1])
                agreed = np.asarray([agreement(spec, *each) for each in zip(answers.values, said, strict=True)])
                constant = _constant(spec, before[name])
                row: dict[str, Any] = {"clip": clip.stem, "turn": turn, "target": name, "head": float(agreed.mean())}
                row["confidence"] = float(np.mean(answers.confidence))
                surest = np.argsort(-np.asarray(answers.confidence), kind="stable")[: len(agreed) // 2]
                row["surest half"] = float(agreed[surest].mean())
                for age_s in AGES_S:
                    now, then = aged(judged.captured_s, age_s)
                    if len(now) >= LEAST:
                        ways = free_ways(spec, said, constant, now, then)
                        row[f"free {age_s:g}"], row[f"head {age_s:g}"] = max(ways.values()), float(agreed[now].mean())
                yield row


def _constant(spec: Any, outputs: Sequence[Any]) -> Any:
    """Of some outputs the one that agrees best with all."""
    drawn = outputs[:: max(1, len(outputs) // 40)]
    return max(drawn, key=lambda each: mean([agreement(spec, each, true) for true in outputs]))


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    yield "\nMean over a clip's models; free: the better of holding and the constant on the judged part itself:\n"
    columns = [f"{way} {age_s:g}" for age_s in AGES_S for way in ("free", "head")]
    yield "| clip | heads | stated | surest half | " + " | ".join(f"{each} s" for each in columns) + " |"
    yield "|" + "---|" * (len(columns) + 4)
    for name in (*dict.fromkeys(row["clip"] for row in rows), ""):
        of = [row for row in rows if name in ("", row["clip"])]
        cells = [shown(mean([row[key] for row in of])) for key in ("head", "confidence", "surest half")]
        cells += [shown(mean([row[key] for row in of if key in row])) for key in columns]
        yield f"| {name or 'mean'} | " + " | ".join(cells) + " |"
