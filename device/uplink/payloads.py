"""What travels of an input, and what its gate decides on: itself, or the feature map of a model's first part."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...filters.gates.base import Gate
from ...filters.gates.learned import FilterRuntime
from ...filters.modalities.feature_map import FeatureMap
from ...models.inputs.form import PICTURES, InputForm
from ...models.spec import ModelSpec
from ...models.split.parts import Head
from ...models.split.spec import SeenMap
from ...outputs import Array
from ...protos import edge_pb2
from ...units import format_bytes
from ..sources.base import Input
from .chains import ChainStore
from .form_encoders import form_encoder
from .payload_encoder import Encoded, JpegEncoder, PayloadEncoder
from .video import VideoEncoder
from .video_settings import VideoSettings

logger = logging.getLogger(__name__)

_JPEG_EVERY = 32
_VIDEO = VideoSettings()
_PICTURES = ("auto", "jpeg", "h264")


class FeatureMapEncoder:
    """Frames travel as the feature maps of a model's first part (spec 2.7, model partition).

    Args:
        head: the first part.
        on_maps: whether the gate decides on maps; otherwise the head runs only on the frames that are kept.
        quality: of the JPEGs that the maps are compared with.
    """

    chains: ChainStore | None = None
    takes_long = False

    def __init__(self, head: Head, *, on_maps: bool, quality: int) -> None:
        self.head = head
        self.on_maps = on_maps
        self.quality = quality
        self.head_runs = 0
        self.encoded = 0
        self.encoded_bytes = 0
        self._head_s = 0.0
        self._jpegs_bytes: list[int] = []
        self._last: tuple[Array, SeenMap] | None = None

    def gate_input(self, image: Array) -> Array:
        """The map as a filter takes it, if the gate decides on maps; otherwise the frame.

        Raises:
            ModelFailed: the head failed on this frame.
        """
        return self._run_head(image).features if self.on_maps else image

    def encode(self, taken: Input) -> Encoded:
        """The map of a frame.

        Raises:
            ModelFailed: the head failed on it.
        """
        return Encoded(edge_pb2.ENCODING_MAP, self.encode_alone(taken.value))

    def encode_alone(self, image: Array) -> bytes:
        """The map, in the form that the model was split for.

        Raises:
            ModelFailed: the head failed on this frame.
        """
        # The map that the gate decided on need not be made again.
        last = self._last if self.on_maps else None
        seen = last[1] if last is not None and last[0] is image else self._run_head(image)
        payload = self.head.pack(seen)
        # Only for comparison, so only now and then: it takes time.
        if self.encoded % _JPEG_EVERY == 0:
            self._jpegs_bytes.append(len(encode_jpeg(image, self.quality)))
        self.encoded += 1
        self.encoded_bytes += len(payload)
        return payload

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Checks that the coordinator serves this model's second part.

        Raises:
            InvalidInput: it does not.
        """
        name = self.head.partition.model
        if name not in specs or specs[name].input is not None:
            raise InvalidInput(
                f"head {self.head.path}: the coordinator serves no second part of {name} (it serves "
                f"{', '.join(specs)}): give it the folder `tail` that `infilink split` wrote beside this head"
            )

    def log_summary(self) -> None:
        """Logs the size of a map, compared with a JPEG and with a map as float32, and the head's time."""
        if self.encoded:
            jpeg = sum(self._jpegs_bytes) / len(self._jpegs_bytes)
            raw = 4 * self.head.partition.map.count
            logger.info(
                "sent %d maps of %s on average; a JPEG of these frames has %s, a map as float32 %s; the head ran on %d "
                "frames, %.1f ms each",
                self.encoded,
                format_bytes(self.encoded_bytes / self.encoded),
                format_bytes(jpeg),
                format_bytes(raw),
                self.head_runs,
                1000 * self._head_s / self.head_runs,
            )

    def _run_head(self, image: Array) -> SeenMap:
        started = time.perf_counter()
        seen = self.head.see(image)
        self._last = (image, seen)
        self._head_s += time.perf_counter() - started
        self.head_runs += 1
        return seen


def open_encoder(
    head: Path | None,
    gate: Gate,
    *,
    quality: int,
    form: InputForm = PICTURES,
    encoding: str = "auto",
    video: VideoSettings = _VIDEO,
) -> PayloadEncoder:
    """The encoder that fits stream and gate: a filter of maps needs the head whose maps it was trained on.

    Args:
        head: the file of a model's first part; None: inputs travel as they are.
        gate: as `open_gate` opens it.
        quality: of JPEGs.
        form: what the stream's inputs are.
        encoding: how they travel, as in device.toml.
        video: how pictures travel as H.264.

    Raises:
        InvalidInput: the file is not a head, or the gate decides on something else, or such inputs do not travel so.
    """
    if form != PICTURES:
        if head is not None:
            raise InvalidInput(f"`head` is a part of a model that sees pictures, and this source gives {form.modality}")
        return form_encoder(form, encoding=encoding, quality=quality)
    if encoding not in _PICTURES or (encoding != "auto" and head is not None):
        raise InvalidInput(
            f'`encoding = "{encoding}"`: pictures travel as {", ".join(_PICTURES)}, and maps of a `head` as they are: '
            "leave it out"
        )
    if not isinstance(gate, FilterRuntime) or not isinstance(gate.spec.modality, FeatureMap):
        if head is not None:
            return FeatureMapEncoder(Head(head), on_maps=False, quality=quality)
        return JpegEncoder(quality) if encoding == "jpeg" else VideoEncoder(video, quality, only=encoding == "h264")
    if head is None:
        raise InvalidInput(
            f"gate {gate.name}: decides on feature maps: give the `head` whose maps it was trained on "
            "(`infilink split`)"
        )
    opened = Head(head)
    _check_filter(gate, gate.spec.modality, opened)
    return FeatureMapEncoder(opened, on_maps=True, quality=quality)


def _check_filter(gate: FilterRuntime, modality: FeatureMap, head: Head) -> None:
    """A filter decides on the maps that it was trained on: on any others it would fail, frame by frame."""
    partition = head.partition
    advice = "train it on this head's maps (`infilink split --features`)"
    if tuple(modality.size) != head.features_shape:
        sizes = ["x".join(map(str, size)) for size in (modality.size, head.features_shape)]
        raise InvalidInput(
            f"gate {gate.path}: decides on maps of {sizes[0]}, the head {head.path} makes {sizes[1]}; {advice}"
        )
    if gate.spec.models.get(partition.model) != partition.digest:
        raise InvalidInput(
            f"gate {gate.path}: was trained on {', '.join(gate.spec.models)}, but the head {head.path} is of another "
            f"{partition.model} ({partition.digest}); {advice}"
        )
