"""What a model that has no spec probably is, guessed from the shapes of its graph."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from .session import open_session

_ANY_SIZE = (640, 640)
_STRIDES = (8, 16, 32)
_STRIDES_64 = (8, 16, 32, 64)
_IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
_IMAGENET_BGR = {key: values[::-1] for key, values in _IMAGENET.items()}
_COCO = 80

Shape = tuple[int, ...]
Size = tuple[int, int]


@dataclass(frozen=True)
class Guess:
    """What the output shapes look like, and the values of `[output]`, `[decoder]` and `[input]` that go with it."""

    why: str
    output: Mapping[str, Any]
    decoder: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A model's one picture input and its outputs for one picture, by name; a dimension is 0 where it is unknown."""

    input_name: str
    input_shape: Shape
    layout: str
    color: str
    size: Size
    dtype: str
    outputs: Mapping[str, Shape]
    sums_to_one: bool


def read_graph(path: Path) -> Graph:
    """Reads a model's shapes, running it once on a black picture for those that the file leaves open.

    Raises:
        InvalidInput: not an ONNX model, or none that takes one picture and nothing else.
    """
    session = open_session(path)
    nodes = session.get_inputs()
    told = ", ".join(f"{node.name} {node.shape}" for node in nodes) or "none"
    if len(nodes) != 1 or len(nodes[0].shape) != 4:
        raise InvalidInput(f"{path}: infilink feeds one picture (4 dimensions) and nothing else; its inputs are {told}")
    shape = tuple(n if isinstance(n, int) else 0 for n in nodes[0].shape)
    if shape[0] > 1:
        raise InvalidInput(f"{path}: takes {shape[0]} pictures at once; export it for a batch of 1 ({told})")
    nhwc = shape[3] in (1, 3) and shape[1] not in (1, 3)
    channels, height, width = (shape[3], *shape[1:3]) if nhwc else shape[1:]
    if channels not in (0, 1, 3):
        raise InvalidInput(f"{path}: infilink feeds pictures of 1 or 3 channels; its inputs are {told}")
    channels, size = channels or 3, (width or _ANY_SIZE[0], height or _ANY_SIZE[1])
    tensor = np.zeros((1, *size[::-1], channels) if nhwc else (1, channels, *size[::-1]))
    tensor = tensor.astype(np.uint8 if nodes[0].type == "tensor(uint8)" else np.float32)
    values: list[Array] | None
    try:
        values = session.run(None, {nodes[0].name: tensor})
    except Exception:  # onnxruntime raises many types of its own; the shapes in the file must do
        values = None
    shapes = [node.shape for node in session.get_outputs()] if values is None else [np.shape(v) for v in values]
    return Graph(
        nodes[0].name,
        shape,
        "NHWC" if nhwc else "NCHW",
        "GRAY" if channels == 1 else "RGB",
        size,
        nodes[0].type,
        {
            node.name: tuple(n if isinstance(n, int) else 0 for n in found)
            for node, found in zip(session.get_outputs(), shapes, strict=True)
        },
        values is not None and _sums_to_one(values[-1]),
    )


def guess(graph: Graph) -> Guess:
    """What kind of output the shapes look like; a raw vector if they look like nothing known."""
    shapes = list(graph.outputs.values())
    found = _many_maps(shapes, graph.size)
    if found is not None:
        return found
    # The last is what a decoder reads if it is not told otherwise.
    last = list(graph.outputs)[-1]
    for name, shape in reversed(list(graph.outputs.items())):
        found = _one_map(shape, graph)
        if found is not None:
            named = {} if name == last else {"output": name}
            return Guess(found.why, found.output, {**found.decoder, **named}, found.input)
    length = max(1, prod(shapes[-1]))
    return Guess("its shape is of no family known here", {"kind": "vector", "length": length}, {"name": "raw"})


