"""Learns a filter from a trace: trains, lets the candidates compete, certifies the threshold, writes one ONNX file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import InvalidInput
from ..outputs import Array
from ..trace import Trace
from .artifact import write_network, write_scalar
from .candidates import NetworkCandidate, ScalarCandidate
from .fit import fit_network
from .losses import Losses
from .network import TemporalNetwork, one_thread, to_channels
from .predicates import LabelIn, LabelNotIn
from .replay import LONGEST_S, Progress, Replay
from .rules import Rule
from .selection import Choice, choose
from .spec import FilterSpec, load_filter
from .sweep import Candidate, Sweep, levels, sweep

LEAST_INPUTS = 60
MOST_INPUTS = 8000
TRAIN_SHARE = 0.65
GAP_S = 2.0
_GAP_SHARE = 0.05
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


@dataclass(frozen=True)
class Split:
    """Where a trace is cut: inputs up to `trained` to learn from, those from `calibrated` on to certify with."""

    trained: int
    calibrated: int
    stop: int


def train_filter(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float,
    out: Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> FilterTraining:
    """Learns a filter for some of a trace's models (all, if none is named) and writes it to `out`.

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
    _check_worth(losses, split, accuracy)
    replay = Replay(trace, pairwise=losses.pairwise, progress=_share(progress, 0.0, 0.1))
    with one_thread():
        network = fit_network(
            replay, losses, start=0, stop=split.trained, seed=seed, progress=_share(progress, 0.1, 0.8)
        )
        sweeps = _compete(network, replay, losses, split, seed=seed, progress=_share(progress, 0.8, 1.0))
    choice = choose(sweeps, accuracy=accuracy)
    spec = _make_spec(trace, losses, choice, accuracy=accuracy, seed=seed)
    _write(out, network, spec, replay, split)
    return FilterTraining(
        path=out,
        spec=spec,
        trained=split.trained,
        calibrated=split.stop - split.calibrated,
        redundant=None if losses.pairwise else float(1.0 - losses.needed.mean()),
        seconds=time.perf_counter() - started,
    )


def split_of(trace: Trace) -> Split:
    """The cut in time, with a gap so that what is certified on does not touch what was learnt from.

    Raises:
        InvalidInput: the trace is too short, or its times do not rise.
    """
    if len(trace) < LEAST_INPUTS:
        raise InvalidInput(
            f"{trace.path}: {len(trace)} inputs are too few to learn a filter from: record at least {LEAST_INPUTS}, "
            "better 600"
        )
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path}: the times of capture do not rise from input to input")
    trained = round(TRAIN_SHARE * len(trace))
    end_s = trace.captured_s[trained] + GAP_S
    gap = min(int(np.searchsorted(trace.captured_s, end_s)) - trained, round(_GAP_SHARE * len(trace)))
    return Split(trained, trained + gap, len(trace))


def _check_worth(losses: Losses, split: Split, accuracy: float) -> None:
    """Refuses a rule that leaves nothing to learn."""
    name = f"rule {losses.rule.text!r} on {', '.join(losses.models)}"
    if losses.pairwise:
        current = np.arange(1, split.stop)
        if float(losses.of(np.zeros_like(current), current).max()) <= 0.0:
            raise InvalidInput(f"{name} is trivial: no output ever changes in this trace; record more, or other scenes")
        return
    needed = losses.needed.mean(axis=0)
    redundant = 1.0 - float(needed.mean())
    if redundant <= 0.0:
        raise InvalidInput(f"{name} never fires: none of {len(needed)} inputs is redundant; give another rule")
    if redundant >= 1.0:
        raise InvalidInput(f"{name} is trivial: all {len(needed)} inputs are redundant, so nothing needs the models")
    for part, values in (("training", needed[: split.trained]), ("calibration", needed[split.calibrated :])):
        if values.max() <= 0.0 or values.min() >= 1.0:
            kind = "redundant" if values.max() <= 0.0 else "needed"
            raise InvalidInput(
                f"{name}: all {len(values)} inputs of the {part} part are {kind}; record a longer trace, "
                "so that both kinds occur early and late"
            )
    if redundant >= accuracy:
        raise InvalidInput(
            f"{name} is trivial at accuracy {accuracy:g}: to skip everything is right for {redundant:.3f} of the "
            f"inputs; ask for more than that, for instance --accuracy {(1 + redundant) / 2:.3f}"
        )


def _compete(
    network: TemporalNetwork,
    replay: Replay,
    losses: Losses,
    split: Split,
    *,
    seed: int,
    progress: Progress | None,
) -> list[Sweep]:
    """Runs every candidate over the calibration part in closed loop, at thresholds that suit its scores there."""
    free = _FREE_PAIRWISE if replay.pairwise else _FREE_SKIP
    candidates: list[Candidate] = [NetworkCandidate(network, replay)]
    candidates += [ScalarCandidate(name, replay) for name in free]
    found = []
    for i, candidate in enumerate(candidates):
        if progress is not None:
            progress(i / len(candidates), f"calibrating: {candidate.name}")
        found.append(
            sweep(
                candidate,
                levels(candidate, replay, start=split.calibrated, stop=split.stop, seed=seed),
                replay=replay,
                losses=losses,
                start=split.calibrated,
                stop=split.stop,
                longest_s=LONGEST_S if replay.pairwise else None,
            )
        )
    return found


def _make_spec(trace: Trace, losses: Losses, choice: Choice, *, accuracy: float, seed: int) -> FilterSpec:
    import onnx
    import torch

    return FilterSpec(
        kind=choice.name,
        rule=losses.rule.text,
        models={model: trace.info.digests.get(model, "") for model in losses.models},
        reference="last kept" if losses.pairwise else "previous",
        threshold=choice.threshold,
        accuracy=accuracy,
        longest_s=LONGEST_S if losses.pairwise else None,
        answers=_answers(trace, losses),
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


def _write(out: Path, network: TemporalNetwork, spec: FilterSpec, replay: Replay, split: Split) -> None:
    """Writes the winner, and makes sure that the file computes what was calibrated."""
    if spec.kind != NetworkCandidate.name:
        write_scalar(out, spec.kind, spec)
        return
    write_network(out, network, spec)
    current = np.arange(split.calibrated, split.stop)[:16]
    kept = np.maximum(current - 3, 0)
    images, scalars = replay.images(kept, current), replay.scalars(kept, current)
    channels = np.ascontiguousarray(to_channels(images).numpy())
    written: Array = load_filter(out)[1].run(None, {"channels": channels, "scalars": scalars})[0][:, 0]
    worst = float(np.abs(written - network.scores(images, scalars)).max())
    if not worst <= _PARITY:
        out.unlink()
        raise AssertionError(f"the exported filter differs from the trained one by {worst:.2g}")


def _share(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """A part of the whole work's progress."""
    if progress is None:
        return None
    whole = progress
    return lambda done, doing: whole(start + done * (stop - start), doing)
