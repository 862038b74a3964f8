"""What scores in one tensor and boxes in another probably are: finished lists, DETR's queries, SSD's places."""

from typing import Any

import numpy as np

from ..outputs import Array
from .graph import Graph, Shape
from .guessed import IMAGENET, UNIT_TOLD, Guess, boxes, form_of, rows_seen, share, unit_of, whole
from .spec import UNKNOWN

_COCO_IDS = ("background", "N/A", "no object")
_MOST_QUERIES = 1000


def side_by_side(graph: Graph) -> Guess | None:
    """Boxes in one output, scores in another: in lists of their own, or a row of scores for each box."""
    tables = [name for name, shape in graph.outputs.items() if shape and shape[-1] == 4 and _flat(shape) in (2, 1)]
    named = [name for name in tables if "box" in name.lower() or name.lower() in ("dets", "loc", "locations")]
    for table in (named or tables)[:1]:
        return _lists(table, graph) or _scores(table, graph)
    return None


def _flat(shape: Shape) -> int:
    """How many axes are more than one long (or of an unknown length), leading ones of 1 aside."""
    left = list(shape)
    while len(left) > 1 and left[0] == 1:
        left.pop(0)
    return len(left)


def _lists(table: str, graph: Graph) -> Guess | None:
    count = graph.outputs[table][-2] if len(graph.outputs[table]) > 1 else 1
    others = {name: shape for name, shape in graph.outputs.items() if name != table and "mask" not in name.lower()}
    lists = [name for name, shape in others.items() if _flat(shape) <= 1 and (shape[-1] if shape else 1) == count]
    lists = [name for name in lists if not _says(name, "num", "count", "valid")] or lists
    if len(lists) < 2:
        return None
    classes = next((name for name in lists if _says(name, "class", "label", "cls", "categor")), "")
    scores = next((name for name in lists if name != classes and _says(name, "score", "conf", "prob")), "")
    tflite = table.startswith("TFLite_Detection_PostProcess")
    if tflite:
        classes, scores = lists[:2]
    # Whole numbers are classes.
    classes = classes or next((n for n in lists if n != scores and _whole_list(graph, n)), "")
    scores = scores or next((n for n in lists if n != classes), "")
    classes = classes or next((n for n in lists if n != scores), "")
    rest = [n for n, shape in others.items() if n not in (scores, classes) and _flat(shape) <= 1]
    counts = next((n for n in rest if _says(n, "num", "count", "valid") or (tflite and n == rest[-1])), "")
    seen = rows_seen(graph.values.get(table, ()), 4)
    output, unknown = boxes(graph, None)
    decoder: dict[str, Any] = {"name": "lists", "outputs": [table, scores, classes, *([counts] if counts else [])]}
    tensorflow = tflite or table.startswith("detection_boxes")
    if tensorflow:
        decoder |= {"columns": ["y1", "x1", "y2", "x2"], "units": "shares"}
    else:
        form = form_of(seen)
        decoder |= {"units": unit_of(seen), **({"columns": list(form)} if form[0] == "cx" else {})}
        if decoder["units"] == UNKNOWN:
            unknown = {**unknown, "decoder.units": UNIT_TOLD}
    first, told = _first_class(classes, scores, graph, tensorflow=tensorflow and not tflite)
    return Guess(
        "boxes, scores and classes in lists of their own", output, {**decoder, **first}, {}, {**unknown, **told}
    )


