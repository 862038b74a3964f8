"""What an online filter remembers of old labelled inputs, so that it does not forget what it once knew."""

from collections.abc import Mapping

import numpy as np

from ...outputs import Array
from ..modalities.stream import CHANNELS, SCALARS, SIDE
from ..training.replay import Examples


class Reservoir:
    """A sample of at most `capacity` of all examples that ever came, each as likely to be in it (Vitter's R)."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.came = 0
        self._images = np.empty((capacity, SIDE, SIDE, CHANNELS), np.uint8)
        self._scalars = np.empty((capacity, len(SCALARS)), np.float32)
        self._targets = np.empty(capacity, np.float32)

    def __len__(self) -> int:
        """How many examples it holds."""
        return min(self.came, self.capacity)

    def add(self, examples: Examples, random: np.random.Generator) -> None:
        """Takes examples in, in their order."""
        for image, scalars, target in zip(examples.images, examples.scalars, examples.targets, strict=True):
            place = self.came if self.came < self.capacity else int(random.integers(self.came + 1))
            self.came += 1
            if place < self.capacity:
                self._images[place], self._scalars[place], self._targets[place] = image, scalars, target

    def rows(self, rows: Array) -> Examples:
        """Some of the examples."""
        return Examples(self._images[rows], self._scalars[rows], self._targets[rows])

    @property
    def scalars(self) -> Array:
        """The scalars of everything it holds: float32 (n, 17)."""
        return self._scalars[: len(self)]

    def restore(self, examples: Examples, came: int) -> None:
        """Takes over what another one held."""
        count = len(examples.targets)
        self._images[:count], self._scalars[:count], self._targets[:count] = (
            examples.images,
            examples.scalars,
            examples.targets,
        )
        self.came = came


class ReplayMemory:
    """Old labelled examples: one reservoir for redundant inputs, one for needed ones, of equal size.

    Args:
        capacity: how many examples it holds at most, of both kinds together; 38 KB each.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.kinds = (Reservoir(capacity // 2), Reservoir(capacity - capacity // 2))

    def __len__(self) -> int:
        """How many examples it holds."""
        return sum(len(kind) for kind in self.kinds)

    def add(self, examples: Examples, random: np.random.Generator) -> None:
        """Takes examples in, in their order."""
        needed = examples.targets > 0.5
        for kind, rows in zip(self.kinds, (np.flatnonzero(~needed), np.flatnonzero(needed)), strict=True):
            kind.add(take(examples, rows), random)

    def draw(self, counts: tuple[int, int], random: np.random.Generator) -> Examples:
        """Any so many redundant and needed examples (some may come twice); of a kind it has none of, the other."""
        both = sum(counts)
        if not all(len(kind) for kind in self.kinds):
            counts = (both, 0) if len(self.kinds[0]) else (0, both)
        parts = []
        for kind, count in zip(self.kinds, counts, strict=True):
            if count:
                parts.append(kind.rows(random.integers(len(kind), size=count)))
        return join(parts)

    @property
    def scalars(self) -> Array:
        """The scalars of everything it holds: float32 (n, 17)."""
        return np.concatenate([kind.scalars for kind in self.kinds])

    def all(self) -> Examples:
        """Everything it holds."""
        return join([kind.rows(np.arange(len(kind))) for kind in self.kinds])

    def state(self) -> dict[str, Array | int]:
        """What `restore` takes."""
        found: dict[str, Array | int] = {}
        for name, kind in zip(("redundant", "needed"), self.kinds, strict=True):
            held = kind.rows(np.arange(len(kind)))
            found |= {f"{name} {part}": getattr(held, part) for part in ("images", "scalars", "targets")}
            found[f"{name} came"] = kind.came
        return found

    def restore(self, state: Mapping[str, Array | int]) -> None:
        """Takes over what another memory of the same capacity held."""
        for name, kind in zip(("redundant", "needed"), self.kinds, strict=True):
            images, scalars, targets = (
                np.asarray(state[f"{name} {part}"]) for part in ("images", "scalars", "targets")
            )
            kind.restore(Examples(images, scalars, targets), int(state[f"{name} came"]))


def take(examples: Examples, rows: Array) -> Examples:
    """Some of the examples."""
    return Examples(examples.images[rows], examples.scalars[rows], examples.targets[rows])


def join(parts: list[Examples]) -> Examples:
    """All of the examples of several, one after the other."""
    return Examples(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.scalars for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )
