"""Learns one filter for several models, each with a rule of its own, on one stem or one encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from ...errors import InvalidInput
from ...models.stem.stem import Stem
from ...reporting import Progress
from ...traces.trace import Trace
from ..modalities import Modality
from ..proof import check_times
from ..rules.parser import Rule, Unchanged, parse_rule
from ..rules.zones import Zone
from ..spec import FilterSpec, TasksSpec
from .candidates import Candidate, ScoredCandidate
from .contest import STEM
from .entrants import Entry
from .fit_loop import Epoch, one_thread
from .graphs import save_filter, session_of
from .losses import Losses
from .replay import Singles
from .selection import choose
from .single_input import SingleInputCandidate, learn_encoder
from .stem_presence import MOST, fit_heads, heads_graph, scores_of
from .stem_view import StemView
from .sweep import calibrate
from .train import check_certified, filter_spec
from .workload import Split, Workload, check_accuracy, check_worth, fitted_modality, modality_of, read_inputs, split_of

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
    stem: Stem | None = None,
    int8: bool = False,
    uncertified: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> TasksTraining:
    """Learns whether each of several models needs an input and writes one file that decides for all of them.

    The steps are those of `train_filter`, with one candidate: a stem with a head for each task; without a stem an
    encoder that is trained for it.

    Args:
        trace: what is learnt from.
        rules: per model what is redundant, each a rule on one input's output.
        accuracy: the least mean agreement, for each model by itself.
        out: the file.
        modality: how the inputs are seen; of pictures: image if nothing is said, or video.
        stem: whose features the heads read; None, or with a modality of frames: an encoder is trained.
        int8: whether large weights are kept as int8; a stem stays as it is.
        uncertified: whether a file is written although nothing is proven of some task; it then says so.
        seed: of everything that is drawn.
        progress: is told the share done.

    Raises:
        InvalidInput: fewer than two tasks, `unchanged`, or a task that leaves nothing to learn.
        NotCertified: a task that can't be kept, or is not proven to be.
        UnknownModel: the trace has no such model.
    """
    if len(rules) < 2:
        raise InvalidInput(f"{len(rules)} task: a filter for one model is `infilink train filter`; give two or more")
    if any(isinstance(rule, Unchanged) for rule in rules.values()):
        raise InvalidInput("the rule `unchanged` compares with an earlier picture; give rules on one input's output")
    check_accuracy(accuracy)
    if not uncertified:
        check_times(trace)
    split = split_of(trace)
    modality = modality_of(trace, modality)
    tasks = [Losses(trace, (model,), rule) for model, rule in rules.items()]
    for losses in tasks:
        check_worth(losses, split, accuracy)
    entry = Entry(KIND, int8=int8, progress=progress)
    # Whoever names how frames are seen asks for an encoder of that kind.
    asked = trace.info.input == "image" and bool(modality)
    view = None if asked else StemView.beside(stem, trace, modality)
    if view is None:
        made = _on_encoder(trace, tasks, split, modality, entry, seed=seed)
    else:
        made = _on_stem(view, tasks, split, modality, seed=seed)
    specs: list[FilterSpec] = []
    for candidate, work in zip(made.candidates, made.works, strict=True):
        choice = choose([calibrate(candidate, work)], accuracy=accuracy)
        if not uncertified:
            check_certified(choice, what=f"an accuracy of {accuracy:g} for {work.losses.models[0]}")
        used = None if view is None else view.used
        specs.append(filter_spec(work, choice, accuracy=accuracy, modality=made.modality, stem=used))
    spec = TasksSpec(tasks=tuple(specs))
    save_filter(out, made.graph, spec)
    return TasksTraining(out, spec, made.curve)


@dataclass(frozen=True)
class _Made:
    """What decides for all tasks: its graph, and a candidate for each with what it is made for."""

    graph: onnx.ModelProto
    candidates: list[Candidate]
    works: list[Workload]
    modality: Modality | None
    curve: list[Epoch] = field(default_factory=list)


def _on_encoder(
    trace: Trace, tasks: Sequence[Losses], split: Split, modality: str, entry: Entry, *, seed: int
) -> _Made:
    seen_as = modality or ("image" if trace.info.input == "image" else "")
    singles = Singles(trace, fitted_modality(trace, seen_as, inputs=split.trained))
    needed = np.stack([losses.needed[0] for losses in tasks], axis=1)
    with one_thread():
        graph, curve = learn_encoder(singles, needed, split, entry, seed=seed)
    session = session_of(graph)
    candidates: list[Candidate] = [
        SingleInputCandidate(KIND, session, singles, start=split.calibrated, task=task) for task in range(len(tasks))
    ]
    works = [Workload(trace, losses, split, singles, seen_as, seed) for losses in tasks]
    return _Made(graph, candidates, works, singles.modality, curve)


def _on_stem(view: StemView, tasks: Sequence[Losses], split: Split, modality: str, *, seed: int) -> _Made:
    heads = fit_heads(view, tasks, start=0, stop=split.trained)
    graph, scores = heads_graph(view, heads, mean=False), scores_of(view, heads)
    view.check(graph, scores)
    inputs = read_inputs(view.trace, tasks[0], modality, inputs=split.trained)
    candidates: list[Candidate] = [ScoredCandidate(STEM, each, most=MOST) for each in scores.T]
    works = [Workload(view.trace, losses, split, inputs, modality, seed, view) for losses in tasks]
    return _Made(graph, candidates, works, inputs.modality if isinstance(inputs, Singles) else None)


def parse_tasks(
    texts: Sequence[str], *, zones: Mapping[str, Zone] | None = None, typed: bool = False
) -> dict[str, Rule]:
    """`MODEL: RULE` per task.

    Args:
        texts: one per task.
        zones: the zones that the rules may name.
        typed: whether a person has written them in this very command, as for `parse_rule`.

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
        found[model.strip()] = parse_rule(rule.strip(), zones=zones, typed=typed)
    return found
