"""What is lost on each input that is not kept, read off the outputs in a trace."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from ...outputs import Array, OutputSpec
from ...traces.trace import Trace
from ..rules.parser import Rule, Unchanged
from ..rules.predicates import LabelIn, LabelNotIn
from ..rules.states import states


class Losses:
    """What is lost on an input that is not kept, by the rule.

    For a rule on one input it is the share of the models whose output was needed. For `unchanged` it is one minus the
    mean agreement with the outputs for the last kept input (or, with a bar, 1 if that is below the bar).

    Raises:
        InvalidInput: the rule does not fit a model's outputs.
    """

    def __init__(self, trace: Trace, models: Sequence[str], rule: Rule) -> None:
        self.rule = rule
        self.models = tuple(models)
        self._trace = trace
        self._pairs: list[PairAgreement] = []
        self.needed = np.zeros((len(models), len(trace)))
        for row, model in enumerate(models):
            outputs = trace.outputs(model)
            spec = trace.models[model].output
            if isinstance(rule, Unchanged):
                self._pairs.append(PairAgreement(outputs, spec, rule))
            else:
                rule.check(spec)
                self.needed[row] = [not rule.redundant(output, spec) for output in outputs]

    @property
    def pairwise(self) -> bool:
        """Whether the loss depends on the last kept input."""
        return isinstance(self.rule, Unchanged)

    @cached_property
    def truth(self) -> dict[str, Array]:
        """What the models' own outputs in the trace state, as `states`; nothing where inputs have no times."""
        if self._trace.info.times == "order":
            return {}
        return self.states({model: self._trace.outputs(model) for model in self.models})

    @property
    def seeks(self) -> bool:
        """Whether an input is needed where something is there, rather than by how many there are, or which label."""
        return not any(what.endswith(self.rule.text) for what in self.truth)

    def states(self, outputs: Mapping[str, Sequence[Array | None]]) -> dict[str, Array]:
        """What answers state, by the rule: per thing that it tells apart, on which inputs: bool (inputs,).

        Things are "person", "person in door", or the rule's text; "yolox: person" where there are several models.

        Args:
            outputs: per model, its answer for each input; None: the input was skipped, so that nothing is stated.
        """
        found: dict[str, Array] = {}
        for model in self.models:
            stated = states(self.rule, outputs[model], self._trace.models[model].output)
            found |= {f"{model}: {what}" if len(self.models) > 1 else what: there for what, there in stated.items()}
        return found

    def agreements(self, kept: Array, current: Array) -> Array:
        """Per model and pair: how far the answer for `current` is right if `kept` is the last kept input."""
        if self.pairwise:
            return np.stack([pairs.of(kept, current) for pairs in self._pairs])
        return np.asarray(1.0 - self.needed[:, current])

    def of(self, kept: Array, current: Array) -> Array:
        """Per pair: the loss, from 0 to 1."""
        mean = self.agreements(kept, current).mean(axis=0)
        return self.rule.loss(mean) if isinstance(self.rule, Unchanged) else np.asarray(1.0 - mean)


class PairAgreement:
    """How far a model's outputs for two inputs agree, for many pairs at once."""

    def __init__(self, outputs: Sequence[Array], spec: OutputSpec, rule: Unchanged | None = None) -> None:
        self.outputs = outputs
        self.spec = spec
        self.rule = Unchanged() if rule is None else rule
        one_by_one = self.rule.min_iou is not None and spec.kind == "boxes"
        self._compact = None if one_by_one else spec.compact(outputs)
        self._known: dict[tuple[int, int], float] = {}

    def of(self, first: Array, second: Array) -> Array:
        """The agreement of the outputs at the indices `first` with those at `second`: float64, from 0 to 1."""
        if self._compact is None:
            return np.asarray([self._one(int(i), int(j)) for i, j in zip(first, second, strict=True)])
        return self.spec.agreements(self._compact[first], self._compact[second])

    def _one(self, i: int, j: int) -> float:
        if (i, j) not in self._known:
            self._known[i, j] = self.rule.agreement(self.outputs[i], self.outputs[j], self.spec)
        return self._known[i, j]


def answers_of(trace: Trace, losses: Losses) -> dict[str, str]:
    """For a label rule: the commonest class among a model's redundant outputs; for others nothing: the empty output."""
    if not isinstance(losses.rule, LabelIn | LabelNotIn):
        return {}
    found = {}
    for model, needed in zip(losses.models, losses.needed, strict=True):
        labels = [int(np.argmax(output)) for output in trace.outputs(model)]
        counts = np.bincount(np.asarray(labels)[needed == 0])
        found[model] = trace.models[model].output.classes[int(np.argmax(counts))]
    return found
