"""What the tuner's process does: tries every level, learns a filter, puts filters side by side."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...filters.evaluation.judged_part import MOST_INPUTS, cut_of
from ...filters.evaluation.side_by_side import side_by_side
from ...filters.evaluation.tune import tune
from ...filters.evaluation.tune_file import tune_file
from ...filters.rules.parser import Rule, parse_rule
from ...filters.spec import load_filter
from ...filters.training.corrected import sayable
from ...filters.training.event_selection import EventTarget
from ...filters.training.train import train_filter
from ...filters.training.train_events import train_event_filter
from ...models.stem.beside import stem_beside
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from .tuner_drawn import zones_drawn
from .tuner_figures import plain, plain_sides
from .tuner_questions import Make, Tune
from .tuner_recordings import file_digest
from .tuner_rules import candidates_of


def tuned(folder: Path, question: Tune, trace: Trace, progress: Progress) -> dict[str, Any]:
    """What would be chosen at every level.

    Raises:
        InfilinkError: the recording, the rule or the filter does not do.
    """
    if question.filter:
        path = folder / question.filter
        found = tune_file(path, trace, aim=question.aim, within_s=question.soon_s, progress=progress)
        return plain(found) | {"sayable": _sayable(trace, found.models, load_filter(path)[0].parsed_rule)}
    stem = stem_beside(trace.path, "")
    rule = parse_rule(question.rule, zones=zones_drawn(trace.path), typed=False)
    found = tune(
        trace,
        rule=rule,
        models=(question.model,) if question.model else (),
        aim=question.aim,
        within_s=question.soon_s,
        candidates=candidates_of(question, rule, stem=stem is not None, pictures=trace.info.input == "image"),
        stem=stem,
        progress=progress,
    )
    return plain(found) | {"sayable": _sayable(trace, found.models, rule)}


def made(folder: Path, question: Make, trace: Trace, progress: Progress) -> dict[str, Any]:
    """Learns a filter as `infilink train filter` does, from all but the judged part, and judges it there.

    Raises:
        InfilinkError: nothing can be learnt, or nothing is proven of it; nothing is written then.
    """
    out = folder / question.name
    if out.exists():
        raise InvalidInput(f"{question.name}: is there already; give another name")
    began_s = time.monotonic()
    stem = stem_beside(trace.path, "")
    rule = parse_rule(question.rule, zones=zones_drawn(trace.path), typed=False)
    models = (question.model,) if question.model else ()
    candidates = candidates_of(question, rule, stem=stem is not None, pictures=trace.info.input == "image")
    offset = max(0, len(trace) - MOST_INPUTS)
    told = part_of(progress, 0.0, 0.7)
    with trace.part(offset, len(trace)) as newest, newest.part(0, cut_of(newest).stop) as before:
        if question.aim == "events":
            done = train_event_filter(
                before,
                models=models,
                rule=rule,
                target=EventTarget(question.asked, question.soon_s),
                out=out,
                candidates=candidates,
                stem=stem,
                uncertified=question.uncertified,
                resume=False,
                progress=told,
            )
        else:
            done = train_filter(
                before,
                models=models,
                rule=rule,
                accuracy=question.asked,
                out=out,
                candidates=candidates,
                stem=stem,
                uncertified=question.uncertified,
                resume=False,
                progress=told,
            )
    names = [question.name, *([question.beside] if question.beside else [])]
    return compared(folder, names, trace, part_of(progress, 0.7, 1.0)) | {
        "made": {
            "name": question.name,
            "digest": file_digest(out),
            "size_bytes": out.stat().st_size,
            "trained": done.trained,
            "calibrated": done.calibrated,
            "seconds": round(time.monotonic() - began_s, 1),
        }
    }


def _sayable(trace: Trace, models: Sequence[str], rule: Rule) -> list[dict[str, Any]]:
    """What a person can say that each model has missed."""
    specs = {model: trace.models[model].output for model in models}
    return [{"model": name, "kind": spec.kind, "what": sayable(spec, rule)} for name, spec in specs.items()]


def compared(folder: Path, names: Sequence[str], trace: Trace, progress: Progress | None) -> dict[str, Any]:
    """Filters side by side, on the judged part.

    Raises:
        InfilinkError: they can't be compared.
    """
    return plain_sides(side_by_side([folder / name for name in names], trace, progress=progress))
