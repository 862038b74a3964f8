"""How each pair of a stream and a model is answered for under a plan, and why, in words and expected figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...units import format_bytes
from ..table import NEVER, Route, at_hand, bucket
from .agreement import best_route, free_route
from .plan import AnswerSource, Pair
from .problem import Problem
from .search import Found

_MOSTLY = 0.5


@dataclass(frozen=True)
class Usual:
    """What is usual for a model on one kind of streams.

    Attributes:
        runs: the share of the inputs that it runs on.
        every_s: the mean time between two runs; None: it never runs.
        age: the bucket of its last output's age on the inputs between.
        available: what there is on most inputs to be linked from.
        route: how it is answered for between its runs.
        expected: the agreement expected in all.
    """

    runs: float
    every_s: float | None
    age: int
    available: frozenset[str]
    route: Route
    expected: float


def usual(problem: Problem, found: Found, kind: int, model: int) -> Usual:
    """What the plan does with a model on one kind of streams."""
    of_kind, mixture = problem.kinds[kind], found.mixture
    runs_per_s = float(mixture.mean("runs_per_s")[kind, model])
    every_s = 1.0 / runs_per_s if runs_per_s > 0 else None
    age = NEVER if every_s is None else bucket(max(every_s / 2, of_kind.every_s))
    sources = mixture.mean("sources")[kind] >= _MOSTLY
    available = at_hand(name for name, runs in zip(problem.names, sources, strict=True) if runs)
    weight = problem.weights[kind, model]
    expected = float(mixture.mean("agreements")[kind, model] / weight) if weight > 0 else 0.0
    route = best_route(of_kind.tables[model], available, age, of_kind.outlook)
    return Usual(min(1.0, runs_per_s * of_kind.every_s), every_s, age, available, route, expected)


def pairs_of(problem: Problem, found: Found) -> tuple[Pair, ...]:
    """How each model does on each stream."""
    rows = []
    for at, kind in enumerate(problem.kinds):
        for model, name in enumerate(problem.names):
            of = usual(problem, found, at, model)
            executed = of.runs >= _MOSTLY
            origin = "executed" if executed else of.route.origin
            sources = () if executed else of.route.sources
            rows += [Pair(stream, name, origin, sources, of.every_s, of.expected) for stream in kind.streams]
    return tuple(rows)


def serve(problem: Problem, found: Found, model: int) -> AnswerSource:
    """How a model is answered for over all streams; where they differ it is told of those that weigh most."""
    kinds = range(len(problem.kinds))
    weights = problem.weights[:, model]
    each = [usual(problem, found, kind, model) for kind in kinds]
    main = int(weights.argmax())
    of = each[main]
    share = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1.0 / len(weights))
    expected = float(share @ [one.expected for one in each])
    always = all(one.runs >= 1.0 - 1e-9 for one in each)
    if always:
        return AnswerSource("executed", (), expected, "runs on every input")
    origin = "executed" if of.runs >= _MOSTLY else of.route.origin
    sources = () if origin == "executed" else of.route.sources
    return AnswerSource(origin, sources, expected, _why(problem, main, model, each))


def _why(problem: Problem, main: int, model: int, each: Sequence[Usual]) -> str:
    of, kind = each[main], problem.kinds[main]
    often = [one.every_s for one in each]
    known = [every_s for every_s in often if every_s is not None]
    if not known:
        runs = "never run"
    elif None in often or max(known) > 1.05 * min(known):
        slowest = "never" if None in often else f"{max(known):.3g} s"
        runs = f"run every {min(known):.3g} s to {slowest}, by stream"
    else:
        runs = f"run every {known[0]:.3g} s"
    means = {
        "linked": f"linked from {'+'.join(of.route.sources) or 'its own last output'}",
        "held": "its last output is held",
        "constant": "a constant",
    }[of.route.origin]
    free = free_route(kind.tables[model], of.age, kind.outlook)
    expects = kind.outlook.expected(of.route)
    where = f" (on {kind.streams[0]})" if len(problem.kinds) > 1 else ""
    beside = f"; {free.origin}: {kind.outlook.expected(free):.2f}" if of.route.origin == "linked" else ""
    return f"{runs}, else {means}{where}: {expects:.2f}{beside}"


def refusal(problem: Problem, found: Found, model: int) -> str:
    """Why a model is not loaded all the time."""
    name, memory = problem.names[model], int(problem.memory[model])
    left = problem.budget_bytes - int(problem.memory[found.room.resident].sum())
    if problem.virtual[model]:
        return "nothing runs for it: it is virtual"
    if memory > problem.budget_bytes:
        return f"needs {format_bytes(memory)}, the budget is {format_bytes(problem.budget_bytes)}"
    if found.mixture.mean("loads_per_s")[model] > 0:
        return f"takes turns in the {format_bytes(left)} that are left beside the models that stay"
    if memory > left:
        return f"needs {format_bytes(memory)}, {format_bytes(left)} are left beside models that are worth more"
    return f"turns of {name} add nothing, or loading takes longer than they last"
