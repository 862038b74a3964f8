"""What is lost where an answer is held: by the rule, its verdict on that against its verdict on the model's own."""

from collections.abc import Mapping

import numpy as np

from ...outputs import Array, OutputSpec
from ..rules.parser import Rule, Unchanged
from ..training.losses import Losses


class HeldLosses:
    """The loss of holding one input's answer for another, on a trace.

    With `unchanged` it is one minus the agreement of the outputs, as everywhere. With a rule on one input it is whether
    the rule says something else of the held answer than of the input's own: an event that goes on is not lost.

    Args:
        losses: of a trace, by the rule.
    """

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self._known: dict[tuple[int, int], float] = {}

    def of(self, held: Array, current: Array) -> Array:
        """Per pair of inputs: the loss, from 0 to 1, of the answer for `held` standing in for that for `current`."""
        if self.losses.pairwise:
            return self.losses.of(held, current)
        needed = self.losses.needed
        return np.asarray(np.abs(needed[:, held] - needed[:, current]).mean(axis=0))

    def one(self, held: int, current: int) -> float:
        """The same of one pair; where packets are played again and again, the same pairs return."""
        found = self._known.get((held, current))
        if found is None:
            found = float(self.of(np.asarray([held]), np.asarray([current]))[0])
            self._known[held, current] = found
        return found


def held_loss(
    rule: Rule, held: Mapping[str, Array], current: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
) -> float | None:
    """The same of two inputs' outputs at work; None where no model's output is known of both.

    Args:
        rule: what is redundant.
        held: the outputs that stand in, by model.
        current: the models' own.
        outputs: their specs.
    """
    models = [model for model in outputs if model in held and model in current]
    if not models:
        return None
    if isinstance(rule, Unchanged):
        mean = float(np.mean([rule.agreement(held[each], current[each], outputs[each]) for each in models]))
        return float(rule.loss(np.asarray(mean)))
    verdicts = [
        rule.redundant(held[each], outputs[each]) != rule.redundant(current[each], outputs[each]) for each in models
    ]
    return float(np.mean(verdicts))
