"""What runs where, chosen step by step: where there are too many models and devices to prove what is best in time."""

from dataclasses import dataclass, replace

import numpy as np

from ...outputs import Array
from .assignment import Assignment
from .columns import Allowed
from .problem import PlacementProblem

_EPS = 1e-12


def choose_runs(problem: PlacementProblem) -> Assignment:
    """What runs, without links: at each step what gains most, links from it included, for its share of what is left.

    The inputs of those devices travel that weigh most for their traffic. A step is a model on a device, or a model in
    the cloud for all devices whose inputs travel, as far as there is time. Room for the largest link, and time for all
    links, is left free.
    """
    steps = _Steps(problem)
    while steps.take():
        pass
    return replace(Assignment.nothing(problem), on_device=steps.on_device, in_cloud=steps.in_cloud)


@dataclass(frozen=True)
class _Step:
    """One model more, on one device or in the cloud for some."""

    ratio: float
    model: int
    devices: Array
    on_device: bool


class _Steps:
    """A choice as it grows."""

    def __init__(self, problem: PlacementProblem) -> None:
        self._problem = problem
        nothing = Assignment.nothing(problem)
        self.on_device, self.in_cloud = nothing.on_device.copy(), nothing.in_cloud.copy()
        self._allowed = Allowed.of(problem)
        largest, seconds = float(problem.link_memory.max()), float(problem.link_s.sum())
        devices, cloud = problem.device_limits, problem.cloud_limits
        self._device_memory = np.maximum(devices[:, 0] - largest, 0.0)
        self._device_cores = np.maximum(devices[:, 1] - problem.device_pace * seconds, 0.0)
        self._energy = np.maximum(devices[:, 3] - problem.active_w * problem.device_pace * seconds, 0.0)
        self._cloud_memory = max(float(cloud[0]) - largest, 0.0)
        self._cloud_cores = max(float(cloud[1]) - float(problem.cloud_pace.sum()) * seconds, 0.0)
        self._travels = self._choose_travels()
        self._gains = np.zeros(problem.weights.shape)
        for device in range(len(problem.devices)):
            self._count(device)

    def take(self) -> bool:
        """Takes the best step; False: none fits that gains anything."""
        found = [self._on_device(), *(self._in_cloud(model) for model in range(len(self._problem.names)))]
        step = max((each for each in found if each is not None), key=lambda each: each.ratio, default=None)
        if step is None:
            return False
        problem, model, devices = self._problem, step.model, step.devices
        if step.on_device:
            cores = problem.device_pace[devices] * problem.infer_s[model]
            self._device_memory[devices] -= problem.memory[model]
            self._device_cores[devices] -= cores
            self._energy[devices] -= problem.active_w[devices] * cores
            self.on_device[devices, model] = True
        else:
            self._cloud_memory -= 0.0 if self.in_cloud[:, model].any() else float(problem.memory[model])
            self._cloud_cores -= float(problem.cloud_pace[devices].sum() * problem.infer_s[model])
            self.in_cloud[devices, model] = True
        for device in devices:
            self._count(int(device))
        return True

    def _choose_travels(self) -> Array:
        problem = self._problem
        traffic = problem.counts * problem.input_traffic
        left, found = float(problem.cloud_limits[2]), np.zeros(len(traffic), bool)
        for device in np.argsort(-problem.device_weights / np.maximum(traffic, _EPS), kind="stable"):
            if self._allowed.in_cloud[device].any() and traffic[device] <= left:
                found[device], left = True, left - traffic[device]
        self._energy[found] -= (problem.sent_j * problem.input_traffic)[found]
        return found

    def _count(self, device: int) -> None:
        """Works out what each model more would gain on a device's inputs."""
        problem = self._problem
        runs = self.on_device[device] | self.in_cloud[device]
        reached = np.where(runs, 1.0, np.maximum(problem.ways.best(runs), problem.free))
        more = np.maximum(problem.ways.added(runs) - reached, 0.0)
        np.fill_diagonal(more, 1.0 - reached)
        self._gains[device] = np.where(runs, 0.0, more @ problem.weights[device])

    def _on_device(self) -> _Step | None:
        problem = self._problem
        cores = problem.device_pace[:, None] * problem.infer_s
        taken = np.zeros(cores.shape)
        fits = self._allowed.on_device & (self._gains > _EPS)
        for needed, left in (
            (np.broadcast_to(problem.memory, cores.shape), self._device_memory),
            (cores, self._device_cores),
            (problem.active_w[:, None] * cores, self._energy),
        ):
            fits &= needed <= left[:, None]
            taken += needed / np.maximum(left, _EPS)[:, None]
        ratios = np.where(fits, self._gains / np.maximum(taken, _EPS), 0.0)
        device, model = np.unravel_index(int(ratios.argmax()), ratios.shape)
        ratio = float(ratios[device, model])
        return _Step(ratio, int(model), np.asarray([device]), True) if ratio > 0 else None

    def _in_cloud(self, model: int) -> _Step | None:
        problem = self._problem
        memory = 0.0 if self.in_cloud[:, model].any() else float(problem.memory[model])
        gains = self._gains[:, model]
        able = np.flatnonzero(self._travels & self._allowed.in_cloud[:, model] & (gains > _EPS))
        cores = problem.cloud_pace * problem.infer_s[model]
        able = able[np.argsort(-gains[able] / np.maximum(cores[able], _EPS), kind="stable")]
        able = able[np.cumsum(cores[able]) <= self._cloud_cores]
        if not len(able) or memory > self._cloud_memory:
            return None
        taken = memory / max(self._cloud_memory, _EPS) + cores[able].sum() / max(self._cloud_cores, _EPS)
        return _Step(float(gains[able].sum() / max(taken, _EPS)), model, able, False)
