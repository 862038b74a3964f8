"""How far answers may be expected to agree with what a prediction may turn out to be, by errors made elsewhere."""

from dataclasses import dataclass

import numpy as np

from ...models.encoding.encoding import Encoding
from ...outputs import Array

_AT_ONCE = 2_000_000
_NONE = 1e-6


@dataclass(frozen=True)
class Compared:
    """What is compared of a target's outputs: a few numbers of each, much cheaper than to decode it.

    Attributes:
        kind: of the outputs.
        columns: which numbers of a vector are looked at.
        mean: what is added to them in the end, once they are multiplied by
        std: their deviations.
        whole: of a multilabel how many classes there are, of a scalar its tolerance, of a vector the length of what
            never changes of it; else 1.
    """

    kind: str
    columns: Array
    mean: Array
    std: Array
    whole: float

    @classmethod
    def of(cls, encoding: Encoding) -> "Compared":
        """Of a target's encoding."""
        output, columns = encoding.output, np.arange(encoding.length)
        whole = 1.0
        if output.kind == "boxes":
            # Boxes that are compared by where they are agree less than their number does; calibration sets that right.
            columns = np.flatnonzero(encoding.columns < len(output.classes))
        elif output.kind == "multilabel":
            whole = float(len(output.classes))
        elif output.kind == "scalar":
            whole = output.tolerance
        elif output.kind == "vector":
            whole = float(np.linalg.norm(np.delete(encoding.fill, encoding.columns)))
        return cls(output.kind, columns, encoding.mean[columns], encoding.std[columns], whole)

    def expected(self, said: Array, predicted: Array, errors: Array, spreads: Array) -> Array:
        """The mean agreement of answers with what predictions may turn out to be: float64 (n, answers).

        Args:
            said: the answers, as vectors (n, answers, length): the last output, the prediction itself, a constant.
            predicted: the predictions (n, length).
            errors: of other predictions from the same sources, in `columns` (s, k).
            spreads: what those are multiplied by, for each prediction (n,): less where its last output tells more.
        """
        far = errors * self.std
        step = max(1, _AT_ONCE // max(1, errors.size))
        parts = [slice(start, start + step) for start in range(0, len(said), step)]
        found = [self.agreements(self.looked(said[at]), self.looked(predicted[at]), far, spreads[at]) for at in parts]
        return np.concatenate([np.zeros((0, said.shape[1])), *found])

    def looked(self, vectors: Array) -> Array:
        """What is looked at of vectors (..., length): (..., k)."""
        return np.asarray(vectors[..., self.columns] * self.std + self.mean)

    def agreements(self, said: Array, predicted: Array, far: Array, spreads: Array) -> Array:
        """As `expected`, of what is looked at: answers (n, a, k), predictions (n, k), errors less `mean` (s, k)."""
        turned = predicted[:, None] + spreads[:, None, None] * far
        if self.kind == "boxes":
            said, turned = np.rint(np.maximum(said, 0.0)), np.rint(np.maximum(turned, 0.0))
            apart = np.add.reduce(np.abs(said[:, :, None] - turned[:, None]), axis=3)
            together = np.add.reduce(said, axis=2)[:, :, None] + np.add.reduce(turned, axis=2)[:, None]
            # The sum of the smaller counts over that of the larger ones; none on either side agree.
            agreed = (together - apart + _NONE) / (together + apart + _NONE)
            return np.asarray(np.add.reduce(agreed, axis=2) / len(far))
        if self.kind == "label":
            return np.asarray((said.argmax(axis=2)[:, :, None] == turned.argmax(axis=2)[:, None]).mean(axis=2))
        if self.kind == "vector":
            said, turned = (self._directions(each) for each in (said, turned))
            return np.asarray(np.clip(said @ turned.transpose(0, 2, 1), 0.0, 1.0).mean(axis=2))
        if self.kind in ("multilabel", "mask"):
            said, turned = (each >= (0.5 if self.kind == "mask" else 0.0) for each in (said, turned))
            apart = (said[:, :, None] != turned[:, None]).sum(axis=3)
            if self.kind == "multilabel":
                return np.asarray(1.0 - (apart / self.whole).mean(axis=2))
            together = said.sum(axis=2)[:, :, None] + turned.sum(axis=2)[:, None]
            return np.asarray(np.where(together > 0, (together - apart) / np.maximum(together + apart, 1), 1.0).mean(2))
        apart = np.abs(said[:, :, None, 0] - turned[:, None, :, 0])
        if self.kind == "count":
            return np.asarray((apart < 0.5).mean(axis=2))
        return np.asarray(np.maximum(0.0, 1.0 - apart / self.whole).mean(axis=2))

    def _directions(self, values: Array) -> Array:
        rest = np.full((*values.shape[:2], 1), self.whole)
        values = np.concatenate([values, rest], axis=2)
        return np.asarray(values / np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-9))
