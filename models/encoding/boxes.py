"""From predicted counts and a coarse grid to boxes, which are placed where the sources or the last output have some."""

from collections.abc import Sequence

import numpy as np

from ...outputs import BOX_WIDTH, Array, OutputSpec

GRID = (4, 6)
_CELLS = GRID[0] * GRID[1]


def box_cells(boxes: Array) -> Array:
    """The grid cell (0 to 23, row by row) that each box's centre lies in."""
    # Not np.clip: for a handful of boxes its overhead is several times the work.
    x = np.minimum(np.maximum((boxes[:, 0] + boxes[:, 2]) * (GRID[1] / 2), 0), GRID[1] - 1).astype(np.int64)
    y = np.minimum(np.maximum((boxes[:, 1] + boxes[:, 3]) * (GRID[0] / 2), 0), GRID[0] - 1).astype(np.int64)
    return np.asarray(y * GRID[1] + x)


def mean_sizes(values: Sequence[Array], classes: int) -> Array:
    """Mean width and height of the boxes of each class: float32 (classes, 2); a tenth of the frame where none is."""
    boxes = np.concatenate([np.zeros((0, BOX_WIDTH), np.float32), *values])
    sizes = np.full((classes, 2), 0.1, np.float32)
    for index in np.unique(boxes[:, 5]).astype(np.int64):
        of = boxes[boxes[:, 5] == index]
        sizes[index] = (of[:, 2:4] - of[:, :2]).mean(axis=0)
    return sizes


def place_boxes(raw: Array, sizes: Array, *, last: Array | None, hints: Sequence[Array]) -> Array:
    """The boxes of an encoding's raw form: its counts say how many, its grids and the known boxes say where.

    Args:
        raw: counts by class, then each class's grid.
        sizes: mean width and height by class.
        last: the model's own last boxes.
        hints: boxes other models see now, in this model's class indices; they come before `last`.
    """
    classes = len(sizes)
    counts = np.rint(np.maximum(raw[:classes], 0.0)).astype(np.int64)
    placed = [np.zeros((0, BOX_WIDTH), np.float32)]
    for index in np.flatnonzero(counts):
        grid = raw[classes + index * _CELLS : classes + (index + 1) * _CELLS]
        known = next((boxes for boxes in (*hints, last) if boxes is not None and np.any(boxes[:, 5] == index)), None)
        placed.append(_place_class(int(index), int(counts[index]), grid, sizes[index], known))
    return np.concatenate(placed)


def translate_boxes(source: OutputSpec, target: OutputSpec, boxes: Array) -> Array | None:
    """The boxes of one model in another's class indices; None if they have no class in common."""
    if source.kind != "boxes" or target.kind != "boxes":
        return None
    theirs = {name: index for index, name in enumerate(target.classes)}
    table = np.asarray([theirs.get(name, -1) for name in source.classes], np.int64)
    if not (table >= 0).any():
        return None
    classes = table[boxes[:, 5].astype(np.int64)]
    kept = boxes[classes >= 0].copy()
    kept[:, 5] = classes[classes >= 0]
    return kept


def _place_class(index: int, count: int, grid: Array, size: Array, known: Array | None) -> Array:
    boxes = np.zeros((0, BOX_WIDTH), np.float32)
    left = grid.copy()
    if known is not None:
        boxes = known[known[:, 5] == index]
        cells = box_cells(boxes)
        if len(boxes) > count:
            best = np.argsort(-(left[cells] + 0.1 * boxes[:, 4]), kind="stable")[:count]
            return np.asarray(boxes[best])
        np.subtract.at(left, cells, 1.0)
    rows = []
    half_width, half_height = float(size[0]) / 2, float(size[1]) / 2
    for _ in range(count - len(boxes)):
        cell = int(left.argmax())
        left[cell] -= 1.0
        y, x = divmod(cell, GRID[1])
        centre_x, centre_y = (x + 0.5) / GRID[1], (y + 0.5) / GRID[0]
        left_top = (max(centre_x - half_width, 0.0), max(centre_y - half_height, 0.0))
        right_bottom = (min(centre_x + half_width, 1.0), min(centre_y + half_height, 1.0))
        rows.append((*left_top, *right_bottom, 0.5, float(index)))
    if not rows:
        return boxes
    return np.concatenate([boxes, np.asarray(rows, np.float32)])
