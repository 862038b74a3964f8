"""What reuse is learned from: a trace's inputs, one model's outputs, and which of these count as the same."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ...traces.trace import Trace
from ..modalities import Learnable, fit_modality
from ..modalities.video import Video
from ..rules.parser import Rule, Unchanged
from ..rules.predicates import LabelIn, LabelNotIn
from ..training.losses import Losses
from ..training.replay import Singles
from ..training.workload import Split, split_of
from .evaluate import majority_error
from .result_key import ResultKeys
from .store import CacheSettings


@dataclass(frozen=True)
class ReuseTask:
    """A trace, read for learning.

    Attributes:
        spec: of the model's outputs.
        digest: the model's.
        split: where the trace is cut.
        modality: fitted to the training part.
        singles: every input, prepared.
        outputs: the model's, for each input.
        keys: int (inputs,): the same number for the same result.
        needed: float (inputs,), by the SKIP rule, from 0 to 1; None without one.
        skip_answer: a label rule: the class that answers a skipped input; "": the empty output does.
    """

    spec: OutputSpec
    digest: str
    split: Split
    modality: Learnable
    singles: Singles
    outputs: list[Array]
    keys: Array
    needed: Array | None
    skip_answer: str

    @property
    def majority(self) -> Array:
        """The commonest result of the training part."""
        return self.outputs[_commonest(self.keys[: self.split.trained])]

    @property
    def calibration(self) -> slice:
        """The inputs that a gate is certified on."""
        return slice(self.split.calibrated, self.split.stop)


def read_task(
    trace: Trace, *, model: str, modality: str, rule: Rule | None, settings: CacheSettings, accuracy: float
) -> ReuseTask:
    """Reads a trace for learning.

    Raises:
        InvalidInput: the trace is too short, its inputs are of another kind, the rule compares with earlier inputs, or
            one answer for all inputs is as good as what was asked for.
        UnknownModel: the trace has no such model.
    """
    outputs = trace.outputs(model)
    spec = trace.models[model].output
    split = split_of(trace)
    same = ResultKeys(spec, step=settings.step, at_least=settings.at_least)
    keys = np.asarray([same.number(output) for output in outputs])
    majority = outputs[_commonest(keys[: split.trained])]
    judged = outputs[split.calibrated :]
    right = 1.0 - majority_error(majority, judged, spec)
    if right >= accuracy:
        raise InvalidInput(
            f"{trace.path}: reusing {model!r} is trivial at accuracy {accuracy:g}: its commonest result, "
            f"{spec.summary(majority)}, for every input is right for {right:.3f} of the last {len(judged)} "
            f"inputs; ask for more than that, for instance {(1 + right) / 2:.3f}, or use a SKIP filter"
        )
    needed = None if rule is None else _needed(trace, model, rule)
    made = fit_modality(modality, list(islice(trace.inputs(), split.trained)))
    if isinstance(made, Video):
        raise InvalidInput("modality 'video': a cache is asked about one picture at a time: use 'image'")
    return ReuseTask(
        spec=spec,
        digest=trace.info.digests.get(model, ""),
        split=split,
        modality=made,
        singles=Singles(trace, made),
        outputs=outputs,
        keys=keys,
        needed=needed,
        skip_answer=_skip_answer(outputs, spec, rule, needed),
    )


def _needed(trace: Trace, model: str, rule: Rule) -> Array:
    if isinstance(rule, Unchanged):
        raise InvalidInput("the rule `unchanged` is what a cache is for: leave it out, or give a rule on one output")
    return np.asarray(Losses(trace, (model,), rule).needed[0])


def _skip_answer(outputs: list[Array], spec: OutputSpec, rule: Rule | None, needed: Array | None) -> str:
    if needed is None or not isinstance(rule, LabelIn | LabelNotIn) or needed.all():
        return ""
    labels = np.asarray([int(np.argmax(output)) for output in outputs])
    return spec.classes[int(np.argmax(np.bincount(labels[needed == 0])))]


def _commonest(keys: Array) -> int:
    """The first input whose result is the commonest."""
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return int(first[np.argmax(counts)])
