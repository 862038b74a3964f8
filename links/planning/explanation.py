"""Why a plan is as it is: what every other choice would have brought and cost, and what other budgets would."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...models.cost import ModelCost
from ...outputs import Array
from ...units import format_bytes
from ..table import BUCKETS, MARGIN, NEVER, Route, Table, at_hand
from .explain import typical_age
from .plan import Plan
from .planner import open_search, plan_of
from .problem import Problem
from .search import Found, Runs

Reason = Literal["does not fit", "costs more than it brings", "no skill", "its source does not run", "not trusted"]
_BUDGETS = (0.9, 1.1)
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Refused:
    """One thing that was not chosen for a model, and why.

    Attributes:
        choice: "always", "in turn", "never"; or the link, held output or constant that does not answer.
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
        budget_bytes: the budget.
        gains: the change in the objective; None where no model fits.
        expected_agreement: the plan's; None likewise.
        text: the same in words, with which models would run otherwise.
    """

    budget_bytes: int
    gains: float | None
    expected_agreement: float | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """A plan and the choices beside it.

    Attributes:
        plan: the plan explained.
        value: what it was chosen by: the weighted mean agreement on the block that choices are made on, and what it is
            worth that a model runs at all.
        runs: how each model runs.
        refused: by model what was not chosen for it.
        budgets: 10 % less and 10 % more memory.
    """

    plan: Plan
    value: float
    runs: Mapping[str, Runs]
    refused: Mapping[str, tuple[Refused, ...]]
    budgets: tuple[Budgeted, ...]


def explain_plan(problem: Problem, costs: Mapping[str, ModelCost]) -> Explanation:
    """The best plan for a problem of `plan_problem`, and why it is that.

    Every model is made to run in each other way with everything else chosen anew, so what a choice loses is exact
    where the plan is (up to 18 models).
    """
    search = open_search(problem)
    found = search.best()
    assert found is not None, "with no model resident and none in turn everything fits"
    values = model_values(problem, found)
    runs = {name: _runs(name, found) for name in problem.names}
    refused = {}
    for own, name in enumerate(problem.names):
        rows = []
        for other in ("always", "in turn", "never"):
            if other != runs[name] and name in costs:
                changed = search.best(model=name, runs=other)
                rows.append(_refused(problem, own, other, found, changed, values))
        refused[name] = (*rows, *(() if runs[name] == "always" else _answers(problem.tables[own], name, found)))
    budgets = tuple(_budgeted(problem, costs, found, share) for share in _BUDGETS)
    return Explanation(plan_of(problem, found, costs), found.value, runs, refused, budgets)


def model_values(problem: Problem, found: Found) -> Array:
    """What a choice is worth for each model, before weights, `audit_gain` included: float (models,)."""
    available = at_hand(found.resident)
    values = problem.fresh.copy()
    for own, (name, table) in enumerate(zip(problem.names, problem.tables, strict=True)):
        if name in found.resident:
            continue
        promised = np.asarray([table.choose(available, age).measured.validation for age in range(BUCKETS)])
        values[own] = promised[NEVER]
        if name in found.refresh_s:
            choice = problem.options.refresh_choices_s.index(found.refresh_s[name])
            turned = max(float(problem.ages[choice] @ promised), float(promised[NEVER]))
            values[own] = turned + float(problem.turn_gains[choice])
    return values


def _runs(name: str, found: Found) -> Runs:
    return "always" if name in found.resident else "in turn" if name in found.refresh_s else "never"


def _refused(problem: Problem, own: int, runs: Runs, found: Found, changed: Found | None, values: Array) -> Refused:
    name = problem.names[own]
    if changed is None:
        size = problem.memory[own]
        why = (
            f"needs {format_bytes(size)} of a budget of {format_bytes(problem.budget_bytes)}"
            if size > problem.budget_bytes
            else "its turns take more time than there is for loading"
        )
        return Refused(runs, "does not fit", None, None, f"{runs}: does not fit: {why}")
    brings = problem.weights[own] * float(model_values(problem, changed)[own] - values[own])
    loses = max(found.value - changed.value, 0.0)
    moves = _moves(problem, found, changed, besides=name)
    how = "costs more than it brings" if brings >= 0 else "gives up more than it makes room for"
    if loses <= _TOLERANCE:
        how = "as good, but no less to compute"
    own_text, rest_text = _signed(brings), _signed(-loses - brings)
    text = f"{runs}: {how}: {own_text} for its own answers, {rest_text} for the rest, {_signed(-loses)} in all{moves}"
    return Refused(runs, "costs more than it brings", brings, loses, text)


def _signed(change: float) -> str:
    """A change to the fourth digit, never "-0.0000"."""
    return f"{round(change, 4) + 0.0:+.4f}"


def _moves(problem: Problem, before: Found, after: Found, *, besides: str = "") -> str:
    """Which models would run otherwise, in words."""
    moved: dict[str, list[str]] = {}
    for name in problem.names:
        then = _runs(name, after)
        if name != besides and then != _runs(name, before):
            moved.setdefault(then, []).append(name)
    return "".join(f"; {', '.join(names)} would run {runs}" for runs, names in moved.items())


def _answers(table: Table, name: str, found: Found) -> tuple[Refused, ...]:
    """Why a model that does not always run is not answered for by another link, and whether its answers are trusted."""
    age = typical_age(name, found)
    available = at_hand(found.resident)
    used = table.choose(available, age)
    rows = []
    free, link = table.free(age), table.best_link(available, age)
    if used.origin == "linked":
        text = f"{free.origin}: no skill beside the link: {_figure(free)} instead of {_figure(used)}"
        rows.append(Refused(free.origin, "no skill", None, None, text))
    elif link is not None:
        text = (
            f"{_named(link)}: no skill: {_figure(link)} instead of {_figure(used)}; a link must be better by {MARGIN:g}"
        )
        rows.append(Refused(_named(link), "no skill", None, None, text))
    elif not table.linked:
        text = "any link: no skill: none was measured to be better than what is free"
        rows.append(Refused("any link", "no skill", None, None, text))
    best = table.best_link(frozenset().union(*table.linked), age) if table.linked else None
    if best is not None and not available.issuperset(best.sources) and best.merit > used.merit:
        missing = ", ".join(sorted(set(best.sources) - available))
        text = f"{_named(best)}: {_figure(best)} instead of {_figure(used)}, but {missing} would have to run always"
        rows.append(Refused(_named(best), "its source does not run", None, None, text))
    if used.measured.threshold is None:
        text = f"{_named(used)} is used, but not trusted: too little evidence of agreement to certify a threshold"
        rows.append(Refused("trusted", "not trusted", None, None, text))
    return tuple(rows)


def _named(choice: Route) -> str:
    if choice.origin != "linked":
        return choice.origin
    return f"link from {'+'.join(choice.sources) or 'its own last output'}"


def _figure(choice: Route) -> str:
    return f"{choice.measured.validation:.3f}"


def _budgeted(problem: Problem, costs: Mapping[str, ModelCost], found: Found, share: float) -> Budgeted:
    budget_bytes = round(problem.budget_bytes * share)
    what = f"{share - 1:+.0%} memory ({format_bytes(budget_bytes)})"
    if budget_bytes < min(problem.memory):
        return Budgeted(budget_bytes, None, None, f"{what}: holds no model")
    other = replace(problem, budget_bytes=budget_bytes)
    changed = open_search(other).best()
    assert changed is not None, "with no model resident and none in turn everything fits"
    # What fits less memory fits this too: a smaller budget can only seem better where plans are not exact.
    gains = changed.value - found.value
    moves = _moves(problem, found, changed) or "; the same models run the same way"
    agreement = plan_of(other, changed, costs).expected_agreement
    return Budgeted(budget_bytes, gains, agreement, f"{what}: {_signed(gains)}, agreement {agreement:.3f}{moves}")
