"""What a model's file tells of it: its input, its outputs on a few pictures, and what whoever exported it wrote."""

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ..errors import InvalidInput
from ..outputs import Array
from .inputs.pixels import FED_TYPES
from .session import open_session

_ANY_SIZE = (640, 640)
_NAMES = ("names", "classes", "class_names", "labels", "id2label")

Shape = tuple[int, ...]
Size = tuple[int, int]


@dataclass(frozen=True)
class Written:
    """What whoever exported a model wrote beside its graph.

    Attributes:
        classes: the names of its classes; empty: nobody wrote them.
        task: Ultralytics' word for what it does: detect, segment, pose, classify, obb; empty: another exporter.
        size: of its input, width and height; None: nobody wrote it.
    """

    classes: tuple[str, ...] = ()
    task: str = ""
    size: Size | None = None


@dataclass(frozen=True)
class Graph:
    """A model's one picture input and its outputs for one picture, by name; a dimension is 0 where it is unknown.

    Attributes:
        values: what each output was on a few pictures; none where the model did not run on them.
        constants: its other inputs, which are numbers.
    """

    input_name: str
    input_shape: Shape
    layout: str
    color: str
    size: Size
    dtype: str
    outputs: Mapping[str, Shape]
    values: Mapping[str, Sequence[Array]]
    written: Written
    constants: tuple[str, ...] = ()


def read_graph(path: Path) -> Graph:
    """Reads a model's shapes, running it on a few pictures for what the file leaves open.

    Raises:
        InvalidInput: not an ONNX model, or none that takes one picture, and numbers besides.
    """
    session = open_session(path)
    told = ", ".join(f"{node.name} {node.shape} {node.type}" for node in session.get_inputs()) or "none"
    nodes = [node for node in session.get_inputs() if len(node.shape) == 4]
    others = [node for node in session.get_inputs() if len(node.shape) != 4]
    if len(nodes) != 1 or any(len(node.shape) > 2 for node in others):
        raise InvalidInput(
            f"{path}: nothing here tells what it looks at: no one picture, clip, signal, sound or text; its inputs are "
            f'{told}; write {path.with_suffix(".toml").name} yourself (docs/MODELS.md), or `serve = "tensors"`'
        )
    if nodes[0].type not in FED_TYPES:
        fed = ", ".join(FED_TYPES)
        raise InvalidInput(
            f"{path}: infilink feeds pictures as {fed}; its inputs are {told}; export it with one of these"
        )
    shape = tuple(n if isinstance(n, int) else 0 for n in nodes[0].shape)
    if shape[0] > 1:
        raise InvalidInput(f"{path}: takes {shape[0]} pictures at once; export it for a batch of 1 ({told})")
    nhwc = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, height, width = (shape[3], *shape[1:3]) if nhwc else shape[1:]
    if channels not in (0, 1, 3):
        raise InvalidInput(f"{path}: infilink feeds pictures of 1 or 3 channels; its inputs are {told}")
    written = read_written(session, path)
    usual = written.size or _ANY_SIZE
    channels, size = channels or 3, (width or usual[0], height or usual[1])
    tensor_shape = (1, *size[::-1], channels) if nhwc else (1, channels, *size[::-1])
    runs = _runs(session, nodes[0], tensor_shape) if not others else []
    names = [node.name for node in session.get_outputs()]
    shapes = [node.shape for node in session.get_outputs()] if not runs else [np.shape(value) for value in runs[-1]]
    return Graph(
        nodes[0].name,
        shape,
        "NHWC" if nhwc else "NCHW",
        "GRAY" if channels == 1 else "RGB",
        size,
        nodes[0].type,
        {name: _one_input(found) for name, found in zip(names, shapes, strict=True)},
        {name: [np.asarray(run[i]) for run in runs] for i, name in enumerate(names)},
        written,
        tuple(node.name for node in others),
    )


def _one_input(shape: Sequence[Any]) -> Shape:
    """An output's shape for one input; 0 where it is not known."""
    return tuple(n if isinstance(n, int) else int(axis == 0) for axis, n in enumerate(shape))


def _runs(session: ort.InferenceSession, node: Any, shape: Shape) -> list[list[Any]]:
    """A model's outputs on black, on noise from 0 to 1, and on noise from 0 to 255, as far as it runs on them."""
    noise = np.random.default_rng(0).random(shape)
    tensors = [np.zeros(shape), noise, noise * 255]
    kind = FED_TYPES[node.type]
    if kind.kind in "iu":
        # What fits into bytes with a sign, too.
        tensors = [np.rint(tensor / 2) for tensor in tensors]
    found = []
    for tensor in tensors:
        with suppress(Exception):  # onnxruntime raises many types of its own; the shapes in the file must do
            found.append(session.run(None, {node.name: tensor.astype(kind)}))
    return found


def read_written(session: ort.InferenceSession, path: Path) -> Written:
    """What stands in a model's metadata, and in the `config.json` that Hugging Face puts beside it."""
    metadata = session.get_modelmeta().custom_metadata_map
    beside: Any = {}
    with suppress(OSError, ValueError):
        beside = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    told = [metadata.get(key, "") for key in _NAMES]
    told += [beside.get(key) for key in _NAMES] if isinstance(beside, Mapping) else []
    classes = next((names for names in map(_class_names, told) if names), ())
    size = _parsed(metadata.get("imgsz", ""))
    whole = isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)
    return Written(classes, metadata.get("task", ""), (size[1], size[0]) if whole else None)


def _class_names(told: Any) -> tuple[str, ...]:
    """Names in order, from a list, a map of numbers to names, or either as the text of Python or JSON."""
    value = _parsed(told) if isinstance(told, str) else told
    if isinstance(value, Mapping):
        by_number = {str(key): name for key, name in value.items()}
        value = [by_number.get(str(i)) for i in range(len(by_number))]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return ()
    return tuple(value)


def _parsed(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(text)
    return [line.strip() for line in text.splitlines() if line.strip()] if "\n" in text.strip() else None
