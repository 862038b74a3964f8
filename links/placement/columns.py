"""The columns of the placement's mixed-integer program: what may be chosen at all, and what each choice gains."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .problem import PlacementProblem


class Columns:
    """The columns of a program while it is built."""

    def __init__(self) -> None:
        self._gains: list[Array] = []
        self._most: list[Array] = []
        self._whole: list[Array] = []
        self._count = 0

    def add(self, most: Array, *, gains: Array | float = 0.0, whole: bool) -> Array:
        """Adds columns from 0 to `most`.

        Args:
            most: the upper bound of each.
            gains: what each gains in the objective.
            whole: whether only whole numbers will do.

        Returns:
            Their numbers, in the shape of `most`.
        """
        self._gains.append(np.broadcast_to(np.asarray(gains, np.float64), most.shape).ravel())
        self._most.append(np.asarray(most, np.float64).ravel())
        self._whole.append(np.full(most.size, float(whole)))
        self._count += most.size
        return np.arange(self._count - most.size, self._count).reshape(most.shape)

    def __len__(self) -> int:
        return self._count

    @property
    def gains(self) -> Array:
        """What each gains in the objective: float (columns,)."""
        return np.concatenate(self._gains)

    @property
    def most(self) -> Array:
        """The upper bound of each: float (columns,)."""
        return np.concatenate(self._most)

    @property
    def whole(self) -> Array:
        """1 where only whole numbers will do: float (columns,)."""
        return np.concatenate(self._whole)


@dataclass(frozen=True)
class Allowed:
    """What keeps every budget if it is chosen alone.

    Attributes:
        on_device: models on devices, bool (D, M).
        in_cloud: models in the cloud on a device's inputs, bool (D, M).
        device_links: links on devices by their target, bool (D, M).
        cloud_links: links in the cloud, bool (D, M).
    """

    on_device: Array
    in_cloud: Array
    device_links: Array
    cloud_links: Array

    @classmethod
    def of(cls, problem: PlacementProblem) -> "Allowed":
        """What the budgets of a problem allow."""
        devices, cloud = problem.device_limits, problem.cloud_limits

        def on_device(memory: Array, seconds: Array) -> Array:
            cores = problem.device_pace[:, None] * seconds
            energy = problem.active_w[:, None] * cores
            return np.asarray(
                (memory <= devices[:, :1]) & (cores <= devices[:, 1:2]) & (energy <= devices[:, 3:4]), bool
            )

        def in_cloud(memory: Array, seconds: Array) -> Array:
            return np.asarray((memory <= cloud[0]) & (problem.cloud_pace[:, None] * seconds <= cloud[1]), bool)

        traffic = problem.input_traffic
        reaches = (
            (traffic <= devices[:, 2])
            & (problem.counts * traffic <= cloud[2])
            & (problem.sent_j * traffic <= devices[:, 3])
        )
        return cls(
            on_device(problem.memory, problem.infer_s) & problem.runnable,
            in_cloud(problem.memory, problem.infer_s) & reaches[:, None] & problem.runnable,
            on_device(problem.link_memory, problem.link_s) & problem.links_on_device[:, None],
            in_cloud(problem.link_memory, problem.link_s),
        )


@dataclass(frozen=True)
class Blocks:
    """The numbers of the columns of each kind; all are 0 or 1 in a solution.

    Attributes:
        on_device: a model runs on a device, (D, M).
        in_cloud: it runs in the cloud on the device's inputs, (D, M).
        device_linked: a link answers for it on the device, (D, M).
        cloud_linked: a link answers in the cloud, (D, M).
        sent: the output of a device's model travels, (D, M).
        travels: a device's inputs travel, (D,).
        held: the cloud holds a model in memory, (M,).
    """

    on_device: Array
    in_cloud: Array
    device_linked: Array
    cloud_linked: Array
    sent: Array
    travels: Array
    held: Array

    @property
    def answers(self) -> Array:
        """The columns that follow from what runs, unless links take all that is left of a budget: (columns,)."""
        return np.concatenate([self.device_linked.ravel(), self.cloud_linked.ravel(), self.sent.ravel()])

    @classmethod
    def of(cls, columns: Columns, problem: PlacementProblem, allowed: Allowed) -> "Blocks":
        """Adds the columns of all kinds."""
        gains = problem.weights * (1.0 - problem.free)
        devices, models = gains.shape
        return cls(
            columns.add(allowed.on_device, gains=gains, whole=True),
            columns.add(allowed.in_cloud, gains=gains, whole=True),
            columns.add(allowed.device_links, whole=False),
            columns.add(allowed.cloud_links, whole=False),
            columns.add(allowed.on_device, whole=False),
            columns.add(np.ones(devices), whole=True),
            columns.add(np.ones(models), whole=True),
        )
