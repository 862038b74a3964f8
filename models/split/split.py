"""Cutting a model in two files, and proving on inputs that both together say what the whole says."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from ...errors import InvalidInput, ModelFailed
from ...files import replacing
from ...outputs import Array, OutputSpec
from ..decoding import DecoderSpec
from ..inputs.picture import preprocess
from ..onnx_model import OnnxModel
from ..spec import METADATA_KEY, ModelSpec, digest, read_spec
from .feature_map import MAP_TYPES, TRANSFERS, MapFormat, Transfer
from .graph import CuttableGraph
from .parts import Head, Tail
from .spec import PARTITION_KEY, PartitionSpec, SeenMap, is_part

# Two sums of the same numbers in another order; above it the halves are another model.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Parity:
    """How head and tail compare with the whole model.

    Attributes:
        samples: on how many inputs.
        difference: the largest absolute difference of any raw output, the map handed over as it is.
        scale: the largest absolute raw output.
        agreement: the mean agreement of the decoded outputs (outputs.py), by how the map travels.
        sent_bytes: the mean size of a map as it travels.
    """

    samples: int
    difference: float
    scale: float
    agreement: dict[Transfer, float]
    sent_bytes: dict[Transfer, float]


@dataclass(frozen=True)
class Split:
    """A model in two parts: the files, what both say of the cut, and how they compare with the whole."""

    head: Path
    tail: Path
    partition: PartitionSpec
    parity: Parity


def split(path: Path, tensor: str, out: Path, *, frames: Sequence[Array], transfer: Transfer = "uint8+zlib") -> Split:
    """Cuts a model into `OUT/head/NAME.head.onnx` and `OUT/tail/NAME.tail.onnx`, both with their specs inside.

    The head is a model like any other, whose output is the map as one vector; a coordinator serves the folder `tail`.

    Args:
        path: the `.onnx` file.
        tensor: the cut.
        out: the folder to write into.
        frames: inputs to compare on: uint8 BGR.
        transfer: how the map travels.

    Raises:
        InvalidInput: this is no valid cut, no frames, or both parts together say something else than the whole.
    """
    if not frames:
        raise InvalidInput("a split is checked on at least one frame")
    splitter = Splitter(path)
    splitter.graph.check(tensor)
    value = splitter.probe([tensor], frames[0])[tensor]
    name = splitter.spec.name
    # Compared before they lie where they would be used.
    with tempfile.TemporaryDirectory(prefix="infilink-") as folder:
        made = Path(folder) / "head.onnx", Path(folder) / "tail.onnx"
        splitter.write(tensor, value, transfer, head=made[0], tail=made[1])
        parity = compare(path, Head(made[0]), Tail(made[1]), frames)
    if not parity.difference <= _ROUNDING * max(1.0, parity.scale):
        raise InvalidInput(
            f"{path}: cut at {tensor!r}, both parts together differ from the whole by {parity.difference:g}: the model "
            "is not the same twice, or onnxruntime treats its halves differently; choose another cut (`--list`)"
        )
    head, tail = out / "head" / f"{name}.head.onnx", out / "tail" / f"{name}.tail.onnx"
    partition = splitter.write(tensor, value, transfer, head=head, tail=tail)
    return Split(head, tail, partition, parity)


class Splitter:
    """One model that is to be cut; every cut is made from here.

    Args:
        path: the `.onnx` file; its spec is inside or beside it.

    Raises:
        InvalidInput: no ONNX file, no spec, or it is a part of a model already.
    """

    def __init__(self, path: Path) -> None:
        if is_part(path):
            raise InvalidInput(f"{path}: is a part of a model already; split the whole one again")
        self.path = path
        self.spec: ModelSpec = read_spec(path)
        self.digest = digest(path)
        self.graph = CuttableGraph(path, self.spec.picture.tensor_shape)

    def write(self, tensor: str, value: Array, transfer: Transfer, *, head: Path, tail: Path) -> PartitionSpec:
        """Writes both halves of a cut, where `value` is what its tensor held once; what both say of it.

        Raises:
            InvalidInput: this is no valid cut, or its map is not what can travel.
        """
        partition = self._partition(tensor, value, transfer)
        halves = self.graph.halves(tensor, value)
        specs = (self._head_spec(partition), self.spec.model_copy(update={"input": None}))
        parts = (partition, partition.model_copy(update={"part": "tail"}))
        for path, half, spec, part in zip((head, tail), halves, specs, parts, strict=True):
            half.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json(exclude_defaults=True))
            half.metadata_props.add(key=PARTITION_KEY, value=part.model_dump_json())
            with replacing(path) as file:
                onnx.save(half, str(file))
        return partition

    def probe(self, tensors: Sequence[str], frame: Array) -> dict[str, Array]:
        """What tensors hold for a frame (uint8 BGR).

        Raises:
            InvalidInput: the model does not run on it.
        """
        tensor, _ = preprocess(frame, self.spec.picture)
        return self.graph.probe(tensors, tensor)

    def _partition(self, tensor: str, value: Array, transfer: Transfer) -> PartitionSpec:
        if value.ndim < 2 or value.shape[0] != 1 or value.dtype.name not in MAP_TYPES:
            raise InvalidInput(
                f"{self.path}: {tensor!r} is {value.dtype} of {value.shape}: only a map with a batch axis of 1 and of "
                f"{', '.join(MAP_TYPES)} can travel; choose another cut (`--list`)"
            )
        made = PartitionSpec(
            part="head",
            model=self.spec.name,
            digest=self.digest,
            tensor=tensor,
            shape=value.shape,
            dtype=value.dtype.name,
            transfer=transfer,
            input_size=self.spec.picture.size,
        )
        # A map of bytes that is to travel as floats is refused here.
        assert made.map.count == value.size
        return made

    def _head_spec(self, partition: PartitionSpec) -> ModelSpec:
        return ModelSpec(
            name=f"{self.spec.name}.head",
            version=self.spec.version,
            description=f"the first part of {self.spec.name}, up to {partition.tensor}",
            input=self.spec.input,
            output=OutputSpec(kind="vector", length=partition.map.count),
            decoder=DecoderSpec(name="raw"),
        )


def compare(path: Path, head: Head, tail: Tail, frames: Sequence[Array]) -> Parity:
    """Runs the whole model and both parts, the map handed over in each form that it can travel in."""
    whole = _Raw(path)
    at = head.partition
    names = [name for name in TRANSFERS if not at.map.native or name.startswith("uint8")]
    difference = scale = 0.0
    agreements: dict[Transfer, list[float]] = {name: [] for name in names}
    sizes: dict[Transfer, list[int]] = {name: [] for name in names}
    for frame in frames:
        seen = head.see(frame)
        expected, said = whole.raw(frame), whole.infer(frame)
        found = tail.raw(seen)
        for name, value in expected.items():
            gaps = np.abs(np.asarray(value, np.float64) - np.asarray(found[name], np.float64))
            difference = max(difference, float(gaps.max(initial=0.0)))
            scale = max(scale, float(np.abs(np.asarray(value, np.float64)).max(initial=0.0)))
        for name in names:
            form = MapFormat(at.shape, at.dtype, name)
            try:
                packed = form.pack(seen.value)
                answer = tail.answer(SeenMap(form.unpack(packed), seen.letterbox))
            except (InvalidInput, ModelFailed):  # too large for float16: it agrees on nothing
                agreements[name].append(0.0)
                continue
            agreements[name].append(tail.spec.output.agreement(answer, said))
            sizes[name].append(len(packed))
    return Parity(
        samples=len(frames),
        difference=difference,
        scale=scale,
        agreement={name: float(np.mean(each)) for name, each in agreements.items()},
        sent_bytes={name: float(np.mean(each or [0])) for name, each in sizes.items()},
    )


class _Raw(OnnxModel):
    """The whole model, which also shows what its decoder is given."""

    def raw(self, frame: Array) -> dict[str, Array]:
        """Every raw output by name."""
        return self._run(self._feed(frame).tensors)
