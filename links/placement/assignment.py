"""An assignment: what runs where and what links answer, its value, and what it uses of every budget."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ...outputs import Array
from .problem import PlacementProblem

NO_WAY = -1


@dataclass(frozen=True)
class Assignment:
    """What runs where, and which links answer; every other model has a constant or its last output.

    Attributes:
        on_device: which models run on a device of each class, bool (D, M).
        in_cloud: which run in the cloud on its inputs, bool (D, M).
        device_way: the link that answers on the device, int (D, M); `NO_WAY`: none.
        cloud_way: the link that answers in the cloud, int (D, M).
    """

    on_device: Array
    in_cloud: Array
    device_way: Array
    cloud_way: Array

    @classmethod
    def nothing(cls, problem: PlacementProblem) -> Self:
        """Nothing runs anywhere: what every budget allows."""
        shape = problem.weights.shape
        return cls(np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, NO_WAY), np.full(shape, NO_WAY))

    @property
    def runs(self) -> Array:
        """Which models run, wherever: bool (D, M)."""
        return np.asarray(self.on_device | self.in_cloud)

    @property
    def way(self) -> Array:
        """The link that answers, wherever: int (D, M)."""
        return np.maximum(self.device_way, self.cloud_way)

    @property
    def travels(self) -> Array:
        """The devices whose inputs travel: bool (D,)."""
        return np.asarray(self.in_cloud.any(axis=1))

    @property
    def held(self) -> Array:
        """Which models the cloud holds in memory: bool (M,)."""
        return np.asarray(self.in_cloud.any(axis=0))

    def sent(self, problem: PlacementProblem) -> Array:
        """Which outputs of device models travel, for links in the cloud: bool (D, M)."""
        found = np.zeros_like(self.on_device)
        rows, models = np.nonzero(self.cloud_way >= 0)
        np.logical_or.at(found, rows, problem.ways.sources[self.cloud_way[rows, models]])
        return np.asarray(found & self.on_device)

    def values(self, problem: PlacementProblem) -> Array:
        """Agreement of every answer: float (D, M), 1 for what runs."""
        linked = problem.ways.values[self.way] if len(problem.ways.values) else problem.free
        return np.where(self.runs, 1.0, np.where(self.way >= 0, linked, problem.free))

    def value(self, problem: PlacementProblem) -> float:
        """The objective: the weighted mean agreement."""
        return float((problem.weights * self.values(problem)).sum())

    def value_anywhere(self, problem: PlacementProblem) -> float:
        """The objective if every link could answer whose sources run anywhere, for nothing: what these runs allow."""
        reached = np.stack([problem.ways.best(runs) for runs in self.runs])
        return float((problem.weights * np.where(self.runs, 1.0, np.maximum(reached, problem.free))).sum())

    def device_use(self, problem: PlacementProblem) -> Array:
        """What is used of one device of each class: float (D, DEVICE_RESOURCES)."""
        linked = self.device_way >= 0
        memory = self.on_device @ problem.memory + (linked * problem.link_memory).max(axis=1)
        cores = problem.device_pace * (self.on_device @ problem.infer_s + linked @ problem.link_s)
        traffic = problem.input_traffic * self.travels + (problem.output_traffic * self.sent(problem)).sum(axis=1)
        energy = problem.active_w * cores + problem.sent_j * traffic
        return np.stack([memory, cores, traffic, energy], axis=1)

    def cloud_use(self, problem: PlacementProblem) -> Array:
        """What is used of the cloud: float (CLOUD_RESOURCES,)."""
        linked = self.cloud_way >= 0
        memory = self.held @ problem.memory + (linked * problem.link_memory).max()
        cores = problem.cloud_pace @ (self.in_cloud @ problem.infer_s + linked @ problem.link_s)
        traffic = problem.counts @ self.device_use(problem)[:, 2]
        return np.asarray([memory, cores, traffic])

    def fits(self, problem: PlacementProblem) -> bool:
        """Whether every budget is kept."""
        return bool(
            (self.device_use(problem) <= problem.device_limits).all()
            and (self.cloud_use(problem) <= problem.cloud_limits).all()
        )

    def with_model(self, device: int, model: int, *, on_device: bool) -> "Assignment":
        """The same where a model runs at another place; no link answers for it then."""
        changed = replace(
            self,
            on_device=self.on_device.copy(),
            in_cloud=self.in_cloud.copy(),
            device_way=self.device_way.copy(),
            cloud_way=self.cloud_way.copy(),
        )
        changed.on_device[device, model] = on_device
        changed.in_cloud[device, model] = not on_device
        changed.device_way[device, model] = changed.cloud_way[device, model] = NO_WAY
        return changed

    def tidied(self, problem: PlacementProblem) -> "Assignment":
        """The same with every link on the device whose sources all run there, as far as the device goes."""
        found = self
        for device, model in np.argwhere(self.cloud_way >= 0):
            way = self.cloud_way[device, model]
            if not problem.links_on_device[device] or (problem.ways.sources[way] & ~self.on_device[device]).any():
                continue
            device_way, cloud_way = found.device_way.copy(), found.cloud_way.copy()
            device_way[device, model], cloud_way[device, model] = way, NO_WAY
            moved = replace(found, device_way=device_way, cloud_way=cloud_way)
            if moved.fits(problem):
                found = moved
        return found
