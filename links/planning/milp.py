"""The exact selection above 18 models: a mixed-integer linear program, solved by HiGHS through SciPy."""

import importlib.util
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .greedy import approximate
from .lagrangian import Reduction
from .program import Rows, silenced
from .selection import Selection, SelectionProblem
from .ways import Ways

_GAP = 1e-7
_EPS = 1e-9
_MOST_CUTS = 50
_INFEASIBLE = 2


def milp_available() -> bool:
    """Whether SciPy is installed; it comes with `infilink[cloud]` and `infilink[train]`."""
    return importlib.util.find_spec("scipy") is not None


def solve_milp(problem: SelectionProblem, *, timeout_s: float = 10.0) -> Selection:
    """The best choice, with the gap that the solver proved: 0 but for its tolerance where it was done in time.

    x_i: model i runs. z_w: link w answers. Maximise the sum of weight_j (executed_j - free_j) x_j over models and of
    weight_j (value_w - free_j) z_w over links, where
    - for each target and source, the links z_w of that target that need that source sum to at most x_source: at most
      one link serves an output, so this says z_w <= x_i for each, and is tighter;
    - for each target x_j and the z_w sum to at most 1;
    - what the x_i take keeps each budget.
    Given what runs the best link of each target is taken, so this equals looking at every set. Before, what can't be
    in a choice better than a good one is left out (`reduce_problem`).

    Args:
        problem: what is chosen from.
        timeout_s: when to stop, all told; the best so far is returned then, with its gap.

    Raises:
        InvalidInput: SciPy is not installed.
    """
    if not milp_available():
        raise InvalidInput('this needs SciPy: pip install "infilink[cloud]"')
    deadline_s = time.monotonic() + timeout_s
    reduction = approximate(problem, swaps=False)[1]
    single = [row for row in np.eye(len(problem.names), dtype=bool) if problem.fits(row)]
    found = [problem.selection(row, gap=0.0, method="milp") for row in (reduction.chosen, *single)]
    known = max(found, key=lambda each: each.value)
    if reduction.bound <= known.value + _EPS:
        return replace(known, gap=0.0)
    solved, bound = _Program.of(problem, reduction).solve(problem, deadline_s)
    bound = max(min(bound, reduction.bound), known.value)
    if solved is not None:
        other = problem.selection(solved, gap=0.0, method="milp")
        known = max(known, other, key=lambda each: each.value)
    return replace(known, gap=max(bound - known.value, 0.0))


@dataclass(frozen=True)
class _Program:
    """The program in arrays; columns are x (models), z (links).

    Attributes:
        objective: to be maximised, less `constant`: float (columns,).
        rows: sparse (rows, columns), each at most the same place of `limits`.
        least: the lower bound of each column.
        most: the upper bound of each column.
        constant: what is reached where nothing runs and nothing is linked.
    """

    objective: Array
    rows: Any
    limits: Array
    least: Array
    most: Array
    constant: float

    @classmethod
    def of(cls, problem: SelectionProblem, reduction: Reduction) -> "_Program":
        count = len(problem.names)
        useful = reduction.ways & (problem.ways.values > problem.free[problem.ways.targets])
        ways = Ways(problem.ways.targets[useful], problem.ways.sources[useful], problem.ways.values[useful])
        gains = problem.weights[ways.targets] * (ways.values - problem.free[ways.targets])
        rows = Rows()
        zs = count + np.arange(len(ways.targets))
        # The z of one target that need one source, at most the source's x; one row for each such pair.
        of, members = np.nonzero(ways.sources)
        pairs, place = np.unique(ways.targets[of] * count + members, return_inverse=True)
        at = rows.add(np.zeros(len(pairs)))
        rows.set(at[place], zs[of], 1.0)
        rows.set(at, pairs % count, -1.0)
        at = rows.add(np.ones(count))
        rows.set(at, np.arange(count), 1.0)
        rows.set(at[ways.targets], zs, 1.0)
        for costs, limit in zip(problem.costs, problem.limits, strict=True):
            # In shares of the budget: the solver's tolerance is absolute. Nothing of a budget of 0 may be taken.
            scale = 1.0 / limit if limit > 0 else 1.0
            (row,) = rows.add(np.asarray([limit * scale]))
            rows.set(np.full(count, row), np.arange(count), costs * scale)
        objective = np.concatenate([problem.weights * (problem.executed - problem.free), gains])
        matrix, limits = rows.matrix(len(objective))
        least = np.concatenate([reduction.needed.astype(float), np.zeros(len(zs))])
        most = np.concatenate([reduction.models.astype(float), np.ones(len(zs))])
        return cls(objective, matrix, limits, least, most, float(problem.weights @ problem.free))

    def solve(self, problem: SelectionProblem, deadline_s: float) -> tuple[Array | None, float]:
        """What runs, bool (models,), and at most what any choice of this program reaches.

        The solver's tolerance may let a set through that takes a hair too much: it is cut off, and all is solved again.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, vstack

        count = len(problem.names)
        whole = (np.arange(len(self.objective)) < count).astype(int)
        rows, limits, bound = self.rows, self.limits, _highest(problem)
        for _ in range(_MOST_CUTS):
            with silenced():
                done = milp(
                    -self.objective,
                    constraints=LinearConstraint(rows, -np.inf, limits),
                    bounds=Bounds(self.least, self.most),
                    integrality=whole,
                    options={"time_limit": max(deadline_s - time.monotonic(), 0.01), "mip_rel_gap": _GAP},
                )
            if done.status == _INFEASIBLE:
                return None, -np.inf
            if done.mip_dual_bound is not None and np.isfinite(done.mip_dual_bound):
                bound = min(bound, self.constant - float(done.mip_dual_bound))
            if done.x is None:
                return None, bound
            chosen = done.x[:count] > 0.5
            if problem.fits(chosen):
                return chosen, bound
            cut = csr_array(np.concatenate([chosen, np.zeros(len(self.objective) - count)]).reshape(1, -1))
            rows, limits = vstack([rows, cut], format="csr"), np.append(limits, chosen.sum() - 1.0)
        return None, bound


def _highest(problem: SelectionProblem) -> float:
    """What nothing can exceed."""
    return float(problem.weights @ np.maximum(np.maximum(problem.executed, problem.free), 1.0))
