"""Trains reuse on a trace: which inputs repeat a result, how near is near enough, certified, in one ONNX file."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import torch

from ... import __version__
from ...errors import InvalidInput
from ...models.heads.binary import Binary
from ...models.heads.linear import Linear
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..proof import check_times, unproven
from ..rules.code import digests_in
from ..rules.parser import Rule
from ..rules.zones import zones_in
from ..spec import FilterStem
from ..training.fit_loop import one_thread
from ..training.graphs import save_with_spec, session_of, traced_graph
from ..training.replay import Singles
from ..training.selection import EQUAL
from ..training.stem_view import StemView
from .cache import ResultCache
from .certify import CacheMaker, Gates, Stretch, certify_gates, greatest_rate, skip_threshold
from .evaluate import descriptors, measure_competitors
from .fit import fit_pairs, validated_from
from .gate import ReuseRuntime
from .result_key import AT_LEAST
from .spec import METADATA_KEY, Competitor, ReuseSpec
from .stem_key import fit_key, key_graph
from .store import CacheSettings, Eviction
from .task import ReuseTask, read_task

MOST_INPUTS = 8000
_MOST_SCORE = 0.5
# The share of the errors that are allowed which the SKIP score may use up.
_SKIP_SHARE = 1 / 3
_TIMED = 50


@dataclass(frozen=True)
class ReuseTraining:
    """The result of a training.

    Attributes:
        path: the reuse file.
        spec: what it says of itself: gates, certificate, competitors.
        trained: inputs that it was trained on.
        calibrated: inputs that it was certified on, all later than those.
        results: different results among the inputs that it was trained on.
        decide_s: the median time of a decision, here.
        break_even: the share of inputs it has to answer to cost less than it saves, by what the model cost when it was
            recorded; above 1: it never does.
        seconds: how long it all took.
    """

    path: Path
    spec: ReuseSpec
    trained: int
    calibrated: int
    results: int
    decide_s: float
    break_even: float
    seconds: float


def train_reuse(
    trace: Trace,
    *,
    model: str,
    accuracy: float,
    out: Path,
    modality: str = "",
    rule: Rule | None = None,
    stem: Stem | None = None,
    capacity: int = 1000,
    neighbours: int = 10,
    ttl_s: float | None = None,
    eviction: Eviction = "lru",
    step: float | None = None,
    at_least: float = AT_LEAST,
    uncertified: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> ReuseTraining:
    """Learns to reuse one model's results (InFi's sections 2.2 to 2.6) and writes that to `out`.

    Args:
        trace: inputs and the model's outputs, in the order of time.
        model: whose results are reused.
        accuracy: the least mean agreement with the model's own outputs, above 0 and below 1.
        out: the file that is written.
        modality: how inputs are seen: text, signal, audio, image and so on; "": as the trace says.
        rule: a SKIP rule on one input's output, which then shares encoder and forward pass.
        stem: pictures: off whose features a key is read, too, in closed form; of that and the trained encoder's the
            better on later inputs is taken. None: there is the encoder alone.
        capacity: how many results the cache holds.
        neighbours: how many of them are asked.
        ttl_s: after so many seconds of the trace's clock a result expires; None: never.
        eviction: which result makes room: "lru" or "lfu".
        step: for scalars: results in the same step count as the same; None: half the tolerance.
        at_least: the agreement from which vectors, masks and boxes by place count as the same.
        uncertified: whether a file is written although nothing is proven of it; it then says so.
        seed: of all random draws.
        progress: is told the share done.

    Raises:
        InvalidInput: a setting is out of its range, the trace is too short, or the commonest answer is good enough.
        NotCertified: nothing that helps can be certified.
        UnknownModel: the trace has no such model.
    """
    started = time.perf_counter()
    if not 0.0 < accuracy < 1.0:
        raise InvalidInput(f"accuracy must be above 0 and below 1, not {accuracy:g}")
    if not uncertified:
        check_times(trace)
    settings = CacheSettings(
        capacity=capacity, neighbours=neighbours, ttl_s=ttl_s, eviction=eviction, step=step, at_least=at_least
    )
    modality = modality or trace.info.modality
    with trace.part(max(0, len(trace) - MOST_INPUTS), len(trace)) as part, one_thread():
        task = read_task(part, model=model, modality=modality, rule=rule, settings=settings, accuracy=accuracy)
        trained, calibrated = task.split.trained, task.split.calibrated
        learning, judging = (part_of(progress, *share) for share in ((0.0, 0.7), (0.7, 0.9)))
        view = None if stem is None else _view(stem, part, modality, learning)
        make = partial(_make_cache, task, settings)
        key = _trained(task, seed=seed, progress=learning)
        if view is not None:
            key = _better(key, task, view, make, accuracy=accuracy)
        embeddings, scores = key.embeddings, key.scores
        threshold = (
            None if scores is None or task.needed is None else _threshold(scores, task.needed, trained, accuracy)
        )
        stretch = _stretch(task, embeddings, scores, threshold)
        gates = certify_gates(
            stretch,
            make(embeddings.shape[1]),
            accuracy=accuracy,
            most=key.most,
            uncertified=uncertified,
            progress=judging,
        )
        made = _make_spec(
            task,
            gates,
            model=model,
            dims=embeddings.shape[1],
            accuracy=accuracy,
            settings=settings,
            rule=rule,
            threshold=threshold,
            competitors=_compete(task, stretch, gates, settings, accuracy=accuracy, seed=seed),
            seed=seed,
        )
        made = made.model_copy(
            update={
                "learnt_from": LearntFrom.of(part),
                "certificate": unproven(made.certificate, trace),
                "stem": key.stem,
            }
        )
        save_with_spec(out, key.graph, made, key=METADATA_KEY)
        decide_s = _decide_s(out, part, calibrated)
    cost = trace.info.costs[model]
    return ReuseTraining(
        path=out,
        spec=made,
        trained=trained,
        calibrated=len(stretch.outputs),
        results=len(np.unique(task.keys[:trained])),
        decide_s=decide_s,
        break_even=decide_s / max(cost.infer_s, 1e-9),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Key:
    """What a cache is asked with: the file's graph, and what it makes of every input.

    Attributes:
        graph: gives embeddings, and scores if there is a SKIP rule.
        embeddings: float32 (inputs, dims).
        scores: float32 (inputs,); None without a rule.
        most: the greatest distance that makes sense.
        stem: the stem in the graph; None: it has none.
    """

    graph: onnx.ModelProto
    embeddings: Array
    scores: Array | None
    most: float
    stem: FilterStem | None = None


def _trained(task: ReuseTask, *, seed: int, progress: Progress | None) -> _Key:
    """By an encoder that is trained."""
    network = fit_pairs(
        task.singles,
        task.keys,
        task.modality,
        stop=task.split.trained,
        seed=seed,
        needed=task.needed,
        progress=progress,
    )
    outputs = ("embedding",) if network.head is None else ("embedding", "score")
    graph = traced_graph(network, task.singles.rows(np.arange(min(16, len(task.singles)))), outputs)
    embeddings, scores = _embed(graph, task.singles)
    return _Key(graph, embeddings, scores, float(network.bias.detach()))


def _view(stem: Stem, trace: Trace, modality: str, progress: Progress | None) -> StemView:
    view = StemView.beside(stem, trace, modality, progress=progress)
    if modality != "image" or view is None:
        raise InvalidInput(f"--stem {stem.path}: a stem looks at pictures, one at a time: --modality image")
    return view


def _better(
    trained: _Key, task: ReuseTask, view: StemView, make: Callable[[int], CacheMaker], *, accuracy: float
) -> _Key:
    """The trained key or that of a stem: whichever answers more of the inputs that the encoder was validated on.

    The stem's is learnt in no time, and of equals it is preferred.
    """
    middle, stop = validated_from(task.split.trained), task.split.trained
    part = slice(middle, stop)
    read = fit_key(view.features[:middle], task.keys[:middle], task.outputs[:middle], task.spec)
    if read is None:
        return trained
    rates = []
    for embeddings in (trained.embeddings[part], read.predict(view.features[part]).astype(np.float32)):
        outputs, captured_s = task.outputs[part], task.singles.captured_s[part]
        none = np.zeros(stop - middle)
        stretch = Stretch(task.spec, embeddings, outputs, captured_s, none > 0, none)
        rates.append(greatest_rate(stretch, make(embeddings.shape[1]), accuracy=accuracy))
    learnt = slice(0, stop)
    key = fit_key(view.features[learnt], task.keys[learnt], task.outputs[learnt], task.spec)
    return trained if key is None or rates[0] > rates[1] + EQUAL else _read_off(task, view, key)


def _read_off(task: ReuseTask, view: StemView, key: Linear) -> _Key:
    """By a head on a stem."""
    learnt = slice(0, task.split.trained)
    scored = None if task.needed is None else Binary.fit(view.features[learnt], task.needed[learnt] > 0.5)
    scores = None if scored is None else scored.predict(view.features).astype(np.float32)
    embeddings = key.predict(view.features).astype(np.float32)
    return _Key(key_graph(view, key, scored), embeddings, scores, float("inf"), view.used)


def _embed(graph: onnx.ModelProto, singles: Singles) -> tuple[Array, Array | None]:
    """Every input's embedding and score by the file itself, one at a time as a device does it."""
    session = session_of(graph)
    found = [session.run(None, {"input": singles.rows([i])}) for i in range(len(singles))]
    scores = np.concatenate([each[1][:, 0] for each in found]) if len(found[0]) > 1 else None
    return np.concatenate([each[0] for each in found]), scores


