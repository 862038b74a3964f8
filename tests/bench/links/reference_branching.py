"""Selection where links have one source each and one budget binds: branch and bound, exact, without a solver.

Not what the planner uses: it tells how far the mixed-integer program and greedy choice fall short of the best.
"""

import heapq
import time
from dataclasses import dataclass, field

import numpy as np
from infilink.errors import InvalidInput
from infilink.links.planning.selection import Selection, SelectionProblem
from infilink.links.planning.ways import Ways
from infilink.outputs import Array

_EPS = 1e-9
_FIRST_STEPS = 150
_STEPS = 12
_NUMBERS_AT_ONCE = 200_000
_PATIENCE = 6
_MOMENTUM = 0.5
_AVERAGED = 0.2
_TINY = 1e-300


@dataclass(frozen=True)
class Pairs:
    """What each model gives to each other, beyond what is free, and what it takes.

    Attributes:
        gains: what the link from one model to another adds to the objective, at least 0; on the diagonal what running
            the model itself adds to it: float (source, target).
        costs: what each model takes of the budget that binds: float (models,).
        limit: that budget.
        runnable: which models fit at all, each alone: bool (models,).
        constant: the objective where nothing runs.
        fewest: from how many running models on the gains are true; fewer have no ensemble's gain.
    """

    gains: Array
    costs: Array
    limit: float
    runnable: Array
    constant: float
    fewest: int

    @staticmethod
    def suit(problem: SelectionProblem) -> bool:
        """Whether the problem is one of these."""
        single = (problem.ways.sources.sum(axis=1) <= 1).all()
        return bool(single and _binding(problem).sum() <= 1)

    @classmethod
    def of(cls, problem: SelectionProblem) -> "Pairs":
        """The problem as one matrix.

        Raises:
            InvalidInput: it has links from several sources, or two budgets that bind.
        """
        if not cls.suit(problem):
            raise InvalidInput("this takes links from one source each, and one budget that binds")
        ways, count, binding = problem.ways, len(problem.names), _binding(problem)
        values = ways.values
        of, members = np.nonzero(ways.sources)
        alone = ~ways.sources.any(axis=1)
        floor = problem.free.copy()
        np.maximum.at(floor, ways.targets[alone], values[alone])
        reached = np.tile(floor, (count, 1))
        np.maximum.at(reached, (members, ways.targets[of]), values[of])
        np.fill_diagonal(reached, problem.executed)
        return cls(
            problem.weights * (reached - floor),
            problem.costs[binding][0] if binding.any() else np.zeros(count),
            float(problem.limits[binding][0]) if binding.any() else 0.0,
            problem.runnable,
            float(problem.weights @ floor),
            0 if type(ways) is Ways else 2,
        )

    def value(self, chosen: Array) -> float:
        """The objective of what runs, bool (models,); of fewer than `fewest` it may be less."""
        linked = self.gains[chosen].max(axis=0, initial=0.0)
        return self.constant + float(np.where(chosen, self.gains.diagonal(), linked).sum())

    def filled(self, chosen: Array, order: Array) -> Array:
        """These models and, one after another in this order of places, each further one that fits: bool (models,)."""
        chosen = chosen.copy()
        left = self.limit - float(self.costs[chosen].sum())
        for index in order:
            if not chosen[index] and self.runnable[index] and self.costs[index] <= left:
                chosen[index] = True
                left -= float(self.costs[index])
        return chosen

    def exchanged(self, chosen: Array) -> Array:
        """The same after exchanges of one model for another, the best of all each time, while that gains.

        What then still fits is added: bool (models,).
        """
        value = self.value(chosen)
        while chosen.any():
            inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen & self.runnable)
            values = np.stack([self._instead(chosen, int(out), outside) for out in inside])
            if not values.size or values.max() <= value + 1e-12:
                break
            out, into = np.unravel_index(int(values.argmax()), values.shape)
            trial = chosen.copy()
            trial[inside[out]], trial[outside[into]] = False, True
            trial = self.filled(trial, np.argsort(-self.gains.sum(axis=1), kind="stable"))
            if (reached := self.value(trial)) <= value:
                break
            chosen, value = trial, reached
        return chosen

    def _instead(self, chosen: Array, out: int, outside: Array) -> Array:
        """The objective with each of the models outside in the place of one that runs; -inf where it does not fit."""
        rest = chosen.copy()
        rest[out] = False
        own = self.gains.diagonal()
        kept = np.where(rest, own, self.gains[rest].max(axis=0, initial=0.0))
        reached = np.where(rest, kept, np.maximum(kept, self.gains[outside]))
        reached[np.arange(len(outside)), outside] = own[outside]
        fits = self.costs[outside] <= self.limit - float(self.costs[rest].sum())
        return np.where(fits, self.constant + reached.sum(axis=1), -np.inf)


