"""Serving one recorded stream as a coordinator does that chooses anew: what runs, and how the rest is answered for."""

from collections.abc import Mapping

import numpy as np

from ...outputs import Array
from ..answer import Answer
from ..graph import LinkGraph
from ..planning.plan import Plan
from ..planning.planner import plan_problem
from ..serving import Serving
from ..table import Table
from .posterior import Posterior
from .profile import Profiler, by_target
from .review import review

ANSWER_S = 2.0


class ReplannedServing:
    """One stream, whose exact outputs are all recorded; those that would not have run are not looked at.

    Args:
        graph: the links.
        plan: what runs at first.
        budget_bytes: the memory models may use.
        review_s: the capture time between two looks at the plan.
        profile: the share of inputs on which every model runs.
        seed: of which these are.
    """

    def __init__(
        self, graph: LinkGraph, plan: Plan, budget_bytes: int, *, review_s: float, profile: float, seed: int = 0
    ) -> None:
        self.graph = graph
        self.serving = Serving(graph, plan)
        self.budget_bytes = budget_bytes
        self.review_s = review_s
        self.profile = profile
        self.switches = 0
        self._random = np.random.default_rng(seed)
        self._profiler = Profiler(graph)
        self._posteriors = {name: Posterior(table) for name, table in graph.tables.items()}
        self._answered_s: float | None = None
        self._reviewed_s = 0.0

    def answer(
        self, captured_s: float, recorded: Mapping[str, Array], *, features: Array | None = None
    ) -> dict[str, Answer]:
        """Every model's answer for the next input; profiled inputs count as executed.

        Args:
            captured_s: when it was captured.
            recorded: the exact outputs.
            features: what the links' stem makes of it; None: nobody looked.
        """
        self._choose(captured_s)
        judged = self.serving.due(captured_s)
        running = {*self.serving.plan.resident, *judged}
        profiled = self._random.random() < self.profile
        if profiled:
            running, judged = set(recorded), tuple(recorded)
        ran = {name: recorded[name] for name in sorted(running)}
        if judged:
            found = self._profiler.observe(captured_s, ran, features=features, targets=judged, thorough=profiled)
            for target, seen in by_target(found).items():
                self._posteriors[target].observe(seen)
        return self.serving.complete(captured_s, ran, features=features)

    def _choose(self, captured_s: float) -> None:
        if self._answered_s is None:
            self._answered_s = self._reviewed_s = captured_s
        if captured_s - self._answered_s < ANSWER_S:
            return
        self._answered_s = captured_s
        tables = {name: self._posteriors[name].table(table) for name, table in self.graph.tables.items()}
        self.serving.graph = self.graph.with_tables(tables)
        if captured_s - self._reviewed_s >= self.review_s:
            self._reviewed_s = captured_s
            self._review(tables)

    def _review(self, tables: Mapping[str, Table]) -> None:
        problem = plan_problem(self.graph.costs, tables, self.budget_bytes)
        found = review(problem, self.graph.costs, self.serving.plan, period_s=self.review_s)
        if found.switch:
            self.serving.plan = found.plan
            self.switches += 1
        for posterior in self._posteriors.values():
            posterior.forget()
