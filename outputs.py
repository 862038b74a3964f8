"""What a model returns: `OutputSpec` says its kind, checks a value, and measures how far two values agree.

A value is always one numpy array:

| kind       | array                         | agreement of `a` with `b`, in [0, 1]                               |
|------------|-------------------------------|--------------------------------------------------------------------|
| label      | float32 (classes,): scores    | 1 if the arg-max is the same, else 0                               |
| multilabel | float32 (classes,): scores    | share of the classes that are on the same side of 0.5              |
| count      | float32 (1,)                  | 1 if |a - b| < 0.5, else 0 (the MLink paper's rule)                |
| scalar     | float32 (1,)                  | max(0, 1 - |a - b| / tolerance)                                    |
| vector     | float32 (length,)             | max(0, cosine of a and b)                                          |
| boxes      | float32 (n, 6)                | `measure` "f1": F1 of one-to-one matches within a class at         |
|            |                               | IoU >= 0.5; "counts": sum of min / sum of max of the class counts; |
|            |                               | both 1 if neither has a box                                        |
| tokens     | int64 (n,), below `length`    | 1 - edit distance / length of the longer one                       |
| mask       | float32 (height, width)       | intersection over union of what is >= 0.5; 1 if both are empty     |

A box is `x1, y1, x2, y2` as shares of the frame's width and height, then score, then class index. `check` looks at
shapes, at class indices and token ids, and for NaN; not whether scores are probabilities: a model may give others.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .errors import InvalidInput

Kind = Literal["label", "multilabel", "scalar", "count", "vector", "boxes", "tokens", "mask"]
Array = npt.NDArray[Any]

KINDS: tuple[Kind, ...] = ("label", "multilabel", "scalar", "count", "vector", "boxes", "tokens", "mask")
BOX_WIDTH = 6


class OutputSpec(BaseModel):
    """The type of a model's output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    classes: tuple[str, ...] = Field(default=(), description="label, multilabel, boxes: the class names in order")
    length: int = Field(default=0, ge=0, description="vector: its length; tokens: the vocabulary's size")
    tolerance: float = Field(default=1.0, gt=0, description="scalar: the difference at which agreement reaches 0")
    measure: Literal["f1", "counts"] = Field(default="f1", description="boxes: where each is, or how many there are")

    @model_validator(mode="after")
    def _complete(self) -> "OutputSpec":
        if self.kind in ("label", "multilabel", "boxes") and not self.classes:
            raise ValueError(f"kind {self.kind!r} needs `classes`, the class names in order")
        if self.kind in ("vector", "tokens") and self.length < 1:
            raise ValueError(f"kind {self.kind!r} needs `length`, at least 1")
        return self

    def check(self, value: Array) -> Array:
        """Returns `value` in this kind's dtype.

        Raises:
            InvalidInput: its shape does not fit the kind, it holds NaN or infinity, or a class or token there is not.
        """
        value = self.check_shape(value)
        if self.kind == "tokens":
            _check_indices(value, self.length, "a tokens output's ids")
            return value.astype(np.int64, copy=False)
        value = value.astype(np.float32, copy=False)
        if not np.isfinite(value).all():
            raise InvalidInput(f"a {self.kind} output holds NaN or infinity")
        if self.kind == "boxes":
            _check_indices(value[:, 5], len(self.classes), "a boxes output's class indices")
        return value

    def check_shape(self, value: Array) -> Array:
        """Returns `value` as an array.

        Raises:
            InvalidInput: its shape does not fit the kind.
        """
        value = np.asarray(value)
        expected = self.shape
        if len(expected) != value.ndim or any(n not in (-1, m) for n, m in zip(expected, value.shape, strict=True)):
            raise InvalidInput(f"a {self.kind} output must have shape {expected} (-1: any), not {value.shape}")
        return value

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape; -1 where any size will do."""
        if self.kind in ("label", "multilabel"):
            return (len(self.classes),)
        if self.kind == "vector":
            return (self.length,)
        return {"boxes": (-1, BOX_WIDTH), "tokens": (-1,), "mask": (-1, -1)}.get(self.kind, (1,))

    def empty(self) -> Array:
        """The value that says nothing: no boxes, count 0, a flat label; what a constant answer starts from."""
        if self.kind == "label":
            return np.full(len(self.classes), 1 / len(self.classes), np.float32)
        if self.kind == "tokens":
            return np.zeros(0, np.int64)
        return np.zeros([max(n, 0) for n in self.shape], np.float32)

    def agreement(self, a: Array, b: Array) -> float:
        """How far `a` agrees with `b`: 1 the same for its users, 0 not at all; the table above defines it per kind."""
        if self.kind == "tokens":
            return 1.0 - edit_distance(a, b) / max(len(a), len(b), 1)
        if self.kind == "mask":
            return mask_iou(a, b)
        if self.kind == "boxes" and self.measure == "f1":
            return boxes_f1(a, b)
        return float(self.agreements(self._compact([a]), self._compact([b]))[0])

    def compact(self, values: Sequence[Array] | Array) -> Array | None:
        """What `agreement` looks at in each output, as one array (n, ...) for `agreements`.

        None for the kinds that are compared one by one: masks, tokens, and boxes by where they are.
        """
        one_by_one = self.kind in ("mask", "tokens") or (self.kind == "boxes" and self.measure == "f1")
        return None if one_by_one else self._compact(values)

    def agreements(self, a: Array, b: Array) -> Array:
        """`agreement` row by row of what `compact` made of outputs: float64 (n,); one row goes with each of many."""
        if self.kind == "label":
            return np.asarray(a == b, np.float64)
        if self.kind == "multilabel":
            return np.asarray((a == b).mean(axis=1))
        if self.kind == "count":
            return np.asarray(np.abs(a - b) < 0.5, np.float64)
        if self.kind == "scalar":
            return np.asarray(np.maximum(0.0, 1.0 - np.abs(a - b) / self.tolerance))
        if self.kind == "vector":
            neither = ~(a.any(axis=1) | b.any(axis=1))
            return np.where(neither, 1.0, np.clip((a * b).sum(axis=1), 0.0, 1.0))
        most = np.maximum(a, b).sum(axis=1, dtype=np.float64)
        return np.where(most > 0, np.minimum(a, b).sum(axis=1) / np.maximum(most, 1.0), 1.0)

    def _compact(self, values: Sequence[Array] | Array) -> Array:
        if self.kind == "boxes":
            return np.stack([self.counts(value) for value in values])
        stacked = np.asarray(values)
        if self.kind == "label":
            return np.asarray(stacked.argmax(axis=1))
        if self.kind == "multilabel":
            return np.asarray(stacked >= 0.5)
        # In double precision: a float32's square leaves the range of float32 above 1e19 and below 1e-23.
        stacked = stacked.astype(np.float64)
        if self.kind == "vector":
            norms = np.linalg.norm(stacked, axis=1, keepdims=True)
            return np.asarray(stacked / np.where(norms > 0, norms, 1.0))
        return stacked[:, 0]

    def counts(self, value: Array) -> Array:
        """How many boxes of each class: float32 (classes,)."""
        return np.bincount(value[:, 5].astype(np.int64), minlength=len(self.classes)).astype(np.float32)

    def summary(self, value: Array) -> str:
        """The value in a few words, for tables and pictures: "2 car, 1 truck", "night 0.93"."""
        if self.kind == "label":
            best = int(np.argmax(value))
            return f"{self.classes[best]} {value[best]:.2f}"
        if self.kind == "multilabel":
            return ", ".join(name for name, p in zip(self.classes, value, strict=True) if p >= 0.5) or "none"
        if self.kind == "count":
            return str(round(float(value[0])))
        if self.kind == "scalar":
            return f"{float(value[0]):.2f}"
        if self.kind == "boxes":
            counted = zip(self.classes, self.counts(value), strict=True)
            return ", ".join(f"{int(n)} {name}" for name, n in counted if n) or "none"
        return f"{self.kind} {'x'.join(map(str, value.shape))}"


def _check_indices(values: Array, count: int, what: str) -> None:
    wrong = values[~((values >= 0) & (values < count) & (values == np.floor(values)))]
    if wrong.size:
        raise InvalidInput(f"{what} must be whole numbers from 0 to {count - 1}, not {wrong[0]}")


def box_iou(a: Array, b: Array) -> Array:
    """Intersection over union of every box in `a` (n, >=4) with every one in `b` (m, >=4): float32 (n, m)."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    inter = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    area_a, area_b = (np.prod(np.clip(x[:, 2:4] - x[:, :2], 0, None), axis=1) for x in (a, b))
    union = area_a[:, None] + area_b[None, :] - inter
    return np.asarray(np.where(union > 0, inter / np.maximum(union, 1e-12), 0.0), np.float32)


