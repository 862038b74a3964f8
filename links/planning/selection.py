"""The selection problem of MLink: which models run on every input, and which are answered for by links (section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ..table import NEVER, Table
from .all_sets import MOST_MODELS, sums
from .resource import Resource
from .ways import Ways
from .weights import shares

# Of a budget: what floating point may add up to too much. Below a byte for any memory there is.
_SLACK = 1e-12


@dataclass(frozen=True)
class Selection:
    """A choice of what runs.

    Attributes:
        chosen: the models that run.
        linked: the others that are answered for by a link; what is left has a constant, or its last output held.
        value: the weighted mean agreement, 1 for what runs.
        gap: by how much a better choice could exceed this; 0: none is better.
        method: what found it: "enumeration", "branch and bound", "milp", "greedy", "paper, stop" or
            "paper, skip".
    """

    chosen: tuple[str, ...]
    linked: tuple[str, ...]
    value: float
    gap: float
    method: str


@dataclass(frozen=True)
class SelectionProblem:
    """What is chosen from: the set A that fits with the most weight(A) + sum over the others of weight_j p(A, j).

    p(A, j) is the best that the links from sources within A reach, or what is free. One link serves one output, so
    this is exact for the tables of `train_links`, where every measured set of sources is a link of its own; it is the
    paper's p for ensembles that are as good as their best measured part.

    Attributes:
        names: the models.
        weights: each one's share of the objective, float (models,); they sum to 1.
        free: what answering without any link reaches, float (models,).
        ways: the links, values (ways,).
        resources: the budgets; all are kept.
        executed: what a model's own output is worth, float (models,).
        ensemble_gain: added to what a link reaches where two or more models run, up to 1: the paper's simulation.
    """

    names: tuple[str, ...]
    weights: Array
    free: Array
    ways: Ways
    resources: tuple[Resource, ...]
    executed: Array
    ensemble_gain: float = 0.0

    @classmethod
    def of(
        cls,
        tables: Mapping[str, Table],
        resources: Sequence[Resource],
        *,
        weights: Mapping[str, float] | None = None,
        age: int = NEVER,
    ) -> "SelectionProblem":
        """From what was measured.

        Args:
            tables: each model's.
            resources: the budgets.
            weights: how much each model's answers matter; 1 if it is not named.
            age: how old the last own output of a model that does not run is, as a bucket; `NEVER`: it has none.

        Raises:
            InvalidInput: a budget or a weight does not suit the models.
        """
        if not tables:
            raise InvalidInput("there is no model to choose from")
        names = tuple(sorted(tables))
        ordered = [tables[name] for name in names]
        free = np.asarray([table.free(age).measured.validation for table in ordered])
        return cls(
            names,
            shares(names, weights or {}),
            free,
            Ways.of(ordered, names).at(age),
            tuple(resources),
            np.ones(len(names)),
        )

    @classmethod
    def of_pairs(
        cls, links: Array, costs: Array, budget: float, *, free: float = 0.0, ensemble_gain: float = 0.0
    ) -> "SelectionProblem":
        """The paper's own case: performances of the links between pairs, one cost per model, links for nothing.

        Args:
            links: performance, float (source, target) in [0, 1]; the diagonal is not read.
            costs: of each model, float (models,).
            budget: what all that run may cost together.
            free: what answering without a link reaches.
            ensemble_gain: what two or more sources reach beyond the best of them.
        """
        count = len(costs)
        names = tuple(f"m{index:03d}" for index in range(count))
        cost = Resource("cost", budget, dict(zip(names, map(float, costs), strict=True)))
        return cls(
            names,
            np.full(count, 1.0 / count),
            np.full(count, free),
            Ways.of_pairs(links),
            (cost,),
            np.ones(count),
            ensemble_gain,
        )

    def __post_init__(self) -> None:
        for resource in self.resources:
            resource.check(self.names)

    @cached_property
    def costs(self) -> Array:
        """What each model takes: float (resources, models)."""
        return np.asarray([[r.models[name] for name in self.names] for r in self.resources]).reshape(
            -1, len(self.names)
        )

    @cached_property
    def link_costs(self) -> Array:
        """What answering for each model by a link takes: float (resources, models)."""
        rows = [[r.links.get(name, 0.0) for name in self.names] for r in self.resources]
        return np.asarray(rows).reshape(-1, len(self.names))

    @cached_property
    def limits(self) -> Array:
        """The budgets, with what floating point may add up to: float (resources,)."""
        return np.asarray([resource.budget * (1 + _SLACK) for resource in self.resources])

    def of_kind(self, *kinds: str) -> Array:
        """Which resources are combined so: bool (resources,)."""
        return np.asarray([resource.combined in kinds for resource in self.resources], bool)

    @cached_property
    def runnable(self) -> Array:
        """Which models fit at all, each alone: bool (models,)."""
        return np.asarray((self.costs <= self.limits[:, None]).all(axis=0))

    def fits(self, chosen: Array) -> bool:
        """Whether these models, bool (models,), keep all budgets, before any link."""
        together = self.of_kind("sum", "peak")
        return bool(
            self.runnable[chosen].all() and (self.costs[together][:, chosen].sum(axis=1) <= self.limits[together]).all()
        )

    def reached(self, chosen: Array) -> Array:
        """What the best link of each model reaches, or what is free if that is more: float (models,)."""
        return np.maximum(self.assisted(self.ways.best(chosen), int(chosen.sum())), self.free)

    def assisted(self, values: Array, running: int) -> Array:
        """What links reach with the ensemble's gain, where so many models run."""
        if not self.ensemble_gain or running < 2:
            return values
        return np.where(values >= 0, np.maximum(values, np.minimum(values + self.ensemble_gain, 1.0)), values)

    def linked(self, chosen: Array) -> Array:
        """Which models links answer for, given what runs: those that gain most within the budgets; bool (models,).

        Exact where links cost nothing, all fit, or up to 18 could be used; else by gain for what they take.
        """
        gains = np.where(chosen, 0.0, self.weights * (self.reached(chosen) - self.free))
        together, added = self.of_kind("sum", "peak"), self.of_kind("sum")
        left = np.where(together, self.limits - self.costs @ chosen, self.limits)
        useful = (gains > 0) & (self.link_costs <= left[:, None]).all(axis=0)
        costs, left = self.link_costs[added], left[added]
        if (costs[:, useful].sum(axis=1) <= left).all():
            return np.asarray(useful)
        rows = np.flatnonzero(useful)
        picked = np.zeros(len(self.names), bool)
        if len(rows) <= MOST_MODELS:
            fitting = np.all([sums(cost[rows]) <= limit for cost, limit in zip(costs, left, strict=True)], axis=0)
            best = int(np.where(fitting, sums(gains[rows]), -1.0).argmax())
            picked[rows[best >> np.arange(len(rows)) & 1 == 1]] = True
            return picked
        taken = (costs / np.maximum(left, 1e-300)[:, None]).sum(axis=0)
        for row in rows[np.argsort(-gains[rows] / np.maximum(taken[rows], 1e-300), kind="stable")]:
            picked[row] = (costs[:, picked].sum(axis=1) + costs[:, row] <= left).all()
        return picked

    def value(self, chosen: Array, linked: Array | None = None) -> float:
        """The objective of what runs and, if it is given, what links answer for."""
        linked = self.linked(chosen) if linked is None else linked
        others = np.where(linked, self.reached(chosen), self.free)
        return float(self.weights @ np.where(chosen, self.executed, others))

    def selection(self, chosen: Array, *, gap: float, method: str, linked: Array | None = None) -> Selection:
        """The choice by names."""
        linked = self.linked(chosen) if linked is None else linked
        names = np.asarray(self.names, object)
        return Selection(
            tuple(names[chosen]), tuple(names[linked & ~chosen]), self.value(chosen, linked), max(gap, 0.0), method
        )
