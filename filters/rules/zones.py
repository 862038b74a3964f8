"""Zones: named polygons of the picture, drawn in a small TOML file. NumPy only.

```toml
[zones]
door = [[0.10, 0.20], [0.30, 0.20], [0.30, 0.95], [0.10, 0.95]]
```
A corner is x, y as shares of the picture's width and height, from its upper left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...errors import InvalidInput
from ...outputs import Array
from ...settings import checked, read_toml

Points = tuple[tuple[float, float], ...]

_LEAST_CORNERS, _MOST_CORNERS = 3, 200
# Of the picture: what lies so near a border is on it.
_ON_BORDER = 1e-6


@dataclass(frozen=True)
class Zone:
    """A named polygon.

    Attributes:
        name: what a rule calls it.
        points: its corners, as shares of the picture's width and height; the last is joined to the first.

    Raises:
        InvalidInput: it is no polygon within the picture.
    """

    name: str
    points: Points

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidInput("a zone needs a name")
        points = tuple((float(x), float(y)) for x, y in self.points)
        # Many programs draw the first corner once more at the end.
        if len(points) > _LEAST_CORNERS and points[0] == points[-1]:
            points = points[:-1]
        object.__setattr__(self, "points", points)
        outside = [point for point in points if not all(0.0 <= each <= 1.0 for each in point)]
        if outside:
            raise self._wrong(
                f"corner {list(outside[0])} lies outside the picture: a corner is [x, y] from 0 to 1, as shares of its "
                "width and height (pixels divided by these)"
            )
        if not _LEAST_CORNERS <= len(points) <= _MOST_CORNERS:
            raise self._wrong(f"{len(points)} corners: it takes {_LEAST_CORNERS} to {_MOST_CORNERS}")
        if _crosses(points):
            raise self._wrong("its edges cross: give the corners in their order around it")
        if _area(points) < _ON_BORDER:
            raise self._wrong("its corners lie on a line, so that nothing is in it")

    def holds(self, points: Array) -> Array:
        """Which points lie in it or on its border: bool (n,), of float (n, 2)."""
        x, y = (np.asarray(points, np.float64)[:, None, axis] for axis in (0, 1))
        corners = np.asarray(self.points, np.float64)
        (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
        along, up = x1 - x0, y1 - y0
        # Even-odd: a ray to the right crosses the border an odd number of times.
        spans = (y0 > y) != (y1 > y)
        crossed = spans & (x < x0 + (y - y0) * along / np.where(up == 0.0, 1.0, up))
        # The point of each edge that is nearest; an edge has a length, or the polygon is no polygon.
        share = np.clip(((x - x0) * along + (y - y0) * up) / np.maximum(along**2 + up**2, _ON_BORDER**2), 0.0, 1.0)
        near = np.hypot(x - x0 - share * along, y - y0 - share * up) <= _ON_BORDER
        found: Array = (crossed.sum(axis=1) % 2 == 1) | near.any(axis=1)
        return found

    def standing(self, boxes: Array) -> Array:
        """Which boxes stand in it: bool (n,). A box stands where the middle of its lower edge is.

        What the picture's edge cuts off stands at that edge.
        """
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2.0, boxes[:, 3]], axis=1)
        return self.holds(np.clip(feet, 0.0, 1.0))

    def _wrong(self, why: str) -> InvalidInput:
        return InvalidInput(f"zones.{self.name}: {why}")


class _File(BaseModel):
    """What a file of zones holds."""

    model_config = ConfigDict(extra="forbid")

    zones: dict[str, list[tuple[float, float]]]


def read_zones(path: Path | None) -> dict[str, Zone]:
    """The zones that a TOML file draws, by name; none without a file.

    Raises:
        InvalidInput: naming the file, the zone, and what is allowed.
    """
    if path is None:
        return {}
    data = read_toml(path, advice="draw zones: `[zones]` and `door = [[0.1, 0.2], [0.3, 0.2], [0.3, 0.9]]`")
    found = checked(_File, data, where=str(path)).zones
    if not found:
        raise InvalidInput(f"{path}: zones: draws none; write `door = [[0.1, 0.2], [0.3, 0.2], [0.3, 0.9]]`")
    try:
        return zones_of({name: tuple(points) for name, points in found.items()})
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def zones_of(points: Mapping[str, Points]) -> dict[str, Zone]:
    """Zones by name, of their corners by name, as a filter's file keeps them.

    Raises:
        InvalidInput: one is no polygon within the picture.
    """
    return {name: Zone(name, corners) for name, corners in points.items()}


def zones_in(rule: object) -> dict[str, Points]:
    """The corners of the zones that a rule names, by name."""
    zone = getattr(rule, "zone", None)
    found = {zone.name: zone.points} if isinstance(zone, Zone) else {}
    for each in getattr(rule, "rules", ()):
        found |= zones_in(each)
    return found


def _area(points: Points) -> float:
    x, y = np.asarray(points).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2.0


def _crosses(points: Points) -> bool:
    """Whether two edges that are no neighbours meet."""
    edges = list(zip(points, (*points[1:], points[0]), strict=True))
    last = len(edges) - 1
    return any(
        _meet(edges[i], edges[j]) for i, j in combinations(range(len(edges)), 2) if j - i > 1 and (i, j) != (0, last)
    )


def _meet(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]]) -> bool:
    (a, b), (c, d) = first, second
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
