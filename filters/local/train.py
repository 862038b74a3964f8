"""Learns a head for every model of a trace, and certifies up to which doubt it may answer in the model's place.

NumPy learns them; only the file takes the `onnx` package.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ... import __version__
from ...errors import InvalidInput, NotCertified, UnknownModel
from ...models.heads.head import Head
from ...models.heads.threads import one_blas_thread
from ...models.stem.stem import Stem
from ...outputs import Array, OutputSpec
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..proof import check_times, unproven
from ..spec import FilterStem, Level
from ..training.workload import Split, check_accuracy, split_of
from .certify import certify_doubt, nothing_proven
from .graph import heads_graph, save_heads
from .packed import METADATA_KEY as LEARNT_KEY
from .packed import pack_heads, unpack_heads
from .spec import METADATA_KEY, HeadSpec, HeadsSpec

_TRIED = 5
# An input is unlike all that was learnt and calibrated if it is so many times as unlike as any of these. With 1, a
# fifth of what was answered right on four clips would have been asked.
_BEYOND = 1.5


@dataclass(frozen=True)
class HeadsTraining:
    """The result of a training.

    Attributes:
        path: the file.
        spec: what it says of itself.
        trained: how many inputs the heads were learnt from.
        calibrated: how many later ones their doubt was certified on.
        without: the models that have no head, with why.
        seconds: how long it all took.
    """

    path: Path
    spec: HeadsSpec
    trained: int
    calibrated: int
    without: dict[str, str]
    seconds: float


def train_heads(
    trace: Trace,
    *,
    stem: Stem,
    accuracy: float,
    out: Path,
    models: Sequence[str] = (),
    uncertified: bool = False,
    progress: Progress | None = None,
) -> HeadsTraining:
    """Learns heads for some of a trace's models (all, if none is named) and writes them to `out`.

    Args:
        trace: pictures, and what the models said of each.
        stem: whose features the heads read.
        accuracy: the least mean agreement with each model.
        out: the file.
        models: whose heads are learnt.
        uncertified: whether a head answers although nothing is proven of it; its answers are then not trusted.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the trace is too short or holds no pictures, or no model has a head.
        NotCertified: no head is proven to keep the accuracy up to any doubt.
        UnknownModel: the trace has no such model.
    """
    started = time.perf_counter()
    check_accuracy(accuracy)
    if not uncertified:
        check_times(trace)
    for model in models:
        if model not in trace.models:
            raise UnknownModel(model, tuple(trace.models))
    split = split_of(trace)
    features = _look(stem, trace, part_of(progress, 0.0, 0.9))
    outputs = {model: trace.outputs(model) for model in models or trace.models}
    without = {model: "its outputs are tokens" for model in outputs if trace.models[model].output.kind == "tokens"}
    learnt: dict[str, Sequence[Array]] = {
        model: values[: split.trained] for model, values in outputs.items() if model not in without
    }
    if not learnt:
        raise InvalidInput(f"{trace.path}: no model of it has a head: {', '.join(without)}: outputs are tokens")
    types = {model: trace.models[model].output for model in learnt}
    with one_blas_thread():
        fitted = Head.fit_all(features[: split.trained], learnt, types)
    # What is certified is what the file holds: packing rounds a little.
    text = pack_heads(fitted)
    heads = unpack_heads(text, path=out)
    specs = [
        _certified(trace, model, heads[model], features, split, accuracy=accuracy, uncertified=uncertified)
        for model in learnt
    ]
    unlike = next(iter(heads.values())).linear.doubt(features[split.calibrated :])
    spec = HeadsSpec(
        stem=FilterStem(spec=stem.spec, digest=stem.digest),
        accuracy=accuracy,
        heads=tuple(specs),
        furthest=_BEYOND * float(unlike.max()),
        learnt_from=LearntFrom.of(trace),
        versions={"infilink": __version__, "onnx": onnx.__version__},
    )
    if not spec.answering:
        raise NotCertified(_hopeless(spec, uncertified=uncertified))
    graph = heads_graph(stem.path, next(iter(heads.values())).linear.folded())
    save_heads(out, graph, {METADATA_KEY: spec.model_dump_json(), LEARNT_KEY: text})
    seconds = time.perf_counter() - started
    return HeadsTraining(out, spec, split.trained, split.stop - split.calibrated, without, seconds)


def _look(stem: Stem, trace: Trace, progress: Progress | None) -> Array:
    """The features of every input: float32 (inputs, length)."""
    features = np.empty((len(trace), stem.spec.length), np.float32)
    for i, frame in enumerate(trace.frames()):
        features[i] = stem.see(frame).features
        if progress is not None and i % 50 == 0:
            progress(i / len(trace), "the stem looks at the trace")
    return features


def _certified(
    trace: Trace, model: str, head: Head, features: Array, split: Split, *, accuracy: float, uncertified: bool
) -> HeadSpec:
    """A head with the doubt up to which it answers."""
    output, outputs = trace.models[model].output, trace.outputs(model)
    exact = outputs[split.calibrated :]
    found = head.answer(features[split.calibrated :])
    doubts = 1.0 - found.confidence
    disagreements = 1.0 - _agreements(output, found.values, exact)
    tried = np.unique(np.linspace(0, split.trained - 1, _TRIED).round().astype(int)).tolist()
    constants = [1.0 - _agreements(output, [outputs[i]] * len(exact), exact) for i in tried]
    constant = min(constants, key=lambda each: float(each.mean()))
    threshold: float | None = None
    table: tuple[Level, ...] = ()
    try:
        choice = certify_doubt(model, doubts, disagreements, accuracy=accuracy, constant=constant)
    except NotCertified as error:
        certificate = nothing_proven(len(exact), str(error))
    else:
        certificate, table = unproven(choice.certificate, trace), choice.table
        threshold = choice.threshold if certificate.certified or uncertified else None
    answered = doubts <= (-1.0 if threshold is None else threshold)
    return HeadSpec(
        model=model,
        digest=trace.info.digests[model],
        output=output,
        threshold=threshold,
        agreement=float(1.0 - disagreements[answered].mean()) if answered.any() else 0.0,
        constant=float(1.0 - constant.mean()),
        certificate=certificate,
        table=table,
    )


def _agreements(output: OutputSpec, said: Sequence[Array], exact: Sequence[Array]) -> Array:
    return np.asarray([output.agreement(a, b) for a, b in zip(said, exact, strict=True)])


def _hopeless(spec: HeadsSpec, *, uncertified: bool) -> str:
    """Why no head answers, and what would help."""
    names = ", ".join(head.model for head in spec.heads)
    if uncertified:
        return (
            f"no head of {names} agrees with its model to {spec.accuracy:g} on the calibration part, however little "
            "its doubt: ask for less (--accuracy), or record more"
        )
    nearest = min(spec.heads, key=lambda head: head.certificate.upper_bound)
    found = nearest.certificate
    more = (
        f"some {found.more_runs} more runs would probably do for {nearest.model}" if found.more_runs else "record more"
    )
    return (
        f"no head of {names} is proven to agree with its model to {spec.accuracy:g} on the calibration part: {more}, "
        "ask for less (--accuracy), or have them without a proof (--uncertified)"
    )