def _binding(problem: SelectionProblem) -> Array:
    """Which budgets the models could exceed together: bool (resources,)."""
    return np.asarray(problem.costs.sum(axis=1) > problem.limits)


@dataclass(frozen=True)
class Nodes:
    """Parts of the search: what runs in all selections of each, and what is open there.

    Attributes:
        runs: bool (nodes, models).
        open: bool (nodes, models).
        prices: of each model's answer, where the bound is looked for first: float (nodes, models).
    """

    runs: Array
    open: Array
    prices: Array


@dataclass(frozen=True)
class Bounds:
    """What was found of each node.

    Attributes:
        most: no selection of the node gains more: float (nodes,).
        prices: where that was found: float (nodes, models).
        worth: what the bound loses at least if an open model runs (< 0), or does not (> 0): float (nodes, models).
        parts: how much of each open model the relaxed problem takes, about: float (nodes, models).
    """

    most: Array
    prices: Array
    worth: Array
    parts: Array


def bound_nodes(pairs: Pairs, nodes: Nodes, known: float, steps: int) -> Bounds:
    """The bounds, at prices moved by subgradients until they are no higher than a known gain, or for some steps.

    As in `lagrangian.py`: "one answer for each model" is priced, the models' worth at these prices is put into the
    knapsack, cut where it is full. What runs has its own gain as its price, and all others have at least
    what those that run reach for them.

    Args:
        pairs: the problem.
        nodes: its parts.
        known: a gain over `pairs.constant` that a selection reaches; no better bound than this is looked for.
        steps: how often the prices are moved.
    """
    part = _Part.of(pairs, nodes)
    prices = np.where(nodes.runs, part.floors, np.maximum(nodes.prices, part.floors))
    count = len(prices)
    reach, waited = np.ones(count), np.zeros(count, np.int64)
    most, best = np.full(count, np.inf), prices.copy()
    worth, parts, move = np.zeros(part.costs.shape), np.zeros(part.costs.shape), np.zeros_like(prices)
    for step in range(steps):
        bounds, reduced, taken, slope = part.at(prices)
        better = bounds < most
        most = np.where(better, bounds, most)
        best[better], worth[better] = prices[better], reduced[better]
        parts += (taken - parts) * (_AVERAGED if step else 1.0)
        if (np.minimum(most, part.ceilings) <= known).all():
            break
        waited = np.where(better, 0, waited + 1)
        reach = np.where(waited == _PATIENCE, reach / 2, reach)
        waited %= _PATIENCE
        move = slope + _MOMENTUM * move
        free = np.where(nodes.runs | (prices <= part.floors) & (move > 0), 0.0, move)
        length = reach * np.maximum(bounds - known, 0.0) / np.maximum((free * free).sum(axis=1), _TINY)
        prices = np.maximum(prices - length[:, None] * free, part.floors)
    return part.bounds(most, best, worth, parts)