def _threshold(scores: Array, needed: Array, trained: int, accuracy: float) -> float | None:
    """The SKIP score's threshold, picked on the validation inputs: the calibration part then proves it."""
    part = slice(validated_from(trained), trained)
    allowed = _SKIP_SHARE * (1.0 - accuracy)
    return skip_threshold(scores[part], needed[part], allowed=allowed, most=_MOST_SCORE)


def _stretch(task: ReuseTask, embeddings: Array, scores: Array | None, threshold: float | None) -> Stretch:
    part = task.calibration
    count = task.split.stop - task.split.calibrated
    return Stretch(
        spec=task.spec,
        embeddings=embeddings[part],
        outputs=task.outputs[part],
        captured_s=task.singles.captured_s[part],
        skipped=np.zeros(count, np.bool_) if scores is None or threshold is None else scores[part] <= threshold,
        skip_losses=np.zeros(count) if task.needed is None else task.needed[part],
    )


def _make_cache(task: ReuseTask, settings: CacheSettings, dims: int) -> CacheMaker:
    def make(gate: float, theta: float) -> ResultCache:
        return ResultCache(task.spec, dims=dims, version=task.digest, gate=gate, theta=theta, settings=settings)

    return make


def _compete(
    task: ReuseTask, stretch: Stretch, gates: Gates, settings: CacheSettings, *, accuracy: float, seed: int
) -> dict[str, Competitor]:
    raw = descriptors(task.singles.rows(np.arange(task.split.calibrated, task.split.stop)), task.modality)
    others = measure_competitors(
        stretch,
        raw=raw,
        make_raw=_make_cache(task, settings, raw.shape[1]),
        theta=gates.theta,
        majority=task.majority,
        keys=task.keys[task.calibration],
        accuracy=accuracy,
        seed=seed,
    )
    note = "this one, its gate picked as the others'"
    return {"learned": Competitor(rate=gates.rate, accuracy=gates.rate_accuracy, note=note), **others}


