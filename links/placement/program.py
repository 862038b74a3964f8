"""The placement problem as a mixed-integer linear program, solved by HiGHS through SciPy."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...outputs import Array
from ..planning.program import Rows, silenced
from .assignment import NO_WAY, Assignment
from .columns import Allowed, Blocks, Columns
from .problem import PlacementProblem
from .rows import add_budgets, add_links, add_preferences

# HiGHS stops at an absolute gap of 1e-6, which SciPy has no option for: values are told to it in thousandths.
_SCALE = 1000.0
_GAP = 1e-8
_MOST_CUTS = 50
_INFEASIBLE = 2
_WHOLE = 1e-5


@dataclass(frozen=True)
class Program:
    """The program in arrays.

    Attributes:
        problem: what it is of.
        blocks: its columns, all but those of single links.
        gains: what each column gains in the objective, float (columns,).
        most: their upper bounds.
        runs_whole: 1 for what decides what runs: there only whole numbers will do.
        rows: sparse (rows, columns), each at most the same place of `limits`.
        limits: float (rows,).
        whole_truth: whether every useful link has a column; else the weakest of a target share one, which is as good
            as the best of them and needs any one of their sources: the program's bound holds, its value may not.
        placed: whether links are told apart by where they answer.
        preferences: at most what the preferences among equals take of the objective.
    """

    problem: PlacementProblem
    blocks: Blocks
    gains: Array
    most: Array
    runs_whole: Array
    rows: Any
    limits: Array
    whole_truth: bool
    placed: bool
    preferences: float

    @classmethod
    def of(cls, problem: PlacementProblem, most_links: int, *, placed: bool) -> "Program":
        """The program: maximise the sum over devices d and models j of weight_dj (agreement_dj - free_j).

        With x: on the device, c: in the cloud, y: linked (on the device, in the cloud), o: output sent, e: inputs
        travel, h: held in the cloud, z: a link answers (on the device, in the cloud):
        - x + c + y + y' <= 1 for each device and model; c <= h, c <= e, o <= x;
        - of each target and source, the z on the device sum to at most x, those in the cloud to at most c + o, all to
            at most x + c: at most one link serves an output, so this says z <= x for each, and is tighter;
        - the z of a target sum to at most its y;
        - all budgets; see `add_budgets`.

        Args:
            problem: what is chosen from.
            most_links: how many links of each target have columns of their own.
            placed: whether links are told apart by where they answer. Without, z is not told apart, the second line
                is only its last part, and outputs travel for nothing: half the size, and a bound.
        """
        columns, rows, allowed = Columns(), Rows(), Allowed.of(problem)
        blocks = Blocks.of(columns, problem, allowed)
        once = rows.add(np.ones(problem.weights.size))
        for block in (blocks.on_device, blocks.in_cloud, blocks.device_linked, blocks.cloud_linked):
            rows.set(once, block.ravel(), 1.0)
        for part, within in (
            (blocks.in_cloud, np.broadcast_to(blocks.held, blocks.in_cloud.shape)),
            (blocks.in_cloud, np.broadcast_to(blocks.travels[:, None], blocks.in_cloud.shape)),
            (blocks.sent, blocks.on_device),
        ):
            at = rows.add(np.zeros(part.size))
            rows.set(at, part.ravel(), 1.0)
            rows.set(at, within.ravel(), -1.0)
        whole = add_links(columns, rows, problem, blocks, allowed, most_links, placed=placed)
        add_budgets(columns, rows, problem, blocks)
        gains = columns.gains.copy()
        preferences = add_preferences(gains, problem, blocks)
        matrix, limits = rows.matrix(len(columns))
        return cls(problem, blocks, gains, columns.most, columns.whole, matrix, limits, whole, placed, preferences)

    def solve(self, deadline_s: float) -> tuple[Assignment | None, float]:
        """The best choice found, and at most what any choice reaches.

        Only what runs is whole at first: that is fast, and all else then is whole by itself, unless links take all that
        is left of a budget. If they do, links are chosen for those very runs; if that loses anything, all is solved
        whole. Links that are not placed are left out of the choice.
        """
        nothing = np.zeros(len(self.most))
        solution, bound = self._solve(self.runs_whole, nothing, self.most, deadline_s)
        if solution is None:
            return None, bound
        answers = solution[self.blocks.answers]
        if not self.placed or (np.abs(answers - answers.round()) <= _WHOLE).all():
            return self._assignment(solution).tidied(self.problem), bound
        runs = self._assignment(solution)
        found = self.answer(runs, deadline_s)
        if found is None or bound - found.value(self.problem) > self.preferences:
            solution, at_most = self._solve(self._all_whole, nothing, self.most, deadline_s)
            found = found if solution is None else self._assignment(solution).tidied(self.problem)
            bound = min(bound, at_most)
        return found, bound

    def answer(self, runs: Assignment, deadline_s: float) -> Assignment | None:
        """The best links for what runs in a choice."""
        least, most, blocks = np.zeros(len(self.most)), self.most.copy(), self.blocks
        for block, whether in (
            (blocks.on_device, runs.on_device),
            (blocks.in_cloud, runs.in_cloud),
            (blocks.travels, runs.travels),
            (blocks.held, runs.held),
        ):
            least[block] = most[block] = whether
        solution, _ = self._solve(self._all_whole, least, most, deadline_s)
        return None if solution is None else self._assignment(solution).tidied(self.problem)

    def improve(self, runs: Assignment, free: Array, deadline_s: float) -> Assignment | None:
        """The best choice in which only what is `free`, bool (D, M), may run otherwise than in another."""
        least, most = np.zeros(len(self.most)), self.most.copy()
        for block, whether in ((self.blocks.on_device, runs.on_device), (self.blocks.in_cloud, runs.in_cloud)):
            least[block[~free]] = most[block[~free]] = whether[~free]
        solution, _ = self._solve(self.runs_whole, least, most, deadline_s)
        return None if solution is None else self._assignment(solution)

    @property
    def _all_whole(self) -> Array:
        whole = self.runs_whole.copy()
        whole[self.blocks.answers] = 1.0
        return whole

    def _solve(self, whole: Array, least: Array, most: Array, deadline_s: float) -> tuple[Array | None, float]:
        """The best solution whose choice keeps all budgets, and a bound on what any reaches.

        The solver's tolerance may let a choice through that takes a hair too much: it is cut off, and all is solved
        again.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, vstack

        constant = float((self.problem.weights * self.problem.free).sum())
        rows, limits, bound = self.rows, self.limits, float(self.problem.weights.sum())
        for _ in range(_MOST_CUTS):
            with silenced():
                done = milp(
                    -_SCALE * self.gains,
                    constraints=LinearConstraint(rows, -np.inf, limits),
                    bounds=Bounds(least, most),
                    integrality=whole,
                    options={"time_limit": max(deadline_s - time.monotonic(), 0.01), "mip_rel_gap": _GAP},
                )
            if done.status == _INFEASIBLE:
                return None, -np.inf
            if done.mip_dual_bound is not None and np.isfinite(done.mip_dual_bound):
                bound = min(bound, constant - float(done.mip_dual_bound) / _SCALE + self.preferences)
            if done.x is None:
                return None, bound
            if self._assignment(done.x).fits(self.problem):
                return done.x, bound
            ones = np.zeros(len(self.gains))
            chosen = np.concatenate([self.blocks.on_device.ravel(), self.blocks.in_cloud.ravel()])
            chosen = np.append(chosen, self.blocks.answers) if self.placed else chosen
            ones[chosen[done.x[chosen] > 1.0 - _WHOLE]] = 1.0
            rows = vstack([rows, csr_array(ones.reshape(1, -1))], format="csr")
            limits = np.append(limits, ones.sum() - 1.0)
        return None, bound

    def _assignment(self, solution: Array) -> Assignment:
        """The choice of a solution, every answer by the best link that its place has the sources of."""
        blocks, chosen = self.blocks, solution > 1.0 - _WHOLE
        on_device, in_cloud, sent = chosen[blocks.on_device], chosen[blocks.in_cloud], chosen[blocks.sent]
        if not self.placed:
            return replace(Assignment.nothing(self.problem), on_device=on_device, in_cloud=in_cloud)
        device_way = self._best_ways(on_device, chosen[blocks.device_linked])
        cloud_way = self._best_ways(in_cloud | sent, chosen[blocks.cloud_linked])
        return Assignment(on_device, in_cloud, device_way, cloud_way)

    def _best_ways(self, available: Array, linked: Array) -> Array:
        """The best link of each target that is `linked` from the models `available`, bool (D, M) each: int (D, M)."""
        ways = self.problem.ways
        found = np.full(linked.shape, NO_WAY)
        # Ascending, so that of a target the best is written last.
        order = np.argsort(ways.values, kind="stable")
        order = order[ways.values[order] > self.problem.free[ways.targets[order]]]
        for device, have in enumerate(available):
            usable = order[~(ways.sources[order] & ~have).any(axis=1) & linked[device, ways.targets[order]]]
            found[device, ways.targets[usable]] = usable
        return found
