"""From predicted counts and a coarse grid to boxes: where the sources or the last output have some, or mostly are."""

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


def usual_boxes(values: Sequence[Array]) -> Array:
    """The middle box of each class in each cell of the grid that ever held one: float32 (m, 6), its score 0.5."""
    boxes = np.concatenate([np.zeros((0, BOX_WIDTH), np.float32), *values])
    keys = boxes[:, 5].astype(np.int64) * _CELLS + box_cells(boxes)
    usual = np.zeros((len(np.unique(keys)), BOX_WIDTH), np.float32)
    for row, key in zip(usual, np.unique(keys), strict=True):
        of = boxes[keys == key]
        # The middle of centres that lie in a cell lies there, too; that of corners may not.
        centre = np.median((of[:, :2] + of[:, 2:4]) / 2, axis=0)
        half = np.median(of[:, 2:4] - of[:, :2], axis=0) / 2
        row[:] = (*(centre - half), *(centre + half), 0.5, of[0, 5])
    return usual


def place_boxes(raw: Array, sizes: Array, usual: Array, *, last: Array | None, hints: Sequence[Array]) -> Array:
    """The boxes of an encoding's raw form: its counts say how many, its grids and the known boxes say where.

    Args:
        raw: counts by class, then each class's grid.
        sizes: mean width and height by class.
        usual: what `usual_boxes` gave: where a box in a cell mostly is.
        last: the model's own last boxes.
        hints: boxes other models see now, in this model's class indices; they come before `last`.
    """
    classes = len(sizes)
    counts = np.rint(np.maximum(raw[:classes], 0.0)).astype(np.int64)
    placed = [np.zeros((0, BOX_WIDTH), np.float32)]
    for index in np.flatnonzero(counts):
        grid = raw[classes + index * _CELLS : classes + (index + 1) * _CELLS]
        known = next((boxes for boxes in (*hints, last) if boxes is not None and np.any(boxes[:, 5] == index)), None)
        placed.append(_place_class(int(index), int(counts[index]), grid, sizes[index], usual, known))
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


def _place_class(index: int, count: int, grid: Array, size: Array, usual: Array, known: Array | None) -> Array:
    boxes = np.zeros((0, BOX_WIDTH), np.float32)
    left = grid.copy()
    if known is not None:
        boxes = known[known[:, 5] == index]
        cells = box_cells(boxes)
        if len(boxes) > count:
            best = np.argsort(-(left[cells] + 0.1 * boxes[:, 4]), kind="stable")[:count]
            return np.asarray(boxes[best])
        np.subtract.at(left, cells, 1.0)
    here = usual[usual[:, 5] == index]
    at = dict(zip(box_cells(here).tolist(), here, strict=True))
    rows = []
    for _ in range(count - len(boxes)):
        cell = int(left.argmax())
        left[cell] -= 1.0
        rows.append(at[cell] if cell in at else _in_the_middle(cell, size, index))
    if not rows:
        return boxes
    return np.concatenate([boxes, np.asarray(rows, np.float32)])


def _in_the_middle(cell: int, size: Array, index: int) -> Array:
    y, x = divmod(cell, GRID[1])
    centre = np.asarray([(x + 0.5) / GRID[1], (y + 0.5) / GRID[0]])
    corners = np.clip([centre - size / 2, centre + size / 2], 0.0, 1.0)
    return np.asarray([*corners[0], *corners[1], 0.5, index], np.float32)
