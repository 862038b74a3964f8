"""The exact selection above 18 models where links have one source each: branch and bound, without a solver."""

import heapq
import time
from dataclasses import dataclass, field

import numpy as np

from ...outputs import Array
from .pair_bounds import Bounds, Nodes, bound_nodes
from .pairs import Pairs
from .selection import Selection, SelectionProblem

_EPS = 1e-9
_FIRST_STEPS = 150
_STEPS = 12
_NUMBERS_AT_ONCE = 200_000


def branch_and_bound(problem: SelectionProblem, *, timeout_s: float = 10.0) -> Selection:
    """The best choice (to 1e-9), with the gap that is left where the time ended, else 0.

    A node is a part of all selections: some models run, some do not, the others are open. The nodes that could hold the
    best come first, a batch of them at a time. At the prices of its bound, models that cost a node too much to run,
    or not to, are settled; then it is parted by the model that the relaxed problem is most in two minds about. On the
    way what the relaxed problem takes is rounded and improved by exchanges, which mostly finds the best early.

    Args:
        problem: what is chosen from.
        timeout_s: when to stop; the best so far is returned then.

    Raises:
        InvalidInput: links have several sources or cost something, or two budgets bind.
    """
    pairs = Pairs.of(problem)
    deadline_s = time.monotonic() + timeout_s
    nothing = np.zeros(len(problem.names), bool)
    few = [row for row in np.eye(len(problem.names), dtype=bool) if problem.fits(row)]
    search = _Search(problem, pairs, max([nothing, *few], key=problem.value))
    search.bound(Nodes(nothing[None], pairs.runnable[None], np.zeros((1, len(nothing)))), _FIRST_STEPS)
    while search.open and time.monotonic() < deadline_s:
        search.branch()
    return problem.selection(search.chosen, gap=search.gap, method="branch and bound")


@dataclass(frozen=True, order=True)
class _Node:
    """An open node; the one with the highest bound is the first.

    Attributes:
        least: minus what its selections gain at most.
        runs: bool (models,).
        open: bool (models,).
        prices: where its bound was found: float (models,).
        parted: the model that parts it.
    """

    least: float
    runs: Array = field(compare=False)
    open: Array = field(compare=False)
    prices: Array = field(compare=False)
    parted: int = field(compare=False)


class _Search:
    """The open nodes and the best known.

    Args:
        problem: what is chosen from.
        pairs: the same as a matrix.
        chosen: a selection to begin with: bool (models,).
    """

    def __init__(self, problem: SelectionProblem, pairs: Pairs, chosen: Array) -> None:
        self.problem, self.pairs, self.chosen = problem, pairs, chosen
        self.known = problem.value(chosen) - pairs.constant
        self.open: list[_Node] = []
        self._tried: set[bytes] = set()

    @property
    def gap(self) -> float:
        """By how much a better selection could exceed the best known; 0: there is none."""
        return max(-self.open[0].least - self.known, 0.0) if self.open else 0.0

    def branch(self) -> None:
        """Parts the best nodes, as many as are bounded in one go."""
        most = max(_NUMBERS_AT_ONCE // (2 * int(self.open[0].open.sum()) * len(self.chosen)), 1)
        nodes = [heapq.heappop(self.open) for _ in range(min(most, len(self.open)))]
        runs, still, prices = (np.stack([getattr(node, name) for node in nodes]) for name in ("runs", "open", "prices"))
        parted = np.arange(len(nodes)), np.asarray([node.parted for node in nodes])
        still[parted] = False
        more = runs.copy()
        more[parted] = True
        self.bound(
            Nodes(np.concatenate([runs, more]), np.concatenate([still, still]), np.concatenate([prices, prices])),
            _STEPS,
        )

    def bound(self, nodes: Nodes, steps: int) -> None:
        """Bounds nodes, and keeps as open what could hold a better selection."""
        left = self.pairs.limit - np.where(nodes.runs, self.pairs.costs, 0.0).sum(axis=1, keepdims=True)
        nodes = Nodes(nodes.runs, nodes.open & (self.pairs.costs <= left), nodes.prices)
        bounds = bound_nodes(self.pairs, nodes, self.known + _EPS, steps)
        self._round(nodes, bounds)
        room = np.maximum(bounds.most - self.known - _EPS, 0.0)[:, None]
        runs = nodes.runs | nodes.open & (bounds.worth >= room)
        left = self.pairs.limit - np.where(runs, self.pairs.costs, 0.0).sum(axis=1)
        still = nodes.open & ~runs & (-bounds.worth < room) & (self.pairs.costs <= left[:, None])
        doubt = np.where(still, np.minimum(bounds.parts, 1.0 - bounds.parts) + _EPS, 0.0)
        for index in np.flatnonzero((room[:, 0] > 0) & (left >= 0)):
            self._offer(runs[index])
            if still[index].any():
                node = _Node(
                    -float(bounds.most[index]),
                    runs[index],
                    still[index],
                    bounds.prices[index],
                    int(doubt[index].argmax()),
                )
                heapq.heappush(self.open, node)
        if self.open and -self.open[0].least <= self.known + _EPS:
            self.open.clear()

    def _round(self, nodes: Nodes, bounds: Bounds) -> None:
        """Tries what the relaxed problem takes in the most promising node where that is something new, improved."""
        for index in np.argsort(-bounds.most):
            parts = np.where(nodes.open[index], bounds.parts[index], 0.0)
            rounded = self.pairs.filled(nodes.runs[index], np.argsort(-parts, kind="stable"))
            if (known := rounded.tobytes()) not in self._tried:
                self._tried.add(known)
                self._offer(self.pairs.exchanged(rounded))
                return

    def _offer(self, chosen: Array) -> None:
        """Keeps a selection if it is better."""
        value = self.pairs.value(chosen) - self.pairs.constant
        if value > self.known and chosen.sum() >= self.pairs.fewest and self.problem.fits(chosen):
            self.chosen, self.known = chosen, value
