"""How well reuse does: a reuse file on another trace, and what answers without a learned embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ...traces.trace import Trace
from ..evaluation.verdict import Contract, Promise, judge_losses, trace_warnings, worst_of
from ..modalities import Modality
from ..rules.loss import rule_loss
from ..rules.parser import Rule, Unchanged
from ..training.losses import PairAgreement
from ..training.sweep import Sweep
from .certify import CacheMaker, Stretch, best_rate, gates_of, sweep_gates
from .gate import ReuseRuntime
from .spec import Competitor

_DESCRIPTOR = 256
_SHARES = 41


@dataclass(frozen=True)
class ReuseEvaluation:
    """How well a reuse file did.

    Attributes:
        inputs: how many there are.
        rate: the share that was answered without the model.
        accuracy: the mean agreement with the model over all inputs, with 1 for an executed one.
        accuracy_answered: the same over the answered inputs; None if there are none.
        promised: the accuracy that the file promises.
        contract: whether it was kept.
        certified: whether it was promised with a certificate.
        promises: what is promised, with its verdict and the runs that rests on.
        majority_accuracy: of always giving the commonest result there.
        warnings: why this trace may say little of the file.
    """

    inputs: int
    rate: float
    accuracy: float
    accuracy_answered: float | None
    promised: float
    contract: Contract
    certified: bool
    promises: tuple[Promise, ...]
    majority_accuracy: float
    warnings: tuple[str, ...]


def evaluate_reuse(path: Path, trace: Trace, *, rule_files: Sequence[Path] = ()) -> ReuseEvaluation:
    """Runs it over the trace, its cache empty at first; an input that it does not answer is executed and remembered.

    Args:
        path: the reuse file.
        trace: of the same model.
        rule_files: of a SKIP rule that is Python code: the files that may run, as a person has named them.

    Raises:
        InvalidInput: it was learned from another model, or another version of it, or its rule is code that nobody has
            named.
    """
    runtime = ReuseRuntime(path)
    spec = runtime.spec
    if spec.model not in trace.models or trace.info.digests.get(spec.model, "") != spec.digest:
        raise InvalidInput(
            f"{path}: was learnt from another version of {spec.model} than {trace.path} has: train again"
        )
    outputs, output, rule = trace.outputs(spec.model), spec.output, spec.rule_with(rule_files)
    if rule is not None:
        rule.check(output)
    agreements = np.ones(len(trace))
    kept = np.ones(len(trace), bool)
    for i, (value, at) in enumerate(zip(trace.inputs(), trace.captured_s, strict=True)):
        decision = runtime.decide(value, float(at))
        kept[i] = decision.keep
        if decision.keep:
            runtime.learn(value if decision.ticket is None else decision.ticket, outputs[i], float(at))
        else:
            assert decision.answer is not None, "what is not kept is answered"
            by: Rule = rule if decision.origin == "skipped" and rule is not None else Unchanged()
            one = {spec.model: outputs[i]}
            agreements[i] = 1.0 - rule_loss(by, {spec.model: decision.answer}, one, {spec.model: output})
    runtime.close()
    commonest = max((sum(output.agreement(a, b) for b in outputs) for a in _distinct(outputs)), default=0.0)
    # If all were answered by the first result: so errors would come together.
    dropped = np.asarray([1.0 - output.agreement(outputs[0], each) for each in outputs])
    promise = judge_losses("accuracy", spec.accuracy, 1.0 - agreements, dropped=dropped)
    return ReuseEvaluation(
        inputs=len(trace),
        rate=float(1.0 - kept.mean()),
        accuracy=float(agreements.mean()),
        accuracy_answered=None if kept.all() else float(agreements[~kept].mean()),
        promised=spec.accuracy,
        contract=worst_of([promise]),
        certified=spec.certificate.certified,
        promises=(promise,),
        majority_accuracy=commonest / len(trace),
        warnings=trace_warnings(spec.learnt_from, spec.certificate, trace, float(1.0 - kept.mean())),
    )


def _distinct(outputs: list[Array], most: int = 32) -> list[Array]:
    """The commonest outputs, of at most so many different ones."""
    known: dict[bytes, list[int]] = {}
    for index, each in enumerate(outputs):
        known.setdefault(np.round(each, 2).tobytes(), []).append(index)
    return [outputs[found[0]] for found in sorted(known.values(), key=len, reverse=True)[:most]]


def measure_competitors(
    stretch: Stretch,
    *,
    raw: Array,
    make_raw: CacheMaker,
    theta: float,
    majority: Array,
    keys: Array,
    accuracy: float,
    seed: int,
) -> dict[str, Competitor]:
    """The best rate of each at an accuracy; its threshold is picked with the results known, which flatters it.

    Args:
        stretch: the calibration part.
        raw: its inputs' descriptors, float32 (inputs, dims).
        make_raw: makes an empty cache for them.
        theta: the least homogeneity that the learned one uses.
        majority: the commonest result of the training part.
        keys: int (inputs,): the same number for the same result.
        accuracy: that was asked for.
        seed: of the random draws.
    """
    spec, target = stretch.spec, 1.0 - accuracy
    inputs = len(stretch.outputs)
    whole = Stretch(spec, raw, stretch.outputs, stretch.captured_s, np.zeros(inputs, np.bool_), np.zeros(inputs))
    nearest = sweep_gates("nearest raw input", make_raw, whole, gates=gates_of(raw), theta=theta, target=target)
    held = _Held(stretch.outputs, spec)
    ladder = np.unique(np.append(np.arange(1, 17), np.geomspace(16, max(17, inputs), 12).round().astype(int)))
    every = held.sweep("last value", np.stack([np.arange(inputs) % step == 0 for step in ladder]))
    draws = np.random.default_rng(seed).random(inputs)
    random = held.sweep("random", draws >= np.linspace(0.0, 1.0, _SHARES)[:, None])
    found = {
        sweep.name: Competitor(rate=rate, accuracy=kept, note=note)
        for sweep, note in (
            (every, "executes every K-th input and holds its result"),
            (random, "executes inputs at random and holds the last result"),
            (nearest, "the same cache over the inputs as they are"),
        )
        for rate, kept in (best_rate(sweep, target),)
    }
    error = majority_error(majority, stretch.outputs, spec)
    share = 1.0 if error <= target else target / error
    found["majority"] = Competitor(rate=share, accuracy=1.0 - share * error, note="answers with the commonest result")
    repeated = 1.0 - len(np.unique(keys)) / inputs
    best = min(1.0, repeated + target)
    found["oracle"] = Competitor(rate=best, accuracy=accuracy, note="knows which results there were before; at most")
    return found


def descriptors(prepared: Array, modality: Modality) -> Array:
    """Inputs as they are, with nothing learned, in at most 256 numbers: float32 (n, dims).

    Texts are counts of hashed words; others are block means of what a network would be fed.

    Args:
        prepared: (n, ...), by the modality.
        modality: which one.
    """
    flat = prepared.reshape(len(prepared), -1)
    if modality.kind == "text":
        found = np.zeros((len(flat), _DESCRIPTOR), np.float32)
        rows, places = np.nonzero(flat)
        np.add.at(found, (rows, flat[rows, places] % _DESCRIPTOR), 1.0)
        return found
    starts = np.unique(np.linspace(0, flat.shape[1], min(_DESCRIPTOR, flat.shape[1]), endpoint=False).astype(int))
    widths = np.diff(np.append(starts, flat.shape[1]))
    return np.asarray(np.add.reduceat(flat, starts, axis=1) / widths, np.float32)


def majority_error(majority: Array, outputs: Sequence[Array], spec: OutputSpec) -> float:
    """The mean loss, from 0 to 1, of giving one result for all."""
    return float(np.mean([1.0 - spec.agreement(majority, output) for output in outputs]))


class _Held:
    """The losses of holding the last executed input's result."""

    def __init__(self, outputs: Sequence[Array], spec: OutputSpec) -> None:
        self._pairs = PairAgreement(outputs, spec)

    def sweep(self, name: str, kept: Array) -> Sweep:
        """One row per way to choose, bool (ways, inputs); the first input is executed in any case."""
        kept = kept.copy()
        kept[:, 0] = True
        places = np.arange(kept.shape[1])
        last = np.maximum.accumulate(np.where(kept, places, 0), axis=1)
        losses = np.zeros(kept.shape)
        for row, (ran, held) in enumerate(zip(kept, last, strict=True)):
            losses[row, ~ran] = 1.0 - self._pairs.of(held[~ran], places[~ran])
        return Sweep(name, np.arange(len(kept), dtype=np.float64), kept, losses)
