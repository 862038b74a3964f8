"""When two results count as the same: a key for each output, equal for outputs that may stand for one another."""

from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

from ...outputs import Array, OutputSpec

AT_LEAST = 0.8
_MOST_FORMS = 4096
_MOST_EACH = 64
_CLUSTERED = ("vector", "mask")


def result_key(output: Array, spec: OutputSpec, *, step: float | None = None) -> Hashable:
    """An output made discrete; `step` is a scalar's (by default half of its tolerance), in the scalar's unit.

    | kind               | key                                                       |
    |--------------------|-----------------------------------------------------------|
    | label              | the class                                                 |
    | multilabel         | the classes that are on                                   |
    | count              | the number, rounded                                       |
    | scalar             | the nearest multiple of `step`                            |
    | boxes              | how many of each class                                    |
    | tokens             | the tokens                                                |
    | vector, mask       | none that can be told from one output: () (`ResultKeys`)  |
    """
    if spec.kind == "label":
        return int(np.argmax(output))
    if spec.kind == "multilabel":
        return tuple(np.flatnonzero(output >= 0.5).tolist())
    if spec.kind == "count":
        return round(float(output[0]))
    if spec.kind == "scalar":
        return round(float(output[0]) / (spec.tolerance / 2 if step is None else step))
    if spec.kind == "boxes":
        return tuple(spec.counts(output).astype(int).tolist())
    return tuple(output.tolist()) if spec.kind == "tokens" else ()


class ResultKeys:
    """Numbers results: the same number for outputs with the same key.

    Vectors, masks, and boxes that are compared by where they are, are alike by degrees: such an output counts as the
    first of its key with which it agrees by `at_least`. What was not met for long is forgotten.

    Args:
        spec: the outputs'.
        step: a scalar's, in its unit.
        at_least: the agreement, from 0 to 1.
    """

    def __init__(self, spec: OutputSpec, *, step: float | None = None, at_least: float = AT_LEAST) -> None:
        self.spec, self.step, self.at_least = spec, step, at_least
        self._by_degrees = spec.kind in _CLUSTERED or (spec.kind == "boxes" and spec.measure == "f1")
        self._met: OrderedDict[Hashable, list[tuple[Array, int]]] = OrderedDict()
        self._next = 0

    def number(self, output: Array) -> int:
        """The number of the result that this output is; a new one if it is like none before."""
        form = result_key(output, self.spec, step=self.step)
        if self.spec.kind == "label":
            assert isinstance(form, int)
            return form
        if self.spec.kind == "mask":
            form = output.shape
        met = self._met.setdefault(form, [])
        self._met.move_to_end(form)
        if len(self._met) > _MOST_FORMS:
            self._met.popitem(last=False)
        for known, number in met:
            if not self._by_degrees or self.spec.agreement(known, output) >= self.at_least:
                return number
        met.append((output, self._next))
        del met[:-_MOST_EACH]
        self._next += 1
        return self._next - 1
