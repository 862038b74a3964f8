"""Events at a share of the inputs that is really sent: gates on a stem against every gate that costs nothing.

A gate on a stem is learnt from what is learnt from alone, and told which share to send; whatever it really sends of the
judged part, each free gate is given just that, with the threshold that the judged part itself asks for. What free gates
send with a threshold from the learnt part stands beside that.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from free import HELD, keep_free, pictures_of
from infilink.errors import InvalidInput
from infilink.filters.budget import WINDOW_S
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.event_selection import EventTarget
from infilink.filters.training.train_events import train_event_filter
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from judging import WITHIN_S, boxes_of, events_of, found_by, mean, shown
from recordings import Place, turned
from skip import INPUTS, MODEL, RULES
from stems import make_stem, site_stem
from street import EVENTS, street_day
from street import MODEL as TRUTH
from street import RULES as STREET_RULES

SHARES = (0.05, 0.1)
LEAST_EVENTS = 3
SEEDS = (3,)
WINDOW = 0.25
"""Of what is judged: over so long a gate may send twice its share. The usual ten minutes outlast the clips."""
CHOSEN = "ours (chosen)"
GATES = (CHOSEN, "stem-blend", "stem-kept")


@dataclass(frozen=True)
class Load:
    """One rule on one stream."""

    name: str
    model: str
    rule: str
    learnt: Trace
    judged: Trace
    there: dict[str, Array]
    stem: Path


def loads(place: Place, turns: int) -> Iterator[Load]:
    """Rendered days, then every clip with enough events in both parts."""
    for seed in SEEDS if not place.named else ():
        learnt, judged = street_day(place.folder, seed, EVENTS)
        stem = make_stem([learnt], place, f"street{seed}")
        yield from _loads(f"street {seed}", TRUTH, STREET_RULES, learnt, judged, stem)
    for clip in place.clips:
        for turn in range(turns):
            learnt, judged = turned(place.recording(clip, inputs=INPUTS), place.folder, turn)
            stem = site_stem(place, turn)
            yield from _loads(f"{clip.stem} {turn}", MODEL, RULES, learnt, judged, stem)


def _loads(
    name: str, model: str, rules: dict[str, tuple[str, ...]], learnt: Trace, judged: Trace, stem: Path
) -> Iterator[Load]:
    if model not in learnt.models:
        return
    spec = learnt.models[model].output
    for rule, classes in rules.items():
        there = [
            {each: boxes_of(part.outputs(model), spec, (each,)) > 0 for each in classes} for part in (learnt, judged)
        ]
        parts = zip(there, (learnt, judged), strict=True)
        if (
            min(sum(len(events_of(each, part.captured_s)) for each in of.values()) for of, part in parts)
            >= LEAST_EVENTS
        ):
            yield Load(name, model, rule, learnt, judged, there[1], stem)


def measure(place: Place, turns: int, gates: Sequence[str] = GATES) -> Iterator[dict[str, Any]]:
    """One row per load, gate and share."""
    pictures: dict[str, tuple[Array, Array]] = {}
    for load in loads(place, turns):
        if load.name not in pictures:
            pictures = {load.name: (pictures_of(load.learnt.frames()), pictures_of(load.judged.frames()))}
        learnt, judged = pictures[load.name]
        row = {"load": f"{load.name}, {load.rule}"}
        for share in SHARES:
            at = {**row, "share": share}
            for gate, kept in kept_by_stem(load, gates, share, place.folder).items():
                found = found_by(kept, load.there, load.judged.captured_s)
                yield {**at, "gate": gate, **asdict(found)}
                for name, free in keep_free(learnt, judged, found.sent).items():
                    if "," not in name:
                        against = found_by(free, load.there, load.judged.captured_s)
                        yield {**at, "gate": name, "beside": gate, **asdict(against)}
            for name, free in keep_free(learnt, judged, share).items():
                yield {**at, "gate": name, **asdict(found_by(free, load.there, load.judged.captured_s))}


def kept_by_stem(load: Load, gates: Sequence[str], share: float, folder: Path) -> dict[str, Array]:
    """What each gate sends of the judged part if it is told to send a share."""
    found = {}
    judged_s = float(load.judged.captured_s[-1] - load.judged.captured_s[0])
    window_s = min(WINDOW_S, judged_s * WINDOW)
    for name in gates:
        out = folder / "events.onnx"
        try:
            train_event_filter(
                load.learnt,
                models=(load.model,),
                rule=parse_rule(load.rule),
                target=EventTarget(0.0, WITHIN_S, budget=share, window_s=window_s),
                out=out,
                candidates=() if name == CHOSEN else (name,),
                stem=Stem(load.stem),
                uncertified=True,
                resume=False,
            )
        except (InvalidInput, AssertionError) as error:
            print(f"{load.name}, {load.rule}, {name}: {error}", file=sys.stderr)
            continue
        gate = open_gate(out)
        frames = zip(load.judged.frames(), load.judged.captured_s, strict=True)
        found[name] = np.asarray([gate.decide(frame, float(at)).keep for frame, at in frames])
    return found


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    names = list(dict.fromkeys(row["load"] for row in rows))
    for share in SHARES:
        of = [row for row in rows if row["share"] == share and "beside" not in row]
        yield f"\nAsked to send {share:.0%}, mean over {len(names)} loads:\n"
        yield "| gate | within 2 s | at all | delay | false minutes | sent (least, most) |"
        yield "|---|---|---|---|---|---|"
        for gate in dict.fromkeys(row["gate"] for row in of):
            there = [row for row in of if row["gate"] == gate]
            late = float(np.median([row["delay_s"] for row in there]))
            sent = [row["sent"] for row in there]
            yield (
                f"| {gate} | {shown(mean([row['within'] for row in there]))} | "
                f"{shown(mean([row['recall'] for row in there]))} | {shown(late, 1)} | "
                f"{mean([row['false_minutes'] for row in there]):.0f} | "
                f"{shown(mean(sent))} ({shown(min(sent))}, {shown(max(sent))}) |"
            )
        stems = [row["gate"] for row in of if row["gate"] in GATES]
        for gate in dict.fromkeys(stems):
            beside = [row for row in rows if row["share"] == share and row.get("beside") == gate]
            ours = mean([row["within"] for row in of if row["gate"] == gate])
            free = [
                f"{name} {shown(mean([row['within'] for row in beside if row['gate'] == name]))}"
                for name in dict.fromkeys(row["gate"] for row in beside)
            ]
            yield f"\n{gate} finds {shown(ours)} within 2 s; at just what it sends: " + ", ".join(free)
    yield "\nLoad by load, within 2 s at " + " and ".join(f"{share:.0%}" for share in SHARES) + ":\n"
    gates = list(dict.fromkeys(row["gate"] for row in rows if "beside" not in row))
    shown_gates = [gate for gate in gates if gate == HELD or "," not in gate]
    yield "| load | events | " + " | ".join(shown_gates) + " |"
    yield "|" + "---|" * (len(shown_gates) + 2)
    for name in names:
        of = [row for row in rows if row["load"] == name and "beside" not in row]
        cells = []
        for gate in shown_gates:
            found = [row for row in of if row["gate"] == gate]
            cells.append(" / ".join(f"{shown(row['within'], 2)} ({shown(row['sent'], 2)})" for row in found))
        yield f"| {name} | {of[0]['events']} | " + " | ".join(cells) + " |"