def boxes_f1(a: Array, b: Array, min_iou: float = 0.5) -> float:
    """F1 of matching boxes one to one, best overlap first, within a class; 1 if both are empty."""
    if len(a) == 0 or len(b) == 0:
        return float(len(a) == len(b))
    iou = box_iou(a, b)
    iou[a[:, None, 5] != b[None, :, 5]] = 0.0
    matched = 0
    while True:
        i, j = np.unravel_index(int(np.argmax(iou)), iou.shape)
        if iou[i, j] < min_iou:
            return 2.0 * matched / (len(a) + len(b))
        matched += 1
        iou[i, :] = -1.0
        iou[:, j] = -1.0


def mask_iou(a: Array, b: Array) -> float:
    """Intersection over union of what is >= 0.5 in two maps of one size; 1 if both are empty."""
    on_a, on_b = a >= 0.5, b >= 0.5
    union = int(np.count_nonzero(on_a | on_b))
    return int(np.count_nonzero(on_a & on_b)) / union if union else 1.0


def edit_distance(a: Array, b: Array) -> int:
    """Levenshtein distance of two token sequences, one numpy row per token of `a`."""
    row = np.arange(len(b) + 1)
    steps = np.arange(len(b) + 1)
    for i, token in enumerate(a, start=1):
        replaced = row[:-1] + (b != token)
        best = np.minimum(np.append(i, replaced), np.append(i, row[1:] + 1))
        # An insertion extends the best cell to the left by one each: a running minimum of cost minus column.
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])
