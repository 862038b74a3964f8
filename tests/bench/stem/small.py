"""Small people and cyclists among traffic on a rendered day: what the size of a stem's picture and its places bring."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from infilink.models.heads.binary import Binary
from infilink.models.spec import digest, read_spec
from infilink.models.stem.cut import cut_stem, save_stem
from infilink.models.stem.layers import Layers
from infilink.models.stem.spec import StemSpec
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace
from judging import auc, boxes_of, mean, shown
from recordings import Place
from skip import STEM, Task, trained
from street import MODEL, PRESENCE, RULES, street_day

SIZES = ((192, 112), (256, 160), (384, 224))
STRIDES = (8, 16)
SEED = 3
EVERY = 2
"""Of five inputs a second one in so many is learnt from and judged by the heads: their places fill the memory."""
CANDIDATES = (STEM, "image")


def measure(place: Place) -> Iterator[dict[str, Any]]:
    """One row per rule, stem and head."""
    learnt, judged = street_day(place.folder, SEED, PRESENCE)
    spec = learnt.models[MODEL].output
    needed = {
        rule: tuple(boxes_of(part.outputs(MODEL), spec, classes) > 0 for part in (learnt, judged))
        for rule, classes in RULES.items()
    }
    model = next(path for path in sorted(place.models.glob("*.onnx")) if "yolox" in path.name)
    for size in SIZES:
        path, took_ms = sized_stem(model, size, place.folder)
        seen = [_seen(path, part) for part in (learnt, judged)]
        for rule, (before, after) in needed.items():
            row = {"rule": rule, "size": f"{size[0]}x{size[1]}", "ms": took_ms}
            truth = before[::EVERY], after[::EVERY]
            for name, reads in (("head", False), ("head, best place", True)):
                head = Binary.fit(seen[0][0], truth[0], places=seen[0][1] if reads else None)
                scores = head.score(seen[1][0], seen[1][1] if reads else None)
                yield {**row, "by": name, "auc": auc(scores, truth[1])}
            task = Task(f"street{SEED}", 0, MODEL, rule, learnt, judged, (before, after))
            for name in CANDIDATES if size == SIZES[1] else ():
                yield {**row, "by": name, **trained(task, name, path, place)}


def sized_stem(model: Path, size: tuple[int, int], folder: Path) -> tuple[Path, float]:
    """The last maps of two strides of a model, at a size; and how many milliseconds a frame takes."""
    path = folder / f"{model.stem}_{size[0]}.onnx"
    spec = read_spec(model)
    layers = Layers(model, spec.picture)
    last = {each.stride: each for each in layers.maps(size) if each.ends}
    maps = [last[stride] for stride in STRIDES]
    length = 2 * sum(each.shape[0] for each in maps)
    names = tuple(each.name for each in maps)
    made = StemSpec(model=spec.name, digest=digest(model), size=size, maps=names, length=length, places=maps[-1].shape)
    graph: onnx.ModelProto = cut_stem(layers, maps, size)
    save_stem(path, graph, made)
    stem, frame = Stem(path), np.zeros((360, 640, 3), np.uint8)
    times_s = []
    for _ in range(50):
        began_s = time.thread_time()
        stem.see(frame)
        times_s.append(time.thread_time() - began_s)
    return path, 1000 * float(np.median(times_s))


def _seen(stem: Path, trace: Trace) -> tuple[Any, Any]:
    looking = Stem(stem)
    seen = looking.see_all(frame for i, frame in enumerate(trace.frames()) if i % EVERY == 0)
    return seen.features, seen.places


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    ways = list(dict.fromkeys(row["by"] for row in rows))
    yield "\nArea under the curve, 360 s learnt from, 540 s judged:\n"
    yield "| rule | picture | ms | " + " | ".join(ways) + " |"
    yield "|" + "---|" * (len(ways) + 3)
    for rule, size in dict.fromkeys((row["rule"], row["size"]) for row in rows):
        of = [row for row in rows if (row["rule"], row["size"]) == (rule, size)]
        cells = [shown(mean([row["auc"] for row in of if row["by"] == way and "auc" in row])) for way in ways]
        yield f"| {rule} | {size} | {of[0]['ms']:.2f} | " + " | ".join(cells) + " |"
