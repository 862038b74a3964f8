"""What each cut of a model costs (bytes sent, time before and after it, what quantising loses), and which is best."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from ...codec import decode_jpeg, encode_jpeg
from ...errors import InvalidInput
from ...outputs import Array
from ...reporting import Progress
from ..onnx_model import OnnxModel
from .feature_map import MAP_TYPES, MapFormat
from .parts import Head, Tail
from .spec import SeenMap
from .split import Splitter

ON_DEVICE = "on the device"
OFFLOAD = "offload"

_ROUNDS = 3
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PackCost:
    """One way for a frame to travel: its mean size, and the times to make it that and to read it again."""

    sent_bytes: float
    pack_s: float
    unpack_s: float


@dataclass(frozen=True)
class Cut:
    """One valid cut, measured; all times are of one thread on this machine, for one frame.

    Attributes:
        tensor: its name.
        shape: of the map, its batch axis of 1 included.
        dtype: what the graph holds there.
        float_bytes: the map as float32.
        forms: what the map costs as "uint8" and as "uint8+zlib".
        head_s: from the frame to the map, preprocessing included.
        tail_s: from the map to the output, decoding included.
        agreement: the mean agreement of the output with the whole model's, when the map travels as uint8.
    """

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    float_bytes: int
    forms: dict[str, PackCost]
    head_s: float
    tail_s: float
    agreement: float


@dataclass(frozen=True)
class CutTable:
    """Every cut of a model, and beside them the frame as a JPEG and the model as a whole.

    Attributes:
        model: its name.
        inputs: how many frames were measured on.
        seen: what they were: a trace, a clip, or noise.
        picture_bytes: the raw frame (uint8, three channels), on average.
        input_bytes: the model's own input as uint8.
        jpeg: the frame as a JPEG.
        whole_s: from the frame to the output on this machine.
        cuts: in the graph's order.
    """

    model: str
    inputs: int
    seen: str
    picture_bytes: float
    input_bytes: int
    jpeg: PackCost
    whole_s: float
    cuts: tuple[Cut, ...]


def measure_cuts(path: Path, frames: Sequence[Array], *, seen: str, progress: Progress | None = None) -> CutTable:
    """Cuts a model everywhere and runs both parts on frames (uint8 BGR), one thread each.

    Args:
        path: the `.onnx` file.
        frames: what is measured on; the first one also warms up.
        seen: what they are, for the table.
        progress: told the share done and the cut.

    Raises:
        InvalidInput: no frames, no valid cut, or what `Splitter` raises.
    """
    if not frames:
        raise InvalidInput("cuts are measured on at least one frame")
    told = progress or (lambda _share, _text: None)
    splitter = Splitter(path)
    found = splitter.graph.cuts
    values = splitter.probe(found, frames[0]) if found else {}
    usable = {name: v for name, v in values.items() if v.ndim > 1 and v.shape[0] == 1 and v.dtype.name in MAP_TYPES}
    if not usable:
        raise InvalidInput(f"{path}: has no valid cut: no single map stands between its input and its outputs")
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        whole = OnnxModel(path)
        whole.infer(frames[0])
        said, whole_s = _timed(whole.infer, frames)
        cuts = []
        with tempfile.TemporaryDirectory(prefix="infilink-") as folder:
            for i, (name, value) in enumerate(usable.items()):
                told(i / len(usable), name)
                cuts.append(_measure(splitter, name, value, Path(folder), frames, said))
        jpegs, jpeg_s = _timed(encode_jpeg, frames)
        _, read_s = _timed(decode_jpeg, jpegs)
    finally:
        cv2.setNumThreads(before)
    return CutTable(
        model=splitter.spec.name,
        inputs=len(frames),
        seen=seen,
        picture_bytes=float(np.mean([frame.size for frame in frames])),
        input_bytes=int(np.prod(splitter.spec.picture.tensor_shape)),
        jpeg=PackCost(_mean_size(jpegs), jpeg_s, read_s),
        whole_s=whole_s,
        cuts=tuple(cuts),
    )


def _measure(
    splitter: Splitter, tensor: str, value: Array, folder: Path, frames: Sequence[Array], said: Sequence[Array]
) -> Cut:
    paths = folder / "head.onnx", folder / "tail.onnx"
    partition = splitter.write(tensor, value, "uint8", head=paths[0], tail=paths[1])
    head, tail = Head(paths[0]), Tail(paths[1])
    head.see(frames[0])
    maps, head_s = _timed(head.see, frames)
    forms = {}
    arrived: list[SeenMap] = []
    for transfer in ("uint8", "uint8+zlib"):
        form = MapFormat(partition.shape, partition.dtype, transfer)
        packed, pack_s = _timed(form.pack, [seen.value for seen in maps])
        read, unpack_s = _timed(form.unpack, packed)
        arrived = [SeenMap(found, seen.letterbox) for found, seen in zip(read, maps, strict=True)]
        forms[transfer] = PackCost(_mean_size(packed), pack_s, unpack_s)
    tail.answer(arrived[0])
    answers, tail_s = _timed(tail.answer, arrived)
    output = tail.spec.output
    return Cut(
        tensor=tensor,
        shape=value.shape,
        dtype=value.dtype.name,
        float_bytes=value.size * 4,
        forms=forms,
        head_s=head_s,
        tail_s=tail_s,
        agreement=float(np.mean([output.agreement(a, b) for a, b in zip(answers, said, strict=True)])),
    )


def _timed(function: Callable[..., _Result], values: Sequence[object]) -> tuple[list[_Result], float]:
    """What a function makes of each value, and how long that takes on average, by each value's best of some rounds.

    Processor time of this thread, which does all the work: what else runs on the machine counts little.
    """
    times_s = np.full((_ROUNDS, len(values)), np.inf)
    for times in times_s:
        results = []
        for i, value in enumerate(values):
            started = time.thread_time()
            results.append(function(value))
            times[i] = time.thread_time() - started
    return results, float(times_s.min(axis=0).mean())


def _mean_size(packed: Sequence[bytes]) -> float:
    return float(np.mean([len(each) for each in packed]))


@dataclass(frozen=True)
class Placing:
    """One way to run a model for a camera.

    Attributes:
        where: `ON_DEVICE`, `OFFLOAD` (frames travel as JPEGs), or the cut's tensor.
        transfer: how what travels does; empty where nothing does.
        sent_bytes: for each input.
        latency_s: from a captured frame to its output, nothing else being on the way.
        inputs_per_s: what the slowest of device, link and cloud lets through, each working on another input.
    """

    where: str
    transfer: str
    sent_bytes: float
    latency_s: float
    inputs_per_s: float


@dataclass(frozen=True)
class Choice:
    """What is best over one link.

    Attributes:
        link_bps: its speed, bits a second.
        device_slowdown: how much slower the device is than what was measured on.
        latency: the placing with the least latency.
        throughput: the one with the most inputs a second; among equals, the one with the least latency.
        placings: all of them.
    """

    link_bps: float
    device_slowdown: float
    latency: Placing
    throughput: Placing
    placings: tuple[Placing, ...]


def choose(table: CutTable, link_bps: float, *, device_slowdown: float = 1.0) -> Choice:
    """The best places to cut a measured model.

    Args:
        table: what each cut costs here; the cloud is taken to be as fast as this machine.
        link_bps: the uplink, bits a second; answers are small and count nothing.
        device_slowdown: how much slower the device is: its times are so many times those measured.

    Raises:
        InvalidInput: the slowdown or the link is not above 0.
    """
    for name, value in (("device_slowdown", device_slowdown), ("link_bps", link_bps)):
        if not (value > 0 and math.isfinite(value)):
            raise InvalidInput(f"{name} must be above 0, not {value:g}")

    def placing(where: str, transfer: str, pack: PackCost, before_s: float, after_s: float) -> Placing:
        stages = (
            device_slowdown * (before_s + pack.pack_s),
            8 * pack.sent_bytes / link_bps,
            pack.unpack_s + after_s,
        )
        return Placing(where, transfer, pack.sent_bytes, sum(stages), 1 / max(*stages, 1e-9))

    placings = [
        placing(ON_DEVICE, "", PackCost(0, 0, 0), table.whole_s, 0),
        placing(OFFLOAD, "jpeg", table.jpeg, 0, table.whole_s),
    ]
    for cut in table.cuts:
        placings += [placing(cut.tensor, name, pack, cut.head_s, cut.tail_s) for name, pack in cut.forms.items()]
    return Choice(
        link_bps=link_bps,
        device_slowdown=device_slowdown,
        latency=min(placings, key=lambda each: each.latency_s),
        throughput=max(placings, key=lambda each: (each.inputs_per_s, -each.latency_s)),
        placings=tuple(placings),
    )