def _make_spec(
    task: ReuseTask,
    gates: Gates,
    *,
    model: str,
    dims: int,
    accuracy: float,
    settings: CacheSettings,
    rule: Rule | None,
    threshold: float | None,
    competitors: dict[str, Competitor],
    seed: int,
) -> ReuseSpec:
    found = gates.choice.certificate
    return ReuseSpec(
        model=model,
        digest=task.digest,
        output=task.spec,
        modality=task.modality,
        dims=dims,
        accuracy=accuracy,
        gate=gates.gate,
        theta=gates.theta,
        cache=settings,
        rule="" if rule is None else rule.text,
        zones=zones_in(rule),
        rule_files={} if rule is None else digests_in(rule),
        skip_threshold=threshold if gates.skips else None,
        skip_answer=task.skip_answer,
        certificate=found,
        answered_agreement=1.0 - found.error / found.rate,
        table=gates.choice.table,
        competitors=competitors,
        versions={"infilink": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__},
        seed=seed,
    )


def _decide_s(out: Path, trace: Trace, start: int) -> float:
    """The median time of a decision with a cache that fills."""
    runtime, times = ReuseRuntime(out), []
    outputs = trace.outputs(runtime.spec.model)[start:]
    with trace.part(start, len(trace)) as part:
        for value, output in islice(zip(part.inputs(), outputs, strict=True), _TIMED):
            started = time.perf_counter()
            decision = runtime.decide(value, 0.0)
            times.append(time.perf_counter() - started)
            if decision.ticket is not None:
                runtime.learn(decision.ticket, output, 0.0)
    return float(np.median(times))
