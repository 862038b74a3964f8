"""Learns a filter from a trace: trains, lets the candidates compete, certifies the threshold, writes one ONNX file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import InvalidInput
from ..trace import Trace
from .artifact import write_encoder, write_network, write_pace, write_scalar
from .candidates import NetworkCandidate, PaceCandidate, ScalarCandidate
from .fit import fit_network
from .fit_encoder import fit_encoder, scores_of
from .losses import Losses
from .modalities import Modality, fit_modality
from .network import one_thread, to_channels
from .pace import fit_pace
from .predicates import LabelIn, LabelNotIn
from .replay import LONGEST_S, Progress, Replay
from .rules import Rule
from .selection import Choice, choose
from .singles import ScoredCandidate, Singles
from .spec import FilterSpec, load_filter
from .split import Split, check_worth, split_of
from .sweep import Candidate, Sweep, calibrate, sweep

MOST_INPUTS = 8000
_PARITY = 1e-4
_FREE_SKIP = ("background", "difference", "age")
_FREE_PAIRWISE = ("difference", "age")


@dataclass(frozen=True)
class FilterTraining:
    """What came of a training.

    Attributes:
        path: the filter.
        spec: what it says of itself: rule, winner, threshold, certificate, table.
        trained: inputs that it was trained on.
        calibrated: inputs that its threshold was certified on, all later than those.
        redundant: SKIP: share of the inputs that are redundant by the rule, over the whole trace.
        seconds: what it all took.
    """

    path: Path
    spec: FilterSpec
    trained: int
    calibrated: int
    redundant: float | None
    seconds: float


def train_filter(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float,
    out: Path,
    modality: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> FilterTraining:
    """Learns a filter for some of a trace's models (all, if none is named) and writes it to `out`.

    Inputs that are no pictures need a `modality`: text, signal, audio or map.

    Raises:
        InvalidInput: the trace is too short, the rule never or always fires, or no threshold keeps the accuracy.
        UnknownModel: the trace has no such model.
    """
    started = time.perf_counter()
    if not 0.0 < accuracy < 1.0:
        raise InvalidInput(f"accuracy must be above 0 and below 1, not {accuracy:g}")
    trace = trace.part(max(0, len(trace) - MOST_INPUTS), len(trace))
    models = tuple(dict.fromkeys(models)) or tuple(trace.models)
    losses = Losses(trace, models, rule)
    split = split_of(trace)
    check_worth(losses, split, accuracy)
    if trace.info.input == "array":
        return _train_on_singles(
            trace, losses, split, modality=modality, accuracy=accuracy, out=out, seed=seed, progress=progress
        )
    if modality:
        raise InvalidInput(f"{trace.path}: its inputs are pictures; leave out the modality {modality!r}")
    replay = Replay(trace, pairwise=losses.pairwise, progress=_share(progress, 0.0, 0.1))
    with one_thread():
        candidates = _learn(replay, losses, split, seed=seed, progress=_share(progress, 0.1, 0.8))
        sweeps = _compete(candidates, replay, losses, split, seed=seed, progress=_share(progress, 0.8, 1.0))
        choice = choose(sweeps, accuracy=accuracy)
        spec = _make_spec(trace, losses, replay, choice, accuracy=accuracy, seed=seed)
        winner = next(candidate for candidate in candidates if candidate.name == choice.name)
        _write(out, winner, spec, replay, split)
    return FilterTraining(
        path=out,
        spec=spec,
        trained=split.trained,
        calibrated=split.stop - split.calibrated,
        redundant=None if losses.pairwise else float(1.0 - losses.needed.mean()),
        seconds=time.perf_counter() - started,
    )


def _train_on_singles(
    trace: Trace,
    losses: Losses,
    split: Split,
    *,
    modality: str,
    accuracy: float,
    out: Path,
    seed: int,
    progress: Progress | None,
) -> FilterTraining:
    """The same for inputs that stand alone: an encoder of their modality."""
    started = time.perf_counter()
    if losses.pairwise:
        raise InvalidInput("the rule `unchanged` compares with an earlier picture; give a rule on one input's output")
    values = list(islice(trace.inputs(), split.trained))
    made = fit_modality(modality, values)
    singles = Singles(trace, made)
    needed = losses.needed.mean(axis=0)
    with one_thread():
        network = fit_encoder(
            singles, needed, made, start=0, stop=split.trained, seed=seed, progress=_share(progress, 0.1, 0.9)
        )
        scores = np.ones(len(trace))
        scores[split.calibrated :] = scores_of(network, singles, np.arange(split.calibrated, split.stop))
        candidate = ScoredCandidate("network", scores, most=0.5)
        sensible = np.minimum(np.quantile(scores[split.calibrated :], np.linspace(0, 1, 120)), candidate.most)
        thresholds = np.append(-1.0, np.unique(sensible))
        found = sweep(candidate, thresholds, replay=singles, losses=losses, start=split.calibrated, stop=split.stop)
        choice = choose([found], accuracy=accuracy)
        spec = _make_spec(trace, losses, singles, choice, accuracy=accuracy, seed=seed, modality=made)
        write_encoder(out, network, spec)
    _, session = load_filter(out)
    for current in range(split.calibrated, min(split.calibrated + 16, split.stop)):
        written = session.run(None, {"input": singles.rows([current])})[0][0, 0]
        difference = abs(float(written) - float(candidate.all[current]))
        if not difference <= _PARITY:
            out.unlink()
            raise AssertionError(f"the written filter differs from the trained one by {difference:.2g}")
    return FilterTraining(
        path=out,
        spec=spec,
        trained=split.trained,
        calibrated=split.stop - split.calibrated,
        redundant=float(1.0 - losses.needed.mean()),
        seconds=time.perf_counter() - started,
    )


def _learn(replay: Replay, losses: Losses, split: Split, *, seed: int, progress: Progress | None) -> list[Candidate]:
    """Every candidate, the learned ones trained: those that are preferred among equals come first."""
    learned: list[Candidate] = []
    if replay.pairwise:
        learned.append(PaceCandidate(fit_pace(replay, losses, start=0, stop=split.trained), replay))
    network = fit_network(replay, losses, start=0, stop=split.trained, seed=seed, progress=progress)
    learned.append(NetworkCandidate(network, replay))
    free = _FREE_PAIRWISE if replay.pairwise else _FREE_SKIP
    return [*learned, *(ScalarCandidate(name, replay) for name in free)]


def _compete(
    candidates: Sequence[Candidate],
    replay: Replay,
    losses: Losses,
    split: Split,
    *,
    seed: int,
    progress: Progress | None,
) -> list[Sweep]:
    """Runs every candidate over the calibration part in closed loop, at thresholds that suit its scores there."""
    found = []
    for i, candidate in enumerate(candidates):
        if progress is not None:
            progress(i / len(candidates), f"calibrating: {candidate.name}")
        found.append(calibrate(candidate, replay, losses, split, seed=seed))
    return found


def _make_spec(
    trace: Trace,
    losses: Losses,
    replay: Replay | Singles,
    choice: Choice,
    *,
    accuracy: float,
    seed: int,
    modality: Modality | None = None,
) -> FilterSpec:
    import onnx
    import torch

    return FilterSpec(
        kind=choice.name,
        rule=losses.rule.text,
        models={model: trace.info.digests.get(model, "") for model in losses.models},
        reference="last kept" if losses.pairwise else "previous",
        threshold=choice.threshold,
        accuracy=accuracy,
        step_s=replay.step_s,
        longest_s=LONGEST_S if losses.pairwise else None,
        answers=_answers(trace, losses),
        modality=modality,
        certificate=choice.certificate,
        table=choice.table,
        candidates=choice.candidates,
        versions={"infilink": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__},
        seed=seed,
    )


def _answers(trace: Trace, losses: Losses) -> dict[str, str]:
    """For a label rule: the commonest class among a model's redundant outputs."""
    if not isinstance(losses.rule, LabelIn | LabelNotIn):
        return {}
    found = {}
    for model, needed in zip(losses.models, losses.needed, strict=True):
        labels = [int(np.argmax(output)) for output in trace.outputs(model)]
        counts = np.bincount(np.asarray(labels)[needed == 0])
        found[model] = trace.models[model].output.classes[int(np.argmax(counts))]
    return found


def _write(out: Path, winner: Candidate, spec: FilterSpec, replay: Replay, split: Split) -> None:
    """Writes the winner, and makes sure that the file computes what was calibrated."""
    if isinstance(winner, NetworkCandidate):
        write_network(out, winner.network, spec)
    elif isinstance(winner, PaceCandidate):
        write_pace(out, winner.pace, spec)
    else:
        write_scalar(out, winner.name, spec)
    _, session = load_filter(out)
    for current in range(split.calibrated, min(split.calibrated + 16, split.stop)):
        kept = np.asarray([current - 1])
        now = np.asarray([current])
        channels = np.ascontiguousarray(to_channels(replay.images(kept, now)).numpy())
        written = session.run(None, {"channels": channels, "scalars": replay.scalars(kept, now)})[0][0, 0]
        difference = abs(float(written) - float(winner.scores(kept, current)[0]))
        if not difference <= _PARITY:
            out.unlink()
            raise AssertionError(f"the written filter differs from the trained one by {difference:.2g}")


def _share(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """A part of the whole work's progress."""
    if progress is None:
        return None
    whole = progress
    return lambda done, doing: whole(start + done * (stop - start), doing)