@dataclass(frozen=True)
class _Part:
    """The nodes' open models alone, as many places as the node with most has.

    Attributes:
        models: which model is at each place: int (nodes, places).
        valid: whether one is: bool (nodes, places).
        gains: float (nodes, places, targets); none to what runs.
        own: what each adds to its own answer: float (nodes, places).
        costs: float (nodes, places).
        room: what is left of the budget: float (nodes, 1).
        floors: what running models reach for each target, their own gain for themselves: float (nodes, targets).
        ceilings: what is gained where each target has the best answer it can have: float (nodes,).
    """

    models: Array
    valid: Array
    gains: Array
    own: Array
    costs: Array
    room: Array
    floors: Array
    ceilings: Array

    @classmethod
    def of(cls, pairs: Pairs, nodes: Nodes) -> "_Part":
        places = max(int(nodes.open.sum(axis=1).max()), 1)
        models = np.argsort(~nodes.open, axis=1, kind="stable")[:, :places]
        own = pairs.gains.diagonal()
        floors = np.where(nodes.runs, own, np.where(nodes.runs[:, :, None], pairs.gains, 0.0).max(axis=1))
        gains = np.where(nodes.runs[:, None, :], -np.inf, pairs.gains[models])
        valid = np.take_along_axis(nodes.open, models, axis=1)
        return cls(
            models,
            valid,
            gains,
            own[models],
            pairs.costs[models],
            pairs.limit - np.where(nodes.runs, pairs.costs, 0.0).sum(axis=1, keepdims=True),
            floors,
            np.maximum(floors, np.where(valid[:, :, None], gains, -np.inf).max(axis=1)).sum(axis=1),
        )

    def at(self, prices: Array) -> tuple[Array, Array, Array, Array]:
        """Bounds (nodes,), worth less the budget's price and what is taken (nodes, places), slopes (nodes, targets)."""
        links = self.gains - prices[:, None, :]
        np.maximum(links, 0.0, out=links)
        # A model that runs gives its own answer, even where that is worth less than its price.
        beyond = self.own - np.take_along_axis(prices, self.models, axis=1)
        worth = np.where(self.valid, links.sum(axis=2) + np.minimum(beyond, 0.0), 0.0)
        gains = np.maximum(worth, 0.0)
        ratio = gains / np.maximum(self.costs, _TINY)
        order = np.argsort(-ratio, axis=1)
        costs = np.take_along_axis(self.costs, order, axis=1)
        before = np.cumsum(costs, axis=1) - costs
        parts = np.clip((self.room - before) / np.maximum(costs, _TINY), 0.0, 1.0)
        parts[before + costs <= self.room] = 1.0
        taken = np.empty_like(parts)
        np.put_along_axis(taken, order, parts, axis=1)
        taken *= gains > 0
        price = np.where(taken < 1.0, ratio, 0.0).max(axis=1, initial=0.0)
        # Not a product of matrices: that would wake all of BLAS's threads.
        answers = np.einsum("np,npt->nt", taken, links > 0) + self.spread(taken * (beyond <= 0))
        bounds = prices.sum(axis=1) + (taken * gains).sum(axis=1)
        return bounds, np.where(self.valid, worth - price[:, None] * self.costs, 0.0), taken, 1.0 - answers

    def bounds(self, most: Array, prices: Array, worth: Array, parts: Array) -> Bounds:
        """The best that was found, no higher than the ceiling; `worth` and `parts` are (nodes, places)."""
        lower = np.minimum(most, self.ceilings)
        # What the bound loses counts only as far as it falls below the ceiling.
        worth = np.sign(worth) * np.maximum(np.abs(worth) - (most - lower)[:, None], 0.0)
        return Bounds(lower, prices, self.spread(worth), self.spread(parts))

    def spread(self, values: Array) -> Array:
        """What stands at the open models' places, at the models', 0 elsewhere: (nodes, places) to (nodes, models)."""
        found = np.zeros_like(self.floors)
        np.put_along_axis(found, self.models, np.where(self.valid, values, 0.0), axis=1)
        return found


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
        InvalidInput: links have several sources, or two budgets bind.
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
