"""Text, as UTF-8 bytes or as token ids: hashed words and pairs of words, embedded and pooled."""

import re
import zlib
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array
from .net import Net

if TYPE_CHECKING:
    from torch import nn

_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_PAIR = 0x9E3779B1
_BUCKETS = 1900
_LONGEST = 256
_VOCABULARY = 10_000


class Text(BaseModel):
    """Text: uint8 (UTF-8 bytes) or int64 (token ids), one dimension.

    Attributes:
        net: whose feature network it is for.
        buckets: how many embeddings there are; words and pairs are hashed to them, 0 is padding.
        length: how many words and pairs of a text count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["text"] = "text"
    net: Net = "ours"
    buckets: int = Field(default=_BUCKETS, ge=2)
    length: int = Field(ge=2)

    @classmethod
    def fit(cls, values: list[Array], *, net: Net = "ours") -> Self:
        """As long as nearly all of the texts."""
        longest = np.quantile([2 * len(_ids(value)) for value in values], 0.95)
        length = int(np.clip(longest, 16, _LONGEST))
        return cls(net=net, length=length, buckets=_VOCABULARY if net == "paper" else _BUCKETS)

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "int64"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input."""
        return (self.length,)

    def prepare(self, value: Array) -> Array:
        """Words, then pairs of neighbours, as buckets: int64 (length,).

        Raises:
            InvalidInput: it is no text.
        """
        words = np.asarray(_ids(value)[: self.length], np.uint64)
        paired = len(words) > 1 and self.net == "ours"
        pairs = (words[:-1] * np.uint64(_PAIR) ^ words[1:]) if paired else words[:0]
        hashed = np.concatenate([words, pairs])[: self.length] % np.uint64(self.buckets - 1)
        out = np.zeros(self.length, np.int64)
        out[: len(hashed)] = hashed + np.uint64(1)
        return out

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Drops a tenth of the words."""
        return np.where(random.random(batch.shape) < 0.1, np.int64(0), batch)

    def encoder(self) -> "tuple[nn.Module, int]":
        """Embeddings, their mean and most: features (n, 48)."""
        if self.net == "paper":
            from ..networks.paper import PaperTextEncoder

            return PaperTextEncoder(self.buckets), PaperTextEncoder.FEATURES
        from ..networks.encoders import TextEncoder

        return TextEncoder(self.buckets, 24), 48


def _ids(value: Any) -> list[int]:
    if value.ndim != 1 or value.dtype.kind not in "ui":
        raise InvalidInput(f"a text must be bytes or token ids in one dimension, not {value.dtype} {value.shape}")
    if value.dtype != np.uint8:
        return [int(token) for token in value]
    words = _WORD.findall(value.tobytes().decode("utf-8", "replace").lower())
    return [zlib.crc32(word.encode()) for word in words]
