"""The maps at a cut as a trace of their own: what a filter that sits there learns from (spec 2.7, model partition)."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..codec import decode_jpeg, pack
from ..errors import InvalidInput
from ..models.inputs.form import InputForm
from ..models.split.parts import Head
from ..models.split.spec import is_part
from ..models.split.split import Splitter
from ..outputs import Array
from ..reporting import Progress
from .trace import Trace, TraceWriter

_PART = 64


@dataclass(frozen=True)
class Features:
    """What was written.

    Attributes:
        path: the trace of maps.
        inputs: how many it now holds.
        added: how many of them this call added.
        shape: of each: channels, height, width.
        size_bytes: of one input as it is stored.
    """

    path: Path
    inputs: int
    added: int
    shape: tuple[int, ...]
    size_bytes: int


def write_features(
    model: Path,
    tensor: str | None,
    trace: Trace,
    out: Path,
    *,
    progress: Progress | None = None,
) -> Features:
    """Runs a model's head over a trace of pictures and writes a trace of maps, with the same outputs and costs.

    An input of it is the map as the filter on the device sees it, before it is made smaller to travel: (channels,
    height, width), stored as float16 where that can say it. It is written as a stream, and goes on where it stopped.

    Args:
        model: the `.onnx` file: the whole model, or a head.
        tensor: the cut; None where `model` is a head.
        trace: pictures and the models' outputs for them.
        out: the trace to write, or to go on with.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: this is no valid cut, the trace holds no pictures or not this model's outputs, or `out` is
            something else.
    """
    if trace.info.input != "image":
        raise InvalidInput(f"{trace.path}: its inputs are {trace.info.told_input}, not pictures; give a recorded trace")
    with tempfile.TemporaryDirectory(prefix="infilink-") as folder:
        head = _open_head(model, tensor, trace, Path(folder))
        at = head.partition
        if trace.info.digests.get(at.model) != at.digest:
            known = ", ".join(f"{name} ({digest})" for name, digest in trace.info.digests.items())
            raise InvalidInput(
                f"{trace.path}: holds no outputs of this very {at.model} ({at.digest}), but of {known}; record it again"
            )
        notes = {**trace.info.notes, "cut": f"{at.model} {at.digest} {at.tensor}"}
        info = replace(trace.info, input="array", form=InputForm(modality="map"), notes=notes)
        _check_same_cut(out, notes["cut"])
        out.parent.mkdir(parents=True, exist_ok=True)
        with TraceWriter(out, info) as writer:
            added, shape, size_bytes = _write(head, trace, writer, progress or (lambda _share, _text: None))
    with Trace(out) as written:
        return Features(out, len(written), added, shape, size_bytes)


def _open_head(model: Path, tensor: str | None, trace: Trace, folder: Path) -> Head:
    if is_part(model):
        head = Head(model)
        if tensor not in (None, head.partition.tensor):
            raise InvalidInput(f"{model}: is cut at {head.partition.tensor!r} already; leave out the cut {tensor!r}")
        return head
    if tensor is None:
        raise InvalidInput(f"{model}: is a whole model: say where to cut it (--at; see the cuts: --list)")
    splitter = Splitter(model)
    splitter.graph.check(tensor)
    value = splitter.probe([tensor], next(trace.frames()))[tensor]
    splitter.write(tensor, value, "uint8+zlib", head=folder / "head.onnx", tail=folder / "tail.onnx")
    return Head(folder / "head.onnx")


def _check_same_cut(out: Path, cut: str) -> None:
    """A trace that is there already must be of the same cut: its other facts say nothing of it."""
    if not out.is_file():
        return
    try:
        with Trace(out) as found:
            written = found.info.notes.get("cut", "")
    except InvalidInput:
        return  # Empty, or no trace: what writes it says so.
    if written != cut:
        raise InvalidInput(f"{out}: is a trace of {written or 'something else'}, not of {cut}; give another --out")


def _write(head: Head, trace: Trace, writer: TraceWriter, told: Progress) -> tuple[int, tuple[int, ...], int]:
    """Part by part, so that memory stays flat however long the trace is."""
    added, features = 0, head.see(next(trace.frames())).features
    size_bytes = len(_stored(features))
    for start in range(0, len(trace), _PART):
        with trace.part(start, start + _PART) as part:
            outputs = {name: part.outputs(name) for name in part.models}
            for i, payload in enumerate(part.payloads()):
                sequence = int(part.sequences[i])
                if sequence <= writer.last_sequence:
                    continue
                features = head.see(decode_jpeg(payload)).features
                values = {name: each[i] for name, each in outputs.items()}
                writer.append(sequence, float(part.captured_s[i]), _stored(features), values)
                added += 1
                told((start + i) / len(trace), f"input {sequence}")
    return added, features.shape, size_bytes


def _stored(features: Array) -> bytes:
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    return pack(half if np.isfinite(half).all() else features)
