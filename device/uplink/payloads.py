"""What a device sends of a frame, and what its gate looks at: the picture, or what a model's first part makes of it."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...filters.gates.base import Gate
from ...filters.gates.learned import FilterRuntime
from ...filters.modalities.feature_map import FeatureMap
from ...models.spec import ModelSpec
from ...models.split.parts import Head
from ...models.split.spec import SeenMap
from ...outputs import Array
from ...protos import edge_pb2
from ...units import format_bytes

logger = logging.getLogger(__name__)

_JPEG_EVERY = 32


class Sender(Protocol):
    """Makes payloads of frames.

    Attributes:
        encoding: the payloads' `Encoding` on the wire.
    """

    encoding: Any

    def seen(self, image: Array) -> Array:
        """What the gate is to decide on, for a frame (uint8 BGR)."""

    def payload(self, image: Array) -> bytes:
        """The frame as it travels."""

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Makes sure that the coordinator's models can take it."""

    def tell(self) -> None:
        """Says in the log what was sent."""


class PictureSender:
    """Sends JPEGs."""

    encoding = edge_pb2.ENCODING_JPEG

    def __init__(self, quality: int) -> None:
        self.quality = quality

    def seen(self, image: Array) -> Array:
        """The frame itself."""
        return image

    def payload(self, image: Array) -> bytes:
        """A JPEG."""
        return encode_jpeg(image, self.quality)

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Makes sure that all models take pictures.

        Raises:
            InvalidInput: one is the second part of a model.
        """
        tails = [name for name, spec in specs.items() if spec.input is None]
        if tails:
            raise InvalidInput(
                f"the coordinator serves the second part of {', '.join(tails)}, which takes no pictures: give this "
                "device the first part (`head`), or the coordinator the whole model"
            )

    def tell(self) -> None:
        """Nothing: a JPEG is what everybody expects."""


class MapSender:
    """Sends a head's maps (spec 2.7, model partition).

    Args:
        head: the model's first part.
        on_maps: whether the gate decides on maps: else the head runs only on what is kept.
        quality: of the JPEGs that the maps are compared with.
    """

    encoding: Any = edge_pb2.ENCODING_MAP

    def __init__(self, head: Head, *, on_maps: bool, quality: int) -> None:
        self.head = head
        self.on_maps = on_maps
        self.quality = quality
        self.seen_frames = 0
        self.sent = 0
        self.sent_bytes = 0
        self._head_s = 0.0
        self._jpegs_bytes: list[int] = []
        self._last: tuple[Array, SeenMap] | None = None

    def seen(self, image: Array) -> Array:
        """The map as a filter takes it, or the frame.

        Raises:
            ModelFailed: the head failed on this frame.
        """
        return self._see(image).features if self.on_maps else image

    def payload(self, image: Array) -> bytes:
        """The map, in the form it was split for.

        Raises:
            ModelFailed: the head failed on this frame.
        """
        # What the gate has decided on is there already.
        last = self._last if self.on_maps else None
        seen = last[1] if last is not None and last[0] is image else self._see(image)
        message = self.head.pack(seen)
        # Now and then, as it takes time: nobody needs this JPEG.
        if self.sent % _JPEG_EVERY == 0:
            self._jpegs_bytes.append(len(encode_jpeg(image, self.quality)))
        self.sent += 1
        self.sent_bytes += len(message)
        return message

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Makes sure that the coordinator serves this model's second part.

        Raises:
            InvalidInput: it does not.
        """
        name = self.head.partition.model
        if name not in specs or specs[name].input is not None:
            raise InvalidInput(
                f"head {self.head.path}: the coordinator serves no second part of {name} (it serves "
                f"{', '.join(specs)}): give it the folder `tail` that `infilink split` wrote beside this head"
            )

    def tell(self) -> None:
        """The bytes beside those of JPEGs and of maps as float32, and the head's time."""
        if self.sent:
            jpeg = sum(self._jpegs_bytes) / len(self._jpegs_bytes)
            raw = 4 * self.head.partition.map.count
            logger.info(
                "sent %d maps of %s on average; a JPEG of these frames has %s, a map as float32 %s; the head ran on %d "
                "frames, %.1f ms each",
                self.sent,
                format_bytes(self.sent_bytes / self.sent),
                format_bytes(jpeg),
                format_bytes(raw),
                self.seen_frames,
                1000 * self._head_s / self.seen_frames,
            )

    def _see(self, image: Array) -> SeenMap:
        started = time.perf_counter()
        seen = self.head.see(image)
        self._last = (image, seen)
        self._head_s += time.perf_counter() - started
        self.seen_frames += 1
        return seen


def open_sender(head: Path | None, gate: Gate, *, quality: int) -> Sender:
    """What fits the gate: a filter of maps needs the head whose maps it was learnt from.

    Args:
        head: the model's first part; None: pictures are sent.
        gate: as `open_gate` opens it.
        quality: of JPEGs.

    Raises:
        InvalidInput: the file is no head, or the gate takes something else.
    """
    of_maps = isinstance(gate, FilterRuntime) and isinstance(gate.spec.modality, FeatureMap)
    if head is None:
        if of_maps:
            raise InvalidInput(
                f"gate {gate.name}: decides on feature maps: give the `head` whose maps it was learnt from "
                "(`infilink split`)"
            )
        return PictureSender(quality)
    opened = Head(head)
    if isinstance(gate, FilterRuntime) and isinstance(gate.spec.modality, FeatureMap):
        _check_filter(gate, gate.spec.modality, opened)
    return MapSender(opened, on_maps=of_maps, quality=quality)


def _check_filter(gate: FilterRuntime, modality: FeatureMap, head: Head) -> None:
    """A filter decides on the maps that it was learnt from, or not at all: on others it would fail, frame by frame."""
    at = head.partition
    advice = "train it on this head's maps (`infilink split --features`)"
    if tuple(modality.size) != head.features_shape:
        sizes = ["x".join(map(str, size)) for size in (modality.size, head.features_shape)]
        raise InvalidInput(
            f"gate {gate.path}: decides on maps of {sizes[0]}, the head {head.path} makes {sizes[1]}; {advice}"
        )
    if gate.spec.models.get(at.model) != at.digest:
        raise InvalidInput(
            f"gate {gate.path}: was learnt from {', '.join(gate.spec.models)}, and the head {head.path} is of another "
            f"{at.model} ({at.digest}); {advice}"
        )
