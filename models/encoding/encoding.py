"""An output of any kind as a short vector of standardised numbers, and back: what links read and write.

Each kind has a raw form: a label its log-probabilities, a multilabel its log-odds, numbers themselves, boxes their
counts by class and a coarse grid of where they are, a mask a coarse grid, tokens a description of what they hold. Of
the raw form only the columns that vary in the recording are kept, and each is standardised with constants from the
recording. Behind the vector of tokens lies a row of their ids, for networks that read them one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ...outputs import BOX_WIDTH, Array, OutputSpec
from .boxes import GRID, box_cells, mean_sizes, place_boxes, usual_boxes
from .tokens import Tokens

LIMIT = 96
_MASK_GRID = (8, 12)
_LEAST_P = 1e-4
_FURTHEST = 8.0
# A rare token, standardised, would outweigh all that is frequent.
_LEAST_COUNT = 0.5


@dataclass(frozen=True)
class Encoding:
    """How one model's outputs become vectors.

    Attributes:
        output: the type of the outputs.
        columns: which columns of the raw form are kept.
        mean: of each kept column in the recording.
        std: of each kept column in the recording.
        fill: the whole raw form's mean: what the columns that are not kept decode to.
        sizes: boxes: mean width and height by class (classes, 2); mask: its height and width; else empty.
        tokens: tokens: what the recording's sequences hold; else None.
        usual: boxes: the middle box of each class in each cell (m, 6); else empty.
    """

    output: OutputSpec
    columns: Array
    mean: Array
    std: Array
    fill: Array
    sizes: Array
    tokens: Tokens | None = None
    usual: Array = field(default_factory=lambda: np.zeros((0, BOX_WIDTH), np.float32))

    @classmethod
    def fit(cls, output: OutputSpec, values: Sequence[Array]) -> "Encoding":
        """The encoding that suits these outputs of one model."""
        tokens = Tokens.fit(values) if output.kind == "tokens" else None
        raw = np.stack([_raw(output, value) if tokens is None else tokens.describe(value) for value in values])
        # In double precision, so that what never changes has a deviation of nothing at all.
        std = raw.std(axis=0, dtype=np.float64)
        weight = np.exp(raw).mean(axis=0) if output.kind == "label" else std
        limit = LIMIT if tokens is None else raw.shape[1]
        best = np.argsort(-np.where(std > 1e-6, weight, -1.0), kind="stable")[:limit]
        columns = np.sort(best[std[best] > 1e-6])
        sizes = np.zeros((0, 2), np.float32)
        usual = usual_boxes(values if output.kind == "boxes" else ())
        if output.kind == "boxes":
            sizes = mean_sizes(values, len(output.classes))
        elif output.kind == "mask":
            sizes = np.asarray([values[0].shape], np.float32)
        mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32)
        least = 1e-3 if tokens is None else _LEAST_COUNT
        scale = np.maximum(std[columns], least).astype(np.float32)
        return cls(output, columns, mean[columns], scale, mean, sizes, tokens, usual)

    @property
    def length(self) -> int:
        """How long the vectors are, without the ids; 0 when the output never changed."""
        return len(self.columns)

    @property
    def ids(self) -> int:
        """How many ids lie behind the vector: 0 for every kind but tokens."""
        return 0 if self.tokens is None else self.tokens.longest

    def encode(self, value: Array) -> Array:
        """The vector of one output: float32 (length + ids,)."""
        raw = (_raw(self.output, value) if self.tokens is None else self.tokens.describe(value))[self.columns]
        standard = (raw - self.mean) / self.std
        vector = np.asarray(np.minimum(np.maximum(standard, -_FURTHEST), _FURTHEST), np.float32)
        return vector if self.tokens is None else np.concatenate([vector, self.tokens.row(value)])

    def raw(self, vectors: Array, *, first: int | None = None) -> Array:
        """The raw forms (n, raw length) of vectors (n, length), or so many of their first numbers."""
        kept = slice(None) if first is None else slice(int(np.searchsorted(self.columns, first)))
        raw = np.repeat(self.fill[None, :first], len(vectors), axis=0)
        raw[:, self.columns[kept]] = vectors[:, kept] * self.std[kept] + self.mean[kept]
        return raw

    def decode(self, vector: Array, *, last: Array | None = None, hints: Sequence[Array] = ()) -> Array:
        """The output a vector stands for.

        Args:
            vector: float32 (length,); tokens: a row of ids (ids,).
            last: the model's own last exact output, if there is one.
            hints: boxes: boxes of the same classes that other models see now; the predicted ones are placed there.
        """
        if self.tokens is not None:
            return self.tokens.value(vector)
        if self.output.kind == "boxes":
            return place_boxes(self.raw(vector[None])[0], self.sizes, self.usual, last=last, hints=hints)
        return np.asarray(self.decode_many(vector[None])[0])

    def decode_many(self, vectors: Array) -> Array:
        """The outputs (n, ...) that vectors (n, length) stand for; every kind but boxes and tokens."""
        raw = self.raw(vectors)
        kind = self.output.kind
        if kind == "label":
            exp = np.exp(raw - raw.max(axis=1, keepdims=True))
            return np.asarray(exp / exp.sum(axis=1, keepdims=True), np.float32)
        if kind == "multilabel":
            return np.asarray(1.0 / (1.0 + np.exp(-raw)), np.float32)
        if kind == "count":
            return np.maximum(raw, 0.0).astype(np.float32)
        if kind == "mask":
            height, width = (int(n) for n in self.sizes[0])
            grids = np.clip(raw, 0.0, 1.0).astype(np.float32).reshape(-1, *_MASK_GRID)
            return np.stack([cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR) for grid in grids])
        return raw.astype(np.float32)

    def counts(self, vectors: Array) -> Array:
        """Boxes: how many of each class (n, classes) the vectors stand for."""
        return np.asarray(np.rint(np.maximum(self.raw(vectors, first=len(self.output.classes)), 0.0)))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        numbers = {
            name: np.round(getattr(self, name), 6).tolist() for name in ("mean", "std", "fill", "sizes", "usual")
        }
        plain = {
            "output": self.output.model_dump(mode="json", exclude_defaults=True),
            "columns": self.columns.tolist(),
            **numbers,
        }
        return plain if self.tokens is None else {**plain, "tokens": self.tokens.as_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Encoding":
        """Reads what `as_dict` wrote."""
        numbers = {name: np.asarray(data[name], np.float32) for name in ("mean", "std", "fill", "sizes")}
        return cls(
            OutputSpec.model_validate(data["output"]),
            np.asarray(data["columns"], np.int64),
            numbers["mean"],
            numbers["std"],
            numbers["fill"],
            numbers["sizes"].reshape(-1, 2),
            Tokens.from_dict(data["tokens"]) if "tokens" in data else None,
            np.asarray(data.get("usual", []), np.float32).reshape(-1, BOX_WIDTH),
        )


def _raw(output: OutputSpec, value: Array) -> Array:
    """One output's raw form: a float32 vector whose length follows from the type alone."""
    if output.kind == "label":
        return np.asarray(np.log(np.clip(value, _LEAST_P, 1.0)))
    if output.kind == "multilabel":
        p = np.clip(value, _LEAST_P, 1.0 - _LEAST_P)
        return np.asarray(np.log(p / (1.0 - p)))
    if output.kind == "boxes":
        classes = len(output.classes)
        raw = np.zeros(classes * (1 + GRID[0] * GRID[1]), np.float32)
        if len(value):
            of = value[:, 5].astype(np.int64)
            np.add.at(raw, of, 1.0)
            np.add.at(raw, classes + of * (GRID[0] * GRID[1]) + box_cells(value), 1.0)
        return raw
    if output.kind == "mask":
        return cv2.resize(value.astype(np.float32), _MASK_GRID[::-1], interpolation=cv2.INTER_AREA).reshape(-1)
    return value
