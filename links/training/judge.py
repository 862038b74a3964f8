"""Agreement of many predicted outputs with the exact ones at once."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...models.encoding.boxes import translate_boxes
from ...models.encoding.encoding import Encoding
from ...outputs import Array
from ..sequences.agreement import sequence_agreements
from .samples import Samples


class Judge:
    """Compares a target's held, constant and predicted outputs with its exact ones.

    Args:
        samples: the recording.
        target: the model that is judged.

    Attributes:
        slow: whether its outputs must be compared one by one.
    """

    def __init__(self, samples: Samples, target: str) -> None:
        self.samples = samples
        self.target = target
        self.output = samples.models[target].output
        self.encoding: Encoding = samples.encodings[target]
        self.values = samples.values[target]
        self._exact = self.output.compact(self.values)
        self.slow = self._exact is None

    @cached_property
    def counted(self) -> Array:
        """The columns of vectors that agreement looks at: bool (length,)."""
        columns = self.encoding.columns
        if self.output.kind == "boxes" and (columns < len(self.output.classes)).any():
            return np.asarray(columns < len(self.output.classes))
        return np.ones(len(columns), np.bool_)

    def held(self, inputs: Array, earlier: Array) -> Array:
        """Agreement of the outputs of `earlier` with those of `inputs`; 0 where there is none earlier."""
        if self._exact is not None:
            agreement = self.output.agreements(self._exact[np.maximum(earlier, 0)], self._exact[inputs])
        else:
            agreement = self._one_by_one([self.values[i] for i in np.maximum(earlier, 0)], inputs)
        return np.where(earlier < 0, 0.0, agreement)

    def constant(self, value: Array, inputs: Array) -> Array:
        """Agreement of one value with the outputs of `inputs`."""
        compact = self.output.compact([value])
        if self._exact is not None and compact is not None:
            return self.output.agreements(compact, self._exact[inputs])
        return self._one_by_one([value] * len(inputs), inputs)

    def linked(self, vectors: Array, inputs: Array, earlier: Array, sources: Sequence[Sequence[str]]) -> Array:
        """Agreement of what predicted vectors stand for with the outputs of `inputs`.

        Args:
            vectors: the predictions (n, length).
            inputs: of which input each is.
            earlier: which input's exact output was the last one; -1: none.
            sources: from which sources each was predicted.
        """
        if self._exact is not None:
            # Counts are what is compared of boxes: there is no need to place them.
            counts = self.output.kind == "boxes"
            compact = (
                self.encoding.counts(vectors) if counts else self.output.compact(self.encoding.decode_many(vectors))
            )
            assert compact is not None
            return self.output.agreements(compact, self._exact[inputs])
        values = [
            self.encoding.decode(
                vector, last=self.values[before] if before >= 0 else None, hints=self._hints(of, int(index))
            )
            for vector, index, before, of in zip(vectors, inputs, earlier, sources, strict=True)
        ]
        return self._one_by_one(values, inputs)

    def _hints(self, sources: Sequence[str], index: int) -> list[Array]:
        if self.output.kind != "boxes":
            return []
        models, values = self.samples.models, self.samples.values
        hints = [translate_boxes(models[name].output, self.output, values[name][index]) for name in sources]
        return [hint for hint in hints if hint is not None]

    def _one_by_one(self, values: Sequence[Array], inputs: Array) -> Array:
        if self.output.kind == "tokens":
            return sequence_agreements(values, [self.values[index] for index in inputs])
        pairs = zip(values, inputs, strict=True)
        return np.asarray([self.output.agreement(value, self.values[index]) for value, index in pairs], float)


def best_constant(judge: Judge, train: Array | None = None) -> Array:
    """The training output that agrees best with the others; for numbers also their mean and median are tried.

    Args:
        judge: of the target.
        train: the inputs that it is chosen on; None: the training block.
    """
    train = judge.samples.blocks.train if train is None else train
    spread = train[np.linspace(0, len(train) - 1, min(len(train), 24)).astype(np.int64)]
    candidates = [judge.values[i] for i in spread] + [judge.output.empty()]
    if judge.output.kind in ("count", "scalar", "vector", "label", "multilabel"):
        stacked = np.stack([judge.values[i] for i in train])
        candidates += [stacked.mean(axis=0, dtype=np.float32), np.median(stacked, axis=0).astype(np.float32)]
    others = train[:: max(1, len(train) // 100)]
    if judge.slow:
        others = others[::3]
    fits = [float(judge.constant(value, others).mean()) for value in candidates]
    best: Array = candidates[int(np.argmax(fits))]
    return best
