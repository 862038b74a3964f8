"""Which columns of the placement's program say what."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .columns import Allowed, Columns
from .problem import PlacementProblem


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
        """What follows from what runs, unless links take all that is left of a budget: (columns,)."""
        return np.concatenate([self.device_linked.ravel(), self.cloud_linked.ravel(), self.sent.ravel()])

    @classmethod
    def of(cls, columns: Columns, problem: PlacementProblem, allowed: Allowed) -> "Blocks":
        """New columns for all of these."""
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
