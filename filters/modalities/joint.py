"""Inputs of several modalities at once: sight and sound of one moment, or a picture and its caption."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array
from .audio import Audio
from .feature_map import FeatureMap
from .image import Image
from .net import Net
from .signal import Signal
from .text import Text
from .video import Video

if TYPE_CHECKING:
    from torch import nn

Part = Annotated[Text | Signal | Audio | FeatureMap | Image | Video, Field(discriminator="kind")]


class Joint(BaseModel):
    """An input as `join` makes it: an array with a named field per part.

    One encoder per part, their features side by side, one head (the extended InFi paper's multi-modal filter).

    Attributes:
        net: whose feature networks.
        parts: each part's modality, by the field's name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["joint"] = "joint"
    net: Net = "ours"
    parts: dict[str, Part]

    @classmethod
    def of(cls, kinds: Sequence[Any], values: list[Array], *, net: Net = "ours") -> "Joint":
        """With parts of those kinds, in the order of the inputs' fields.

        Raises:
            InvalidInput: an input has other fields, or one does not fit its part.
        """
        names = values[0].dtype.names or ()
        if len(names) != len(kinds):
            raise InvalidInput(f"the modality names {len(kinds)} parts, but an input has {len(names)}; see `join`")
        for value in values:
            _check(value, names)
        made = {
            name: kind.fit([value[name] for value in values], net=net) for name, kind in zip(names, kinds, strict=True)
        }
        return cls(net=net, parts=made)

    @property
    def dtype(self) -> str:
        """Of a prepared input."""
        return "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one prepared input: all parts, flat."""
        return (sum(int(np.prod(part.shape)) for part in self.parts.values()),)

    def prepare(self, value: Array) -> Array:
        """Each part as it is prepared, flat and one after another: float32.

        Raises:
            InvalidInput: a part is missing or is no such thing.
        """
        _check(value, tuple(self.parts))
        made = [part.prepare(value[name]).astype(np.float32).reshape(-1) for name, part in self.parts.items()]
        return np.concatenate(made)

    def augment(self, batch: Array, random: np.random.Generator) -> Array:
        """Each part as its modality does it."""
        made, at = [], 0
        for part in self.parts.values():
            size = int(np.prod(part.shape))
            whole = batch[:, at : at + size].reshape(len(batch), *part.shape).astype(part.dtype)
            made.append(part.augment(whole, random).astype(np.float32).reshape(len(batch), size))
            at += size
        return np.concatenate(made, axis=1)

    def encoder(self) -> "tuple[nn.Module, int]":
        """The parts' encoders side by side."""
        from ..networks.encoders import JointEncoder

        made = [part.encoder() for part in self.parts.values()]
        shapes = [(part.shape, part.dtype) for part in self.parts.values()]
        return JointEncoder([each for each, _ in made], shapes), sum(features for _, features in made)


def _check(value: Array, names: tuple[str, ...]) -> None:
    if value.dtype.names != names:
        raise InvalidInput(
            f"an input of several modalities must have the fields {', '.join(names)} (make it with `join`), not "
            f"{', '.join(value.dtype.names or ()) or value.dtype}"
        )
