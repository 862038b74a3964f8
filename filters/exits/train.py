"""Learns where a small model says what a big one would, and certifies up to which doubt it may answer in its place."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ... import __version__
from ...errors import InvalidInput, NotCertified, UnknownModel
from ...files import replacing
from ...models.onnx_model import OnnxModel
from ...models.spec import METADATA_KEY as MODEL_KEY
from ...models.spec import ModelSpec, digest
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..local.certify import certify_doubt
from ..proof import check_times, unproven
from ..training.workload import check_accuracy, split_of
from .cues import LEAST_SCORE, Cues
from .doubt import Doubt
from .mapping import ClassMap
from .spec import DOUBT_KEY, METADATA_KEY, ExitSpec

# So many scores are tried as the least of an answer, about the model's own.
_SCORES = np.linspace(0.15, 0.75, 13)
_BEYOND = 1.5


@dataclass(frozen=True)
class ExitTraining:
    """The result of a training.

    Attributes:
        path: the file.
        spec: what it says of itself.
        trained: how many inputs it was learnt from.
        calibrated: how many later ones its doubt was certified on.
        small_ms: what the small model took on an input, on this machine.
        seconds: how long it all took.
    """

    path: Path
    spec: ExitSpec
    trained: int
    calibrated: int
    small_ms: float
    seconds: float


def train_exit(
    trace: Trace,
    *,
    model: str,
    small: Path,
    accuracy: float,
    out: Path,
    classes: Sequence[str] = (),
    uncertified: bool = False,
    progress: Progress | None = None,
) -> ExitTraining:
    """Learns from a trace with the big model's outputs where a small model may stand in for it, and writes it to `out`.

    Args:
        trace: pictures, and what the big model said of each.
        model: the big model's name.
        small: the small model's file.
        accuracy: the least mean agreement with the big model.
        out: the file: the small model, and beside its graph when it is to be believed.
        classes: of which the answers shall speak; none: all that both models know.
        uncertified: whether to write it although nothing is proven.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the models' outputs can't be compared, or the trace is too short or holds no pictures.
        NotCertified: no doubt is proven to keep the accuracy.
        UnknownModel: the trace has no such model.
    """
    started = time.perf_counter()
    check_accuracy(accuracy)
    if model not in trace.models:
        raise UnknownModel(model, tuple(trace.models))
    if trace.info.modality not in ("image", ""):
        raise InvalidInput(f"{trace.path}: an exit looks at pictures, and its inputs are {trace.info.told_input}")
    if not uncertified:
        check_times(trace)
    split = split_of(trace)
    loaded = OnnxModel(small)
    big, spec = trace.models[model].output, loaded.spec
    looking = _looking(spec)
    found = ClassMap.of(spec.output, big, classes=classes, score=spec.decoder.score)
    looked_s = time.perf_counter()
    loaded.spec = looking
    said = _look(loaded, trace, found, progress)
    small_ms = 1000.0 * (time.perf_counter() - looked_s) / len(trace)
    exact = trace.outputs(model)
    found = _best_score(found, said[: split.trained], exact[: split.trained])
    agreements = np.asarray([_agreement(found, a, b) for a, b in zip(said, exact, strict=True)])
    cues = _cues(trace, found, said)
    # What is certified is what the file holds: packing rounds a little.
    packed = Doubt.fit(cues[: split.trained], agreements[: split.trained]).pack()
    doubt = Doubt.unpack(packed, path=out)
    later, disagreements = cues[split.calibrated :], 1.0 - agreements[split.calibrated :]
    furthest = _BEYOND * float(doubt.unlike(later).max())
    doubts = 1.0 - doubt.confidence(later)
    choice = certify_doubt(model, doubts, disagreements, accuracy=accuracy, constant=disagreements)
    certificate = unproven(choice.certificate, trace)
    if not certificate.certified and not uncertified:
        raise NotCertified(_hopeless(certificate.more_runs, accuracy, float(1.0 - disagreements.mean())))
    answered = doubts <= choice.threshold
    import onnx

    written = ExitSpec(
        model=model,
        digest=trace.info.digests[model],
        small=spec.name,
        small_digest=digest(small),
        classes=found,
        accuracy=accuracy,
        threshold=choice.threshold,
        furthest=furthest,
        agreement=float(1.0 - disagreements[answered].mean()) if answered.any() else 0.0,
        always=float(1.0 - disagreements.mean()),
        certificate=certificate,
        table=choice.table,
        learnt_from=LearntFrom.of(trace),
        versions={"infilink": __version__, "onnx": onnx.__version__},
    )
    _save(
        out,
        small,
        {
            MODEL_KEY: looking.model_dump_json(exclude_defaults=True),
            METADATA_KEY: written.model_dump_json(),
            DOUBT_KEY: packed,
        },
    )
    seconds = time.perf_counter() - started
    return ExitTraining(out, written, split.trained, split.stop - split.calibrated, small_ms, seconds)


def _looking(spec: ModelSpec) -> ModelSpec:
    """The small model's spec as its doubt needs it: boxes down to a low score are told, too."""
    if spec.output.kind != "boxes":
        return spec
    lower = spec.decoder.model_copy(update={"score": min(LEAST_SCORE, spec.decoder.score)})
    return spec.model_copy(update={"decoder": lower})


def _look(small: OnnxModel, trace: Trace, classes: ClassMap, progress: Progress | None) -> list[Array]:
    """What the small model says of every input."""
    found = []
    for at, frame in enumerate(trace.frames()):
        found.append(classes.relevant(small.infer(frame)))
        if progress is not None and at % 50 == 0:
            progress(0.95 * at / len(trace), "the small model looks at the trace")
    return found


def _best_score(classes: ClassMap, said: Sequence[Array], exact: Sequence[Array]) -> ClassMap:
    """With the least score at which the small model's boxes agree best with the big one's: the two are not alike."""
    if classes.big.kind != "boxes":
        return classes
    tried = [classes, *(classes.model_copy(update={"score": float(score)}) for score in _SCORES)]
    return max(tried, key=lambda one: sum(_agreement(one, a, b) for a, b in zip(said, exact, strict=True)))


def _agreement(classes: ClassMap, said: Array, exact: Array) -> float:
    answer = classes.answer(said)
    return 0.0 if answer is None else classes.agreement(answer, exact)


def _cues(trace: Trace, classes: ClassMap, said: Sequence[Array]) -> Array:
    cues = Cues(classes.small, classes.score)
    size = _size(trace)
    return np.stack([cues.of(value, size) for value in said])


def _size(trace: Trace) -> tuple[int, int]:
    frame = next(iter(trace.frames()))
    return frame.shape[1], frame.shape[0]


def _save(out: Path, small: Path, metadata: dict[str, str]) -> None:
    """The small model's graph, with this metadata."""
    import onnx
    from onnx import helper

    graph = onnx.load(str(small))
    helper.set_model_props(graph, metadata)
    with replacing(out) as part:
        onnx.save(graph, str(part))


def _hopeless(more_runs: int, accuracy: float, always: float) -> str:
    more = f"some {more_runs} more runs would probably do" if more_runs else "record more"
    return (
        f"no doubt is proven to keep an agreement of {accuracy:g} (on all inputs the small model agrees to "
        f"{always:.3f}): {more}, ask for less (--accuracy), or have it without a proof (--uncertified)"
    )
