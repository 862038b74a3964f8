"""What a small model's own output says of how far it can be relied on; NumPy only."""

import numpy as np

from ...outputs import Array, OutputSpec, box_iou

LEAST_SCORE = 0.1
"""Boxes down to this score are looked at, though only those above the model's own score are an answer."""
_TOPS = 5
_NEAR = (0.1, 0.2)
_LATELY = 0.3


class Cues:
    """Numbers (d,) for one output after another of one stream, in their order.

    Args:
        output: what the small model returns.
        score: boxes: the least score of an answer.
    """

    def __init__(self, output: OutputSpec, score: float) -> None:
        self.output = output
        self.score = score
        self._lately: Array | None = None

    def reset(self) -> None:
        """Starts a new stream."""
        self._lately = None

    def of(self, value: Array, size: tuple[int, int]) -> Array:
        """The cues of an output: what it holds itself, and how far that differs from what there was lately.

        Args:
            value: the output; boxes down to `LEAST_SCORE`.
            size: the picture's width and height.

        Returns:
            float64 (d,).
        """
        own = self._of_boxes(value, size) if self.output.kind == "boxes" else self._of_shares(value)
        before = own if self._lately is None else self._lately
        self._lately = before + _LATELY * (own - before)
        # What jumps up and down from one input to the next is in doubt.
        return np.concatenate([own, np.abs(own - before)])

    def _of_boxes(self, rows: Array, size: tuple[int, int]) -> Array:
        scores = np.sort(rows[:, 4].astype(np.float64))[::-1]
        tops = np.zeros(_TOPS)
        tops[: min(_TOPS, len(scores))] = scores[:_TOPS]
        above, below = rows[rows[:, 4] >= self.score], scores[scores < self.score]
        least_above = float(above[:, 4].min()) - self.score if len(above) else 1.0 - self.score
        most_below = self.score - float(below[0]) if len(below) else self.score
        near = [float((np.abs(scores - self.score) < width).sum()) for width in _NEAR]
        wide, high = (above[:, 2] - above[:, 0]) / size[0], (above[:, 3] - above[:, 1]) / size[1]
        heights = [float(high.min()), float(high.max()), float((wide * high).sum())] if len(above) else [0.0] * 3
        overlaps = box_iou(above[:, :4], above[:, :4]) if len(above) > 1 else np.zeros((1, 1))
        closest = float((overlaps - np.eye(len(overlaps))).max())
        count = len(above)
        own = [
            *(float(count == few) for few in range(3)),
            *(np.log1p(count), scores.sum(), float((scores * (1.0 - scores)).sum())),
            *(least_above, most_below, min(least_above, most_below), *near, *heights, closest, np.log1p(len(below))),
            *tops,
        ]
        return np.asarray(own, np.float64)

    def _of_shares(self, value: Array) -> Array:
        shares = np.asarray(value, np.float64).reshape(-1)
        if self.output.kind == "multilabel":
            margins = np.sort(np.abs(shares - 0.5))
            more = [float((shares >= 0.5).sum()), float((margins < _NEAR[1]).sum())]
            return np.asarray([margins[0], margins[:3].mean(), *more, shares.max(), margins.mean()])
        ordered = np.sort(shares)[::-1]
        second, third = (float(ordered[at]) if len(ordered) > at else 0.0 for at in (1, 2))
        surprise = float(-(shares * np.log(np.clip(shares, 1e-9, None))).sum())
        return np.asarray([ordered[0], ordered[0] - second, second, third, surprise, float(len(shares))])
