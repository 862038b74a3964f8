"""What one tensor with a row for each box probably is: YOLO's many forms, and tables of finished boxes."""

from typing import Any

import numpy as np

from ..outputs import Array
from .graph import Graph, Shape
from .guessed import IMAGENET_BGR, UNIT_TOLD, Guess, boxes, cells, form_of, rows_seen, share, unit_of, whole
from .spec import COCO_CLASSES, UNKNOWN

# The grids that detectors are usual with.
_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_MOST_UNDECODED = 16
_CENTER = {"resize": "letterbox_center"}


def single_table(name: str, shape: Shape, graph: Graph) -> Guess | None:
    """One tensor with a row (or a column) for each box."""
    if len(shape) < 2 or any(n != 1 for n in shape[:-2]):
        return None
    rows, width = shape[-2:]
    found = None
    if len(shape) == 3:
        found = _grid(name, rows, width, graph)
    return found or _rows(name, rows, width, len(shape), graph)


def _grid(name: str, rows: int, width: int, graph: Graph) -> Guess | None:
    """Rows or columns over the cells of grids: YOLO's many forms."""
    for strides in _GRIDS:
        count = cells(graph.size, strides)
        if width == count and rows > 4:
            columns = rows_seen([np.swapaxes(value, -1, -2) for value in graph.values.get(name, ())], rows)
            return _yolov8("columns", rows, columns, graph)
        if rows == 3 * count and width > 5:
            return _yolov5(
                "rows of 5 + classes, three a cell", width, rows_seen(graph.values.get(name, ()), width), graph
            )
        if rows != count or width < 5:
            continue
        table = rows_seen(graph.values.get(name, ()), width)
        # The places of undecoded rows are relative to their cells, and their sizes logarithms.
        decoded = bool(len(table)) and bool(table[:, :4].max() > _MOST_UNDECODED)
        if not decoded and strides == _GRIDS[1] and width > 32:
            output, unknown = boxes(graph, width - 32)
            why = "classes + 4 x 8 distances over the cells of strides 8 to 64"
            decoder = {"name": "nanodet", "strides": list(strides), "cell": 0}
            return Guess(why, output, decoder, {"color": "BGR", **IMAGENET_BGR}, unknown)
        if decoded or _is_yolov8(width, graph):
            return _decoded_rows(width, table, graph)
        if width > 5:
            output, unknown = boxes(graph, width - 5)
            named = {} if strides == _GRIDS[0] else {"strides": list(strides)}
            settings = {"color": "BGR", "resize": "letterbox", "std": [1.0]}
            why = "rows of 5 + classes over the cells of grids"
            return Guess(why, output, {"name": "yolox", **named}, settings, unknown)
    # Ultralytics' RT-DETR: a row for each query.
    if graph.written.task and width == 4 + len(graph.written.classes):
        return _yolov8("rows", width, rows_seen(graph.values.get(name, ()), width), graph)
    return None


def _is_yolov8(width: int, graph: Graph) -> bool:
    if not graph.written.classes:
        return width == 4 + len(COCO_CLASSES)
    return width == 4 + len(graph.written.classes) + _extra(width, 4, graph)


def _decoded_rows(width: int, table: Array, graph: Graph) -> Guess:
    """Rows whose places are pixels already: with or without an objectness after them."""
    count = len(graph.written.classes)
    if _is_yolov8(width, graph) or count == width - 4:
        return _yolov8("rows", width, table, graph)
    why = "rows of 5 + classes, one a cell"
    found = _yolov5(why, width, table, graph)
    sure = count == width - 5 or (not count and width - 5 == len(COCO_CLASSES)) or bool((table[:, 4] == 1).all())
    if sure:
        return found
    told = '"yolov8" if four numbers stand before the scores, "yolov5" if five do (the fifth an objectness)'
    unknown = {
        "decoder.name": told,
        "output.classes": f"its rows hold {width} numbers: name {width - 4} or {width - 5}",
    }
    return Guess(why, {**found.output, "classes": UNKNOWN}, {**found.decoder, "name": UNKNOWN}, found.input, unknown)


def _yolov8(how: str, width: int, table: Array, graph: Graph) -> Guess:
    extra = _extra(width, 4, graph)
    output, unknown = boxes(graph, width - 4 - extra)
    decoder = {"name": "yolov8", **_units(table, graph), **({"extra": extra} if extra else {})}
    return Guess(f"{how} of 4 + classes{_beside(extra)}", output, decoder, _CENTER, {**unknown, **_turned(graph)})