def _first_class(classes: str, scores: str, graph: Graph, *, tensorflow: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The number of the first class, or what must be written of it."""
    names = graph.written.classes
    pairs = zip(graph.values.get(classes, ()), graph.values.get(scores, ()), strict=True)
    seen = np.concatenate([np.zeros(0), *(np.asarray(which)[np.asarray(score) > 0] for which, score in pairs)])
    if names and (names[0] in _COCO_IDS or graph.written.task or (seen == 0).any()):
        return {}, {}
    if names and (tensorflow or seen.max(initial=0) >= len(names)):
        return {"first_class": 1}, {}
    told = '0, or 1 if its classes begin with 1 (of COCO\'s: `classes = "coco91"` and 0)'
    return {"first_class": UNKNOWN}, {"decoder.first_class": told}


def _whole_list(graph: Graph, name: str) -> bool:
    values = [np.asarray(value) for value in graph.values.get(name, ())]
    if any(value.dtype.kind in "iu" for value in values):
        return True
    flat = np.concatenate([value.reshape(-1) for value in values]) if values else np.zeros(0)
    return whole(flat) and bool(flat.max() > 1)


def _says(name: str, *words: str) -> bool:
    return any(word in name.lower() for word in words)


def _scores(table: str, graph: Graph) -> Guess | None:
    count = graph.outputs[table][-2] if len(graph.outputs[table]) > 1 else 1
    others = [
        name
        for name, shape in graph.outputs.items()
        if name != table and _flat(shape) == 2 and count in shape[-2:] and not _says(name, "hidden", "mask", "point")
    ]
    scores = next((name for name in others if _says(name, "logit", "score", "label", "conf", "prob", "cls")), "")
    scores = scores or next(iter(others), "")
    if not scores or count < 2:
        return None
    shape = graph.outputs[scores]
    width = shape[-1] if shape[-2] == count else shape[-2]
    values = [np.asarray(v, np.float64).reshape(shape[-2:]) for v in graph.values.get(scores, ()) if np.size(v)]
    values = [v if v.shape[-1] == width else v.T for v in values]
    seen = np.concatenate(values) if values else np.zeros((0, width))
    logits = bool(seen.size) and not share(seen.reshape(-1))
    where = rows_seen(graph.values.get(table, ()), 4)
    names = [] if _first_two(graph, scores, table) else [scores, table]
    decoder: dict[str, Any] = {"outputs": names} if names else {}
    decoder |= {"logits": True} if logits or (not seen.size and "logit" in scores.lower()) else {}
    background, told = _background(seen, width, graph, logits=bool(decoder.get("logits")), queries=count)
    classes = width - (background in ("first", "last"))
    output, unknown = boxes(graph, classes)
    unknown = {**unknown, **told}
    dense = count > _MOST_QUERIES or background == "first"
    form, unit = form_of(where), unit_of(where)
    if dense:
        decoder = {"name": "ultraface", **decoder}
        if background != "first":
            decoder["background"] = background
        if form[0] == "cx":
            decoder["columns"] = list(form)
    else:
        decoder = {"name": "detr", **decoder}
        # Queries over a picture without objects look like corners by chance only.
        if form[0] != "cx" and unit == "pixels":
            decoder["columns"] = list(form)
        if background in ("none", UNKNOWN):
            decoder["background"] = background
    if unit != "shares":
        decoder["units"] = unit
    if unit == UNKNOWN:
        unknown["decoder.units"] = UNIT_TOLD
    if dense and background == "first":
        settings: dict[str, Any] = {"mean": [127.0], "std": [128.0]}
        why = "scores and corners, the background first"
    else:
        settings = dict(IMAGENET) if background == "last" else {}
        why = "class scores and a box for each " + ("place" if dense else "query")
    return Guess(why, output, decoder, settings, unknown)


def _first_two(graph: Graph, scores: str, table: str) -> bool:
    return {scores, table} == set(list(graph.outputs)[:2]) and graph.outputs[scores][-1] != 4


def _background(seen: Array, width: int, graph: Graph, *, logits: bool, queries: int) -> tuple[str, dict[str, str]]:
    """Where the class for "nothing" stands among the scores: first, last, none; or what must be written of it."""
    count = len(graph.written.classes)
    if count and count == width:
        return "none", {}
    sums = seen.sum(axis=1) if not logits else np.zeros(0)
    one_of = bool(len(sums)) and bool(np.abs(sums - 1).max() < 1e-2) and width > 1
    strongest = np.bincount(seen.argmax(axis=1), minlength=width) if len(seen) else np.zeros(width)
    if one_of or (count and count == width - 1):
        return ("first" if queries > _MOST_QUERIES or strongest[0] > strongest[-1] else "last"), {}
    if not count:
        # COCO's ids with one more for nothing; or the 80, the 91 and Objects365's without.
        if width == 92:
            return "last", {}
        if width in (80, 91, 365, 366):
            return "none", {}
        if width == 2 and queries > _MOST_QUERIES:
            return "first", {}
        if len(seen) and logits and queries > _MOST_QUERIES and strongest[0] > 0.9 * len(seen):
            return "first", {}
        if len(seen) and logits and float((seen.max(axis=1) < 0).mean()) > 0.9:
            return "none", {}
        if len(seen) and logits and strongest[-1] > 0.9 * len(seen):
            return "last", {}
        if not logits and len(seen):
            return "none", {}
    told = 'whether the scores have a class for nothing: "first", "last" or "none"'
    return UNKNOWN, {"decoder.background": told}
