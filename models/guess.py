"""What a model that has no spec probably is, guessed from its graph and from what was written into it."""

import re
from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path

import numpy as np

from ..outputs import Array
from .graph import Graph, Shape, Written
from .guess_beside import side_by_side
from .guess_rows import single_table
from .guessed import CLASSES, IMAGENET, IMAGENET_BGR, Guess, boxes, cells, named_classes
from .spec import UNKNOWN

_STRIDES = (8, 16, 32)
_STRIDES_64 = (8, 16, 32, 64)


def guess(graph: Graph) -> Guess:
    """What kind of output the shapes look like; a raw vector if they look like nothing known."""
    found = _many_maps(graph) or side_by_side(graph)
    if found is not None:
        return found
    # The last is what a decoder reads if it is not told otherwise.
    last = list(graph.outputs)[-1]
    for look in (single_table, _one_map):
        for name, shape in reversed(list(graph.outputs.items())):
            found = look(name, shape, graph)
            if found is not None:
                named = {} if name == last else {"output": name}
                return Guess(found.why, found.output, {**found.decoder, **named}, found.input, found.unknown)
    length = max(1, prod(graph.outputs[last]))
    why = "its shape is of no family known here"
    if len(graph.outputs) > 1 or len(graph.outputs[last]) > 2:
        # A detector's tensors as one long vector would be of no use: say that it can't be told.
        told = {"output.kind": "no decoder is known for these shapes; a vector would be as they are, flattened"}
        return Guess(why, {"kind": UNKNOWN, "length": length}, {"name": "raw"}, unknown=told)
    return Guess(why, {"kind": "vector", "length": length}, {"name": "raw"})


def _many_maps(graph: Graph) -> Guess | None:
    """Scores and distances for each stride."""
    maps = [(prod(shape[:-1]), shape[-1]) for shape in graph.outputs.values() if shape]
    for strides in (_STRIDES, _STRIDES_64):
        levels, count = len(strides), cells(graph.size, strides)
        if len(maps) < 2 * levels:
            continue
        by_stride = maps[0][0] == maps[1][0]
        scores = maps[: 2 * levels : 2] if by_stride else maps[:levels]
        distances = maps[1] if by_stride else maps[levels]
        rows = sum(each for each, _ in scores)
        if rows not in (count, 2 * count) or distances[1] % 4:
            continue
        named = {} if strides == _STRIDES else {"strides": list(strides)}
        output, unknown = boxes(graph, scores[0][1])
        if rows == 2 * count:
            settings = {"resize": "letterbox_center", "mean": [127.5], "std": [128.0]}
            why = "scores and distances, two a cell"
            return Guess(why, output, {"name": "scrfd", **named}, settings, unknown)
        why = "scores and distances, one a cell"
        return Guess(why, output, {"name": "nanodet", **named}, {"color": "BGR", **IMAGENET_BGR}, unknown)
    return None


def _one_map(name: str, shape: Shape, graph: Graph) -> Guess | None:
    if len(shape) == 4 and shape[:2] == (1, 1) and min(shape[2:]) > 1:
        # A sigmoid over what are shares already would make all of them 0.5 or more.
        seen = [np.asarray(value) for value in graph.values.get(name, ())]
        shares = bool(seen) and all(value.min() >= 0 and value.max() <= 1 for value in seen)
        return Guess("a map of one channel", {"kind": "mask"}, {"name": "raw" if shares else "sigmoid"})
    if len(shape) == 4 and shape[1] > 5 and shape[2:] == tuple(ceil(n / 16) for n in graph.size[::-1]):
        output, unknown = boxes(graph, shape[1] - 5)
        why = "one map of 5 + classes at stride 16"
        return Guess(why, output, {"name": "fastestdet"}, {"color": "BGR"}, unknown)
    if len(shape) >= 2 and shape[0] == 1 and shape[1] == prod(shape) > 1:
        return guess_row(graph.values.get(name, ()), shape[1], graph.written)
    if prod(shape) == 1:
        return Guess("one number", {"kind": "scalar"}, {"name": "raw"})
    return None


def guess_row(values: Sequence[Array], length: int, written: Written) -> Guess:
    """One number a class, or an embedding: told apart by the numbers that the model gave.

    Args:
        values: what the output was on a few inputs.
        length: how many numbers it has.
        written: what whoever exported the model wrote.
    """
    rows = [np.asarray(value, np.float64).reshape(-1) for value in values]
    seen = np.stack(rows) if rows else np.zeros((0, length))
    classes, unknown = named_classes(written, length)
    positive = bool(len(seen)) and bool(seen.min() >= 0)
    if len(seen) and not written.classes and _is_embedding(seen):
        return Guess("an embedding", {"kind": "vector", "length": length}, {"name": "raw"}, IMAGENET)
    # Ultralytics' classifiers divide by 255 and no more.
    settings = {} if written.task == "classify" else IMAGENET
    if positive and bool((np.abs(seen.sum(axis=1) - 1) < 1e-2).all()):
        return Guess("one share a class", {"kind": "label", CLASSES: classes}, {"name": "raw"}, settings, unknown)
    if positive and seen.max() < 1 and np.ptp(seen) > 0:
        output = {"kind": "multilabel", CLASSES: classes}
        return Guess("a share for each class by itself", output, {"name": "raw"}, settings, unknown)
    return Guess("one number a class", {"kind": "label", CLASSES: classes}, {"name": "softmax"}, settings, unknown)


def _is_embedding(seen: Array) -> bool:
    """Whether rows are of length 1 with numbers below 0, or begin at 0 as after a ReLU: scores are neither."""
    of_length_one = bool((np.abs(np.linalg.norm(seen, axis=1) - 1) < 1e-3).all()) and seen.min() < 0
    cut = seen.min() == 0 and float((seen == 0).mean()) > 0.05 and seen.max() > 1
    return bool(of_length_one or cut)


def spec_name(path: Path) -> str:
    """A name that a spec may have, from the file's."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).lstrip("._-") or "model"
