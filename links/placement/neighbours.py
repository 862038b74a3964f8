"""Betters what runs by solving parts exactly, all else fixed: a class of devices, or a few models everywhere."""

import time
from itertools import count

import numpy as np

from .assignment import Assignment
from .problem import PlacementProblem
from .program import Program

_PART_S = 5.0
_MODELS = 10
_SEED = 0


def better_runs(problem: PlacementProblem, program: Program, runs: Assignment, deadline_s: float) -> Assignment:
    """What runs, at least as good as `runs`, when the time is up or nothing has come of any part for a while.

    Args:
        problem: what is chosen from.
        program: its program, links not placed.
        runs: where to start.
        deadline_s: on the monotonic clock.
    """
    rng, value, idle = np.random.default_rng(_SEED), runs.value_anywhere(problem), 0
    devices, models = problem.weights.shape
    for turn in count():
        if time.monotonic() >= deadline_s or idle > 2 * (devices + models // _MODELS + 1):
            break
        free = np.zeros(problem.weights.shape, bool)
        if turn % 2:
            free[rng.integers(devices)] = True
        else:
            free[:, rng.choice(models, min(_MODELS, models), replace=False)] = True
        found = program.improve(runs, free, min(deadline_s, time.monotonic() + _PART_S))
        idle += 1
        if found is not None and found.value_anywhere(problem) > value + 1e-9:
            runs, value, idle = found, found.value_anywhere(problem), 0
    return runs
