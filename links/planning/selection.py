"""The selection problem of MLink: which models run on every input, and which are answered for by links (section 3)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...outputs import Array
from .resource import Resource
from .ways import Ways

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
        method: what found it: "milp", "greedy", "paper, stop" or "paper, skip".
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
        resources: the budgets; all are kept. Links take nothing of them.
        executed: what a model's own output is worth, float (models,).
    """

    names: tuple[str, ...]
    weights: Array
    free: Array
    ways: Ways
    resources: tuple[Resource, ...]
    executed: Array

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
    def limits(self) -> Array:
        """The budgets, with what floating point may add up to: float (resources,)."""
        return np.asarray([resource.budget * (1 + _SLACK) for resource in self.resources])

    @cached_property
    def runnable(self) -> Array:
        """Which models fit at all, each alone: bool (models,)."""
        return np.asarray((self.costs <= self.limits[:, None]).all(axis=0))

    def fits(self, chosen: Array) -> bool:
        """Whether these models, bool (models,), keep all budgets."""
        return bool((self.costs[:, chosen].sum(axis=1) <= self.limits).all())

    def reached(self, chosen: Array) -> Array:
        """What the best link of each model reaches, or what is free if that is more: float (models,)."""
        return np.maximum(self.ways.best(chosen), self.free)

    def value(self, chosen: Array) -> float:
        """The objective of what runs."""
        return float(self.weights @ np.where(chosen, self.executed, self.reached(chosen)))

    def selection(self, chosen: Array, *, gap: float, method: str) -> Selection:
        """The choice by names."""
        linked = ~chosen & (self.weights * (self.reached(chosen) - self.free) > 0)
        names = np.asarray(self.names, object)
        return Selection(tuple(names[chosen]), tuple(names[linked]), self.value(chosen), max(gap, 0.0), method)
