"""Learns one filter for several models, each with a rule of its own, on one encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import torch

from ... import __version__
from ...errors import InvalidInput
from ...reporting import Progress
from ...traces.trace import Trace
from ..modalities import fit_modality
from ..rules.parser import Rule, Unchanged, parse_rule
from ..spec import FilterSpec, TasksSpec
from .candidates import AloneCandidate
from .fit import fit_encoder
from .fit_loop import Epoch
from .graphs import compress, save_filter, session_of, traced_graph
from .losses import Losses, answers_of
from .replay import Singles
from .selection import choose
from .sweep import calibrate
from .temporal import one_thread
from .trace_split import check_worth, split_of

KIND = "network"


@dataclass(frozen=True)
class TasksTraining:
    """What came of it: the file, what it says of itself, and how the network learnt."""

    path: Path
    spec: TasksSpec
    curve: list[Epoch]


def train_tasks(
    trace: Trace,
    *,
    rules: Mapping[str, Rule],
    accuracy: float,
    out: Path,
    modality: str = "",
    int8: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> TasksTraining:
    """Learns whether each of several models needs an input and writes one file that decides for all of them.

    Args:
        trace: what is learnt from.
        rules: per model what is redundant, each a rule on one input's output.
        accuracy: the least mean agreement, for each model by itself.
        out: the file.
        modality: how the inputs are seen; of pictures: image if nothing is said, or video.
        int8: whether large weights are kept as int8.
        seed: of everything that is drawn.
        progress: is told the share done.

    Raises:
        InvalidInput: fewer than two tasks, `unchanged`, or a task that leaves nothing to learn or can't be kept.
        UnknownModel: the trace has no such model.
    """
    if len(rules) < 2:
        raise InvalidInput(f"{len(rules)} task: a filter for one model is `infilink train filter`; give two or more")
    if any(isinstance(rule, Unchanged) for rule in rules.values()):
        raise InvalidInput("the rule `unchanged` compares with an earlier picture; give rules on one input's output")
    if not 0.0 < accuracy < 1.0:
        raise InvalidInput(f"accuracy must be above 0 and below 1, not {accuracy:g}")
    split = split_of(trace)
    losses = {model: Losses(trace, (model,), rule) for model, rule in rules.items()}
    for each in losses.values():
        check_worth(each, split, accuracy)
    pictures = trace.info.input == "image"
    values = list(islice(trace.inputs(), 1 if pictures else split.trained))
    made = fit_modality(modality or ("image" if pictures else ""), values)
    singles = Singles(trace, made)
    needed = np.stack([each.needed[0] for each in losses.values()], axis=1)
    with one_thread():
        network, curve = fit_encoder(singles, needed, made, start=0, stop=split.trained, seed=seed, progress=progress)
        graph = traced_graph(network, singles.rows(np.arange(split.calibrated, split.stop)[:16]))
        graph = compress(graph) if int8 else graph
        session = session_of(graph)
    specs = []
    for task, (model, lost) in enumerate(losses.items()):
        candidate = AloneCandidate(KIND, session, singles, start=split.calibrated, task=task)
        choice = choose([calibrate(candidate, singles, lost, split, seed=seed)], accuracy=accuracy)
        specs.append(
            FilterSpec(
                kind=KIND,
                rule=lost.rule.text,
                models={model: trace.info.digests.get(model, "")},
                reference="previous",
                threshold=choice.threshold,
                accuracy=accuracy,
                step_s=0.0,
                answers=answers_of(trace, lost),
                modality=made,
                certificate=choice.certificate,
                table=choice.table,
                candidates=choice.candidates,
                versions={"infilink": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__},
                seed=seed,
            )
        )
    spec = TasksSpec(tasks=tuple(specs))
    save_filter(out, graph, spec)
    return TasksTraining(out, spec, curve)


def parse_tasks(texts: Sequence[str]) -> dict[str, Rule]:
    """`MODEL: RULE` per task.

    Raises:
        InvalidInput: saying what the form is.
    """
    found: dict[str, Rule] = {}
    for text in texts:
        model, colon, rule = text.partition(":")
        if not colon or not model.strip() or model.strip() in found:
            raise InvalidInput(
                f"task {text!r}: the form is MODEL: RULE, each model once, e.g. 'yolox: count(car) == 0'"
            )
        found[model.strip()] = parse_rule(rule.strip())
    return found