def _many_maps(shapes: list[Shape], size: Size) -> Guess | None:
    maps = [(prod(shape[:-1]), shape[-1]) for shape in shapes if shape]
    if len(maps) == 2 and maps[0][0] == maps[1][0] > 1 and 4 in (maps[0][1], maps[1][1]):
        wide = maps[1][1] if maps[0][1] == 4 else maps[0][1]
        if wide > 1:
            settings = {"resize": "stretch", "mean": [127.0], "std": [128.0]}
            return Guess("scores and corners, the background first", _boxes(wide - 1), {"name": "ultraface"}, settings)
    for strides in (_STRIDES, _STRIDES_64):
        levels, cells = len(strides), _cells(size, strides)
        if len(maps) < 2 * levels:
            continue
        by_stride = maps[0][0] == maps[1][0]
        scores = maps[: 2 * levels : 2] if by_stride else maps[:levels]
        distances = maps[1] if by_stride else maps[levels]
        rows = sum(count for count, _ in scores)
        if rows not in (cells, 2 * cells) or distances[1] % 4:
            continue
        named = {} if strides == _STRIDES else {"strides": list(strides)}
        if rows == 2 * cells:
            settings = {"resize": "letterbox_center", "mean": [127.5], "std": [128.0]}
            why = "scores and distances, two a cell"
            return Guess(why, _boxes(scores[0][1]), {"name": "scrfd", **named}, settings)
        why = "scores and distances, one a cell"
        return Guess(why, _boxes(scores[0][1]), {"name": "nanodet", **named}, {"color": "BGR", **_IMAGENET_BGR})
    return None


def _one_map(shape: Shape, graph: Graph) -> Guess | None:
    if len(shape) == 3 and shape[0] == 1:
        found = _rows_of_boxes(shape[1], shape[2], graph.size)
        if found is not None:
            return found
    if shape[-1:] == (6,) and (len(shape) == 3 or (len(shape) == 2 and shape[0] != 1)):
        return Guess("rows of x1, y1, x2, y2, score, class", _boxes(_COCO), {"name": "boxes"})
    if len(shape) == 4 and shape[:2] == (1, 1) and min(shape[2:]) > 1:
        return Guess("a map of one channel", {"kind": "mask"}, {"name": "sigmoid"})
    if len(shape) == 4 and shape[1] > 5 and shape[2:] == tuple(ceil(n / 16) for n in graph.size[::-1]):
        why = "one map of 5 + classes at stride 16"
        return Guess(why, _boxes(shape[1] - 5), {"name": "fastestdet"}, {"color": "BGR"})
    if len(shape) >= 2 and shape[0] == 1 and shape[1] == prod(shape) > 1:
        decoder = {"name": "raw" if graph.sums_to_one else "softmax"}
        return Guess("one number a class", {"kind": "label", "classes": shape[1]}, decoder, _IMAGENET)
    if prod(shape) == 1:
        return Guess("one number", {"kind": "scalar"}, {"name": "raw"})
    return None


def _rows_of_boxes(rows: int, width: int, size: Size) -> Guess | None:
    cells, cells_64 = _cells(size, _STRIDES), _cells(size, _STRIDES_64)
    letterbox = {"resize": "letterbox_center"}
    if rows == cells_64 and width > 32:
        decoder = {"name": "nanodet", "strides": list(_STRIDES_64), "cell": 0}
        why = "classes + 4 x 8 distances over the cells of strides 8 to 64"
        return Guess(why, _boxes(width - 32), decoder, {"color": "BGR", **_IMAGENET_BGR})
    if rows == cells and width > 5:
        settings = {"color": "BGR", "resize": "letterbox", "std": [1.0]}
        why = "rows of 5 + classes over the cells of strides 8, 16, 32"
        return Guess(why, _boxes(width - 5), {"name": "yolox"}, settings)
    if rows == 3 * cells and width > 5:
        return Guess("rows of 5 + classes, three a cell", _boxes(width - 5), {"name": "yolov5"}, letterbox)
    if rows > 4 and width in (cells, cells_64):
        return Guess("columns of 4 + classes", _boxes(rows - 4), {"name": "yolov8"}, letterbox)
    return None


def _boxes(classes: int) -> dict[str, Any]:
    return {"kind": "boxes", "classes": "coco" if classes == _COCO else max(1, classes)}


def _cells(size: Size, strides: Shape) -> int:
    return sum(ceil(size[0] / stride) * ceil(size[1] / stride) for stride in strides)


def _sums_to_one(value: Any) -> bool:
    value = np.asarray(value)
    return bool(value.dtype.kind == "f" and value.size > 1 and value.min() >= 0 and abs(float(value.sum()) - 1) < 1e-3)


def spec_name(path: Path) -> str:
    """A name that a spec may have, from the file's."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).lstrip("._-") or "model"