def _yolov5(why: str, width: int, table: Array, graph: Graph) -> Guess:
    extra = _extra(width, 5, graph)
    output, unknown = boxes(graph, width - 5 - extra)
    decoder = {"name": "yolov5", **_units(table, graph), **({"extra": extra} if extra else {})}
    return Guess(f"{why}{_beside(extra)}", output, decoder, _CENTER, {**unknown, **_turned(graph)})


def _beside(extra: int) -> str:
    return f" and {extra} others (of masks or key points)" if extra else ""


def _turned(graph: Graph) -> dict[str, str]:
    turned = "its boxes are turned (task obb), and no decoder here reads that: export it as a plain detector"
    return {"decoder.name": turned} if graph.written.task == "obb" else {}


def _units(table: Array, graph: Graph) -> dict[str, str]:
    """The unit where it is not the usual one, pixels."""
    return {"units": "shares"} if len(table) and unit_of(table[:, :4]) == "shares" else {}


def _extra(width: int, before: int, graph: Graph) -> int:
    """How many numbers stand after the scores: mask coefficients, key points."""
    masks = [shape[1] for shape in graph.outputs.values() if len(shape) == 4 and shape[1] > 1 and min(shape[2:]) > 8]
    count = len(graph.written.classes)
    if graph.written.task in ("segment", "pose") and count:
        return max(0, width - before - count)
    if len(masks) == 1 and width > before + masks[0]:
        return masks[0]
    return 0


def _rows(name: str, rows: int, width: int, axes: int, graph: Graph) -> Guess | None:
    """Rows with a box's place, score and class: what a graph with its own decoding returns."""
    extra = width - 6 if graph.written.task in ("segment", "pose") and width > 6 and graph.written.classes else 0
    if width - extra not in (6, 7) or (axes == 2 and rows == 1):
        return None
    seen = rows_seen(graph.values.get(name, ()), width)
    columns = _columns(seen, width - extra)
    output, unknown = boxes(graph, None)
    decoder: dict[str, Any] = {"name": "boxes"}
    if columns is None and len(seen):
        return None
    if columns is None:
        told = 'what the numbers of a row are, in order: ["x1", "y1", "x2", "y2", "score", "class"]'
        unknown = {**unknown, "decoder.columns": told}
        columns = (UNKNOWN,)
    if columns != ("x1", "y1", "x2", "y2", "score", "class"):
        decoder["columns"] = list(columns)
    at = [i for i, column in enumerate(columns) if column in ("x1", "y1", "x2", "y2", "cx", "cy", "w", "h")]
    unit = unit_of(seen[:, at]) if at else UNKNOWN
    # Ultralytics' own decoding gives pixels, also where none was seen.
    unit = "pixels" if unit == UNKNOWN and graph.written.task else unit
    if unit == UNKNOWN:
        unknown = {**unknown, "decoder.units": UNIT_TOLD}
    decoder |= {"units": unit, **({"extra": extra} if extra else {})}
    if "class" in columns and len(seen) and seen[:, columns.index("class")].max() >= len(graph.written.classes) > 0:
        decoder["first_class"] = 1
    why = f"rows of {', '.join(columns)}" if UNKNOWN not in columns else f"rows of {width} numbers"
    return Guess(why, output, decoder, _CENTER if graph.written.task else {}, unknown)


def _columns(seen: Array, width: int) -> tuple[str, ...] | None:
    """What the numbers of a row are, by those that were seen; None where that can't be told."""
    if not len(seen):
        return ("x1", "y1", "x2", "y2", "score", "class") if width == 6 else None
    orders = (
        ("box", "score", "class"),
        ("box", "class", "score"),
        ("class", "score", "box"),
        ("-", "box", "score", "class"),
        ("-", "box", "class", "score"),
        ("-", "class", "score", "box"),
    )
    fitting = []
    for order in orders:
        spread = [each for part in order for each in ([part] * 4 if part == "box" else [part])]
        if len(spread) != width:
            continue
        scores, classes = seen[:, spread.index("score")], seen[:, spread.index("class")]
        first = seen[:, 0] if spread[0] == "-" else np.zeros(1)
        if share(scores) and whole(classes) and whole(first):
            fitting.append((whole(scores), spread))
    if not fitting:
        return None
    spread = min(fitting, key=lambda each: each[0])[1]
    where = seen[:, [i for i, part in enumerate(spread) if part == "box"]]
    corners = iter(form_of(where))
    return tuple(next(corners) if part == "box" else part for part in spread)
