"""What the coordinator's planner would choose under other budgets: asked beside the serving, and nothing is changed."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from ...errors import InfilinkError, InvalidInput, Overloaded
from ...links.planning.plan import Plan
from ...links.planning.planner import best_plan, hold_plan
from ...links.planning.problem import Problem
from ...links.planning.streams import INPUTS_PER_S, Stream, streams_of
from ...links.scheduling.weights import Weights
from ...links.table import Table
from ...models.cost import ModelCost
from ...models.forked import fork
from ..config import CloudConfig
from .initial import InitialPlan

MOST_STREAMS = 256
_WITHIN_S = 8.0
_MOST_WAITING = 8
_MOST_KEPT = 256
_NICE = 10


@dataclass(frozen=True)
class Question:
    """Budgets to plan for.

    Attributes:
        budget_bytes: the memory that models may take; None: no limit.
        compute_cores: the processors' seconds that may be spent in a second.
        streams: how many there are.
    """

    budget_bytes: int | None
    compute_cores: float
    streams: int

    def __post_init__(self) -> None:
        if not 0.0 < self.compute_cores < float("inf"):
            raise InvalidInput(f"`cores`: a number above 0, not {self.compute_cores:g}")
        if not 1 <= self.streams <= MOST_STREAMS:
            raise InvalidInput(f"`streams`: from 1 to {MOST_STREAMS}, not {self.streams}")


@dataclass(frozen=True)
class Planned:
    """What is planned with: all that the planner knows of a site but its budgets.

    Attributes:
        costs: what each model costs.
        tables: what was measured of each model's answers; None: there are no links, outputs are held.
        inputs_per_s: of each stream.
        weights: how much answers matter.
    """

    costs: Mapping[str, ModelCost]
    tables: Mapping[str, Table] | None
    inputs_per_s: float
    weights: Weights

    @classmethod
    def of(cls, initial: InitialPlan, config: CloudConfig) -> "Planned | None":
        """A coordinator's; None: it does not plan, as everything runs, or as a placement says."""
        if config.answers == "full" or config.placement is not None or not initial.costs:
            return None
        graph = initial.graph
        if graph is None:
            return cls(initial.costs, None, INPUTS_PER_S, config.site_weights)
        (one,) = streams_of(graph, count=1)
        return cls(graph.costs, graph.tables, one.inputs_per_s, config.site_weights)

    def plan(self, question: Question) -> Plan:
        """The best plan under these budgets, by the functions that the coordinator starts with.

        Raises:
            InvalidInput: the budget is too small for the smallest model.
        """
        budget_bytes, cores = question.budget_bytes, question.compute_cores
        if self.tables is None:
            given = {"streams": question.streams, "inputs_per_s": self.inputs_per_s}
            return hold_plan(self.costs, budget_bytes, compute_cores=cores, **given)  # type: ignore[arg-type]
        streams = [Stream(f"stream {at + 1}", self.tables, self.inputs_per_s) for at in range(question.streams)]
        problem = Problem.of(self.costs, streams, budget_bytes=budget_bytes, compute_cores=cores, weights=self.weights)
        return best_plan(problem)


class WhatIf:
    """Plans for other budgets: one at a time, in a process that gives way to all others, within a few seconds.

    Args:
        planned: what is planned with.
        within_s: how long one may take.
    """

    def __init__(self, planned: Planned, *, within_s: float = _WITHIN_S) -> None:
        self.planned = planned
        self.within_s = within_s
        self._known: OrderedDict[Question, Plan] = OrderedDict()
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def ask(self, question: Question) -> Plan:
        """The plan for these budgets.

        Raises:
            InvalidInput: they hold no model.
            Overloaded: too many are asked for at once, or this one takes too long.
        """
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("others ask for plans just now: try again in a moment", retry_after_s=1.0)
        self._waiting += 1
        try:
            async with self._turn:
                if question not in self._known:
                    self._known[question] = await asyncio.to_thread(self._plan, question)
                    while len(self._known) > _MOST_KEPT:
                        self._known.popitem(last=False)
                return self._known[question]
        finally:
            self._waiting -= 1

    def _plan(self, question: Question) -> Plan:
        process, pipe = fork(_answer, self.planned, question)
        try:
            if not pipe.poll(self.within_s):
                raise Overloaded(f"no plan was found within {self.within_s:g} s: `infilink plan` has no such limit")
            found = pipe.recv()
        except EOFError:
            raise Overloaded("the process that plans has ended: is there memory left?") from None
        finally:
            process.kill()
            process.join()
            process.close()
            pipe.close()
        if isinstance(found, InfilinkError):
            raise found
        assert isinstance(found, Plan)
        return found


def _answer(planned: Planned, question: Question, pipe: Connection) -> None:
    """The life of the process that plans."""
    with suppress(OSError):
        os.nice(_NICE)
    try:
        pipe.send(planned.plan(question))
    except InvalidInput as error:
        pipe.send(InvalidInput(str(error)))


def changes(before: Plan, after: Plan) -> list[str]:
    """What would be chosen otherwise, in words; none: nothing would."""
    found = []
    for name in before.served:
        then, now = _kept(before, name), _kept(after, name)
        was, would = before.served[name], after.served.get(name)
        if then != now:
            found.append(f"{name} would be {now} (now {then})")
        elif would is not None and (was.origin, was.sources) != (would.origin, would.sources):
            found.append(f"{name}, {then}, would be answered for as {_by(would.origin, would.sources)}")
    return found


def _kept(plan: Plan, name: str) -> str:
    if name in plan.resident:
        return "kept loaded"
    return "loaded in turn" if name in plan.refresh_s else "never loaded"


def _by(origin: str, sources: tuple[str, ...]) -> str:
    return f"{origin} from {' and '.join(sources)}" if sources else origin
