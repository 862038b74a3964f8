"""Why a plan is as it is: what every other choice would have brought and cost, and what other budgets would."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...units import format_bytes
from ..table import Route
from .agreement import free_route, link_routes
from .explain import Usual, usual
from .plan import Plan
from .planner import plan_of
from .problem import Problem
from .search import Found, find_best

Reason = Literal["does not fit", "costs more than it brings", "no skill", "its source does not run", "not trusted"]
Runs = Literal["loaded", "in turn", "never"]
_BUDGETS = (0.9, 1.1)
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Refused:
    """One thing that was not chosen for a model, and why.

    Attributes:
        choice: "loaded", "not loaded"; or the link, held output or constant that does not answer.
        reason: the kind of reason.
        brings: what the model's own answers would gain, in the objective; None where the choice can't be made.
        loses: what the whole plan would lose by it, all else chosen anew for it; None likewise.
        text: all that in words.
    """

    choice: str
    reason: Reason
    brings: float | None
    loses: float | None
    text: str


@dataclass(frozen=True)
class Budgeted:
    """What another budget would give.

    Attributes:
        budget_bytes: the memory.
        compute_cores: the compute; None: no limit.
        gains: the change in expected agreement; None where no model fits.
        expected_agreement: the plan's; None likewise.
        text: the same in words, with which models would run otherwise.
    """

    budget_bytes: int
    compute_cores: float | None
    gains: float | None
    expected_agreement: float | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """A plan and the choices beside it.

    Attributes:
        plan: the plan explained.
        value: what it was chosen by, which is what it promises.
        core_worth: what one more processor second in a second would add, for a little more of them.
        runs: how each model is kept.
        refused: by model what was not chosen for it.
        budgets: 10 % less and 10 % more memory, and compute.
    """

    plan: Plan
    value: float
    core_worth: float
    runs: Mapping[str, Runs]
    refused: Mapping[str, tuple[Refused, ...]]
    budgets: tuple[Budgeted, ...]


def explain_plan(problem: Problem) -> Explanation:
    """The best plan for a problem of `plan_problem`, and why it is that.

    Every model is made to stay loaded, or not to, with everything else chosen anew: what a choice loses is exact where
    plans are.
    """
    found = find_best(problem)
    assert found is not None, "with nothing loaded everything fits"
    refused = {}
    for own, name in enumerate(problem.names):
        stays = bool(found.room.resident[own])
        rows = []
        if not problem.virtual[own]:
            changed = find_best(problem, model=own, stays=not stays)
            rows.append(_refused(problem, own, "not loaded" if stays else "loaded", found, changed))
        refused[name] = (*rows, *_answers(problem, found, own))
    runs = {name: _runs(found, own) for own, name in enumerate(problem.names)}
    budgets = [
        _budgeted(problem, found, replace(problem, budget_bytes=round(problem.budget_bytes * share)), "memory", share)
        for share in _BUDGETS
    ]
    if problem.compute_cores < float("inf"):
        budgets += [
            _budgeted(problem, found, replace(problem, compute_cores=problem.compute_cores * share), "compute", share)
            for share in _BUDGETS
        ]
    return Explanation(plan_of(problem, found), found.value, found.mixture.core_price, runs, refused, tuple(budgets))


def _runs(found: Found, own: int) -> Runs:
    if found.room.resident[own]:
        return "loaded"
    return "in turn" if found.mixture.mean("loads_per_s")[own] > 0 else "never"


def _refused(problem: Problem, own: int, choice: str, found: Found, changed: Found | None) -> Refused:
    if changed is None:
        size, room = format_bytes(int(problem.memory[own])), format_bytes(problem.budget_bytes)
        return Refused(
            choice, "does not fit", None, None, f"{choice}: does not fit: needs {size} of a budget of {room}"
        )
    before, after = (float(each.mixture.mean("agreements")[:, own].sum()) for each in (found, changed))
    brings, loses = after - before, max(found.value - changed.value, 0.0)
    how = "costs more than it brings" if brings >= 0 else "gives up more than it makes room for"
    if loses <= _TOLERANCE:
        how = "as good"
    parts = f"{_signed(brings)} for its own answers, {_signed(-loses - brings)} for the rest, {_signed(-loses)} in all"
    text = f"{choice}: {how}: {parts}{_moves(problem, found, changed, besides=own)}"
    return Refused(choice, "costs more than it brings", brings, loses, text)


def _signed(change: float) -> str:
    """A change to the fourth digit, never "-0.0000"."""
    return f"{round(change, 4) + 0.0:+.4f}"


def _moves(problem: Problem, before: Found, after: Found, *, besides: int = -1) -> str:
    """Which models would be kept otherwise, in words."""
    moved: dict[str, list[str]] = {}
    for own, name in enumerate(problem.names):
        then = _runs(after, own)
        if own != besides and then != _runs(before, own):
            moved.setdefault(then, []).append(name)
    return "".join(f"; {', '.join(names)} would be {runs}" for runs, names in moved.items())


def _answers(problem: Problem, found: Found, own: int) -> tuple[Refused, ...]:
    """Why a model is not answered for by another way where it weighs most, and whether its answers are trusted."""
    at = int(problem.weights[:, own].argmax())
    kind, of = problem.kinds[at], usual(problem, found, at, own)
    if of.runs >= 1.0 - 1e-9:
        return ()
    table, used, expects = kind.tables[own], of.route, kind.outlook.expected
    rows = []
    free = free_route(table, of.age, kind.outlook)
    links = link_routes(table, of.available, of.age)
    if used.origin == "linked":
        text = f"{free.origin}: no skill beside the link: {expects(free):.3f} instead of {expects(used):.3f}"
        rows.append(Refused(free.origin, "no skill", None, None, text))
    elif links:
        link = max(links, key=expects)
        text = f"{_named(link)}: no skill: {expects(link):.3f} instead of {expects(used):.3f}"
        rows.append(Refused(_named(link), "no skill", None, None, text))
    elif not table.linked:
        text = "any link: no skill: none was measured to be better than what is free"
        rows.append(Refused("any link", "no skill", None, None, text))
    rows += _missing(problem, at, own, of)
    if used.measured.threshold is None:
        text = f"{_named(used)} is used, but not trusted: too little evidence of agreement to certify a threshold"
        rows.append(Refused("trusted", "not trusted", None, None, text))
    return tuple(rows)


def _missing(problem: Problem, at: int, own: int, of: Usual) -> list[Refused]:
    """The best link, where its sources would have to run on every input."""
    kind = problem.kinds[at]
    links = link_routes(kind.tables[own], frozenset().union(*kind.tables[own].linked), of.age)
    best = max(links, key=kind.outlook.expected, default=None)
    if best is None or of.available.issuperset(best.sources):
        return []
    expects = kind.outlook.expected(best), kind.outlook.expected(of.route)
    if expects[0] <= expects[1]:
        return []
    missing = ", ".join(sorted(set(best.sources) - of.available))
    text = (
        f"{_named(best)}: {expects[0]:.3f} instead of {expects[1]:.3f}, but {missing} would have to run on every input"
    )
    return [Refused(_named(best), "its source does not run", None, None, text)]


def _named(choice: Route) -> str:
    if choice.origin != "linked":
        return choice.origin
    return f"link from {'+'.join(choice.sources) or 'its own last output'}"


def _budgeted(problem: Problem, found: Found, other: Problem, what: str, share: float) -> Budgeted:
    cores = None if other.compute_cores == float("inf") else other.compute_cores
    size = format_bytes(other.budget_bytes) if what == "memory" else f"{other.compute_cores:.3g} cores"
    name = f"{share - 1:+.0%} {what} ({size})"
    if other.budget_bytes < int(problem.memory.min()):
        return Budgeted(other.budget_bytes, cores, None, None, f"{name}: holds no model")
    changed = find_best(other)
    assert changed is not None, "with nothing loaded everything fits"
    gains = changed.value - found.value
    moves = _moves(problem, found, changed) or "; the same models are loaded"
    text = f"{name}: {_signed(gains)}, agreement {changed.value:.3f}{moves}"
    return Budgeted(other.budget_bytes, cores, gains, changed.value, text)
