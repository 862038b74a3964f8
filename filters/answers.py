"""What answers an input that is skipped: the rule's NONE value."""

import numpy as np

from ..trace import Trace
from .losses import Losses
from .predicates import LabelIn, LabelNotIn


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
