"""Finds the best placement: exactly where there is time to prove it, else step by step and then part by part."""

import time
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ..planning.program import milp_available
from .assignment import Assignment
from .columns import Allowed
from .problem import PlacementProblem
from .program import Program
from .result import Placement, describe, refusals

_PROVEN = 2e-6
_MOST_LINKS = 12
# Of the time: until when to look for the best choice and its proof, then for a better one.
_EXACT, _BETTER = 0.6, 0.9
# Where links answer is found even if the time is up.
_ANSWER_S = 1.0
# Improving part by part: the time for one part, and how many models are free in it.
_PART_S = 5.0
_PART_MODELS = 10
_SEED = 0
_EPS = 1e-12


def place(problem: PlacementProblem, *, timeout_s: float = 60.0) -> Placement:
    """The placement with the highest weighted mean agreement that keeps every budget.

    A mixed-integer program is solved by HiGHS. At first only the best links of each target have columns of their own;
    more get some where the rest turn out to matter. Twenty models on three classes of devices take seconds; of many
    more the placement is a good one, with its gap. Of equally good choices (to one in a million) the one that takes
    less memory, time and traffic is found. A link whose sources all run on the device answers there if it fits.

    Args:
        problem: what is chosen from.
        timeout_s: about when to stop; `gap` then says how much better another placement could be than the best so far.

    Raises:
        InvalidInput: SciPy is not installed, or no model fits anywhere, naming the budget.
    """
    if not milp_available():
        raise InvalidInput('placing models needs SciPy: pip install "infilink[cloud]"')
    _check_possible(problem)
    return describe(problem, *solve(problem, timeout_s=timeout_s))


def solve(
    problem: PlacementProblem, *, timeout_s: float = 60.0, most_links: int = _MOST_LINKS
) -> tuple[Assignment, float]:
    """The best choice, and by how much another could exceed it: 0 where that is less than two in a million.

    What runs is chosen first, as if links could answer anywhere for what they cost where it is least: then where they
    answer. Only if that loses anything is all chosen at once. Where the time is too short for that, what runs is chosen
    step by step and bettered part by part, and only the bound is the program's.

    Args:
        problem: what is chosen from.
        timeout_s: about when to stop.
        most_links: how many links of each target have columns of their own at first, at least 1.
    """
    start_s = time.monotonic()
    exact_s, better_s, end_s = (start_s + share * timeout_s for share in (_EXACT, _BETTER, 1.0))
    known, most = Assignment.nothing(problem), most_links
    started, bound = choose_runs(problem), float(problem.weights.sum())

    def gap() -> float:
        return bound - known.value(problem)

    while True:
        rough = Program.of(problem, most, placed=False)
        runs, at_most = rough.solve(exact_s)
        bound = min(bound, at_most)
        placed = Program.of(problem, most, placed=True)
        if runs is not None:
            started = max(started, runs, key=lambda each: each.value_anywhere(problem))
            known = _better(problem, known, placed.answer(runs, exact_s))
            few_links = not rough.whole_truth and bound - runs.value_anywhere(problem) > _PROVEN
            if gap() > _PROVEN and not few_links and time.monotonic() < exact_s:
                found, at_most = placed.solve(exact_s)
                bound, known = min(bound, at_most), _better(problem, known, found)
        if gap() <= _PROVEN:
            return known, 0.0
        if rough.whole_truth or time.monotonic() >= exact_s:
            break
        most *= 3
    started = better_runs(problem, rough, started, better_s)
    known = _better(problem, known, placed.answer(started, max(end_s, time.monotonic() + _ANSWER_S)))
    return known, gap() if gap() > _PROVEN else 0.0


def _better(problem: PlacementProblem, known: Assignment, found: Assignment | None) -> Assignment:
    return known if found is None or found.value(problem) <= known.value(problem) else found


def _check_possible(problem: PlacementProblem) -> None:
    allowed = Allowed.of(problem)
    if allowed.on_device.any() or allowed.in_cloud.any():
        return
    nothing = Assignment.nothing(problem)
    easiest = int(np.where(problem.runnable, problem.memory, np.inf).argmin())
    told = [
        f"{refusal.place}: {refusal.text}"
        for device in range(len(problem.devices))
        for refusal in refusals(problem, nothing, device, easiest)
    ]
    raise InvalidInput(
        f"no model fits anywhere, not even the smallest, {problem.names[easiest]}: {'; '.join(dict.fromkeys(told))}"
    )


def choose_runs(problem: PlacementProblem) -> Assignment:
    """What runs, chosen greedily: each step adds what gains most, with links from it, for its share of what is left.

    Inputs travel from the devices whose weight for their traffic is largest. A step is a model on a device, or a model
    in the cloud for as many devices whose inputs travel as there is time for. Memory for the largest link, and time for
    all links, is left free.
    """
    steps = _Steps(problem)
    while steps.take():
        pass
    return replace(Assignment.nothing(problem), on_device=steps.on_device, in_cloud=steps.in_cloud)


@dataclass(frozen=True)
class _Step:
    """One more model, on one device or in the cloud for some devices."""

    ratio: float
    model: int
    devices: Array
    on_device: bool


class _Steps:
    """A choice that grows step by step, and what it leaves of every budget."""

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


def better_runs(problem: PlacementProblem, program: Program, runs: Assignment, deadline_s: float) -> Assignment:
    """What runs, at least as good as `runs`: some models or one device are chosen anew in turn, all else kept.

    It ends when the time is up, or when none of the last attempts was better.

    Args:
        problem: what is chosen from.
        program: its program, links not placed.
        runs: where to start.
        deadline_s: on the monotonic clock.
    """
    rng, value, idle = np.random.default_rng(_SEED), runs.value_anywhere(problem), 0
    devices, models = problem.weights.shape
    for turn in count():
        if time.monotonic() >= deadline_s or idle > 2 * (devices + models // _PART_MODELS + 1):
            break
        free = np.zeros(problem.weights.shape, bool)
        if turn % 2:
            free[rng.integers(devices)] = True
        else:
            free[:, rng.choice(models, min(_PART_MODELS, models), replace=False)] = True
        found = program.improve(runs, free, min(deadline_s, time.monotonic() + _PART_S))
        idle += 1
        if found is not None and found.value_anywhere(problem) > value + 1e-9:
            runs, value, idle = found, found.value_anywhere(problem), 0
    return runs
