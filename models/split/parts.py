"""The two parts of a model at work: the `Head` makes a feature map of a frame, the `Tail` goes on from it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import BadOutput, InvalidInput, ModelFailed
from ...outputs import Array
from ..inputs.fed import Letterbox
from ..onnx_model import OnnxModel
from ..process import ModelProcess
from ..session import CPU_ONLY, SessionProviders, open_session
from ..spec import METADATA_KEY, ModelSpec, parse_spec
from .spec import SeenMap, as_features, pack_map, partition_inside, read_partition, unpack_map


class Head(OnnxModel):
    """The first part; as a model like any other it returns the map as one vector.

    Raises:
        InvalidInput: the file is no head (`infilink split` writes one).
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        try:
            super().__init__(path, threads=threads)
        except InvalidInput:
            read_partition(Path(path), "head")  # says it better where this is a tail
            raise
        self.partition = partition_inside(self._session, self.path, "head")

    def see(self, frame: Array) -> SeenMap:
        """The map of a frame (uint8 BGR, height x width x 3).

        Raises:
            InvalidInput: this is no frame.
            ModelFailed: the model failed on it, or gave no finite map.
        """
        fed = self._feed(frame)
        value = self._run(fed.tensors)[self.partition.tensor]
        if not np.isfinite(value).all():
            raise BadOutput(f"{self.spec.name}: its map holds NaN or infinity")
        return SeenMap(value, fed.letterbox)

    def pack(self, seen: SeenMap) -> bytes:
        """The map as a message.

        Raises:
            ModelFailed: it is too large for float16, where that travels.
        """
        try:
            return pack_map(seen, self.partition)
        except InvalidInput as error:
            raise ModelFailed(f"{self.spec.name}: {error}") from error

    @property
    def features_shape(self) -> tuple[int, ...]:
        """Of `SeenMap.features`: channels, height, width."""
        return as_features(np.empty(self.partition.shape, np.uint8)).shape


class Tail(OnnxModel):
    """The second part: from a map to the whole model's output.

    Args:
        path: the `.onnx` file.
        threads: how many threads one inference may use.
        optimized: as `OnnxModel` keeps it.
        providers: what runs it.

    Raises:
        InvalidInput: the file is no tail (`infilink split` writes one).
    """

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        self.path = Path(path)
        self._session = open_session(self.path, threads=threads, optimized=optimized, providers=providers)
        self.partition = partition_inside(self._session, self.path, "tail")
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.spec: ModelSpec = parse_spec(json.loads(metadata[METADATA_KEY]), where=str(self.path))
        self._input = self._session.get_inputs()[0]
        self._outputs = [output.name for output in self._session.get_outputs()]

    def answer(self, seen: SeenMap) -> Array:
        """The whole model's output for the frame whose map this is.

        Raises:
            ModelFailed: the model or its decoder raised, or its output does not fit its spec.
        """
        return self._decode(self.raw(seen), seen.letterbox)

    def raw(self, seen: SeenMap) -> dict[str, Array]:
        """What the decoder is given: the graph's outputs by name.

        Raises:
            ModelFailed: the model raised.
        """
        try:
            outputs = self._session.run(None, {self._input.name: seen.value})
        except Exception as error:  # onnxruntime raises many types of its own
            raise BadOutput(f"{self.spec.name}: {' '.join(str(error).split())[:300]}") from error
        return dict(zip(self._outputs, outputs, strict=True))

    def unpack(self, message: bytes) -> SeenMap:
        """The map in what a head's `pack` made.

        Raises:
            InvalidInput: these bytes are none, or of another cut.
        """
        return unpack_map(message, self.partition)


class ServedTail:
    """A tail as a process serves it: from a message to the output.

    Attributes:
        spec: the tail's.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        self._tail = Tail(path, threads=threads, optimized=optimized, providers=providers)
        self.spec = self._tail.spec

    def infer(self, frame: Array) -> Array:
        """The output for the bytes of a message (uint8, one axis); for one byte, that for an empty map.

        Raises:
            InvalidInput: they are not those of a map of this cut.
        """
        return self._tail.answer(self._empty() if frame.size == 1 else self._tail.unpack(frame.tobytes()))

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> Mapping[str, Array]:
        """Raises InvalidInput: a tail is given the maps that a head packed, on a device's stream."""
        raise InvalidInput(f"{self.spec.name}: is the second part of a model and takes no tensors")

    def _empty(self) -> SeenMap:
        at = self._tail.partition
        width, height = at.input_size
        return SeenMap(np.zeros(at.shape, at.dtype), Letterbox(0, 0, width, height, width, height))


class TailProcess(ModelProcess):
    """A `Tail` in a process of its own; what it infers from is the message that a head packed, as bytes."""

    opener: ClassVar = ServedTail

    def warm_up(self, timeout_s: float | None = None) -> None:
        """Runs it once on one byte, which stands for an empty map."""
        self.infer(np.zeros(1, np.uint8), timeout_s=timeout_s)

    def check(self, frame: Array) -> None:
        """Raises InvalidInput if this is no message (uint8, one axis)."""
        if frame.dtype != np.uint8 or frame.ndim != 1 or not frame.size:
            raise InvalidInput(f"a map's message must be uint8 of one axis, not {frame.dtype} of {frame.shape}")
