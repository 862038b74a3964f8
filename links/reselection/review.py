"""Whether to switch to another plan: only for a gain that pays for the loads (hysteresis)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...models.cost import ModelCost
from ..planning.plan import Plan
from ..planning.planner import best_plan
from ..planning.problem import Problem, age_weights
from ..table import BUCKETS, NEVER, Table, at_hand

LEAST_GAIN = 0.01
"""A switch for less mean agreement than this is not worth the risk that it was a fluke."""


@dataclass(frozen=True)
class Review:
    """What came of a look at the plan.

    Attributes:
        plan: the best one for what is known now.
        gain: by how much it is better in mean agreement than the one in service, by the same tables.
        price: what loading what it loads anew costs in mean agreement over a period.
        switch: whether it pays.
        why: the same in words.
        tables: what it was judged by: what each model's answers are to be chosen by from now on, switch or not.
    """

    plan: Plan
    gain: float
    price: float
    switch: bool
    why: str
    tables: Mapping[str, Table]


def review(
    problem: Problem,
    costs: Mapping[str, ModelCost],
    current: Plan,
    *,
    period_s: float,
    least_gain: float = LEAST_GAIN,
) -> Review:
    """Compares the plan in service with the best one.

    Args:
        problem: with the tables of now.
        costs: what the models cost.
        current: the plan in service.
        period_s: how long the next one will be kept at least: what loads cost is spread over it.
        least_gain: in mean agreement.
    """
    best = best_plan(problem, costs)
    gain = plan_value(problem, best) - plan_value(problem, current)
    entering = [name for name in best.resident if name not in current.resident]
    # While a model loads nothing that it is loaded for is there, and loading takes a processor from the others.
    price = sum(costs[name].load_s for name in entering) / period_s
    same = best.resident == current.resident and dict(best.refresh_s) == dict(current.refresh_s)
    needed = max(least_gain, price)
    tables = dict(zip(problem.names, problem.tables, strict=True))
    if same:
        return Review(best, 0.0, price, False, "the plan in service is still the best", tables)
    names = ", ".join(best.resident) or "none"
    text = f"resident {names} would gain {gain:.3f} in mean agreement; a switch has to gain more than {needed:.3f}"
    return Review(best, gain, price, gain > needed, text, tables)


def plan_value(problem: Problem, plan: Plan) -> float:
    """The weighted mean agreement that a plan promises by a problem's tables, `audit_gain` included."""
    available = at_hand(plan.resident)
    turns_s = dict(zip(problem.options.refresh_choices_s, problem.turns_s, strict=True))
    value = 0.0
    for name, table, weight, fresh in zip(problem.names, problem.tables, problem.weights, problem.fresh, strict=True):
        if name in plan.resident:
            value += weight * float(fresh)
            continue
        refresh_s, never = plan.refresh_s.get(name), _promise(table, available, np.eye(BUCKETS)[NEVER])
        if refresh_s is None:
            value += weight * never
        else:
            turn_s = np.asarray(turns_s.get(refresh_s, refresh_s), np.float64)
            # What turns are worth is never below nothing, as in the search.
            turned = max(_promise(table, available, age_weights(float(turn_s))), never)
            value += weight * (turned + float(problem.seen_gains(turn_s)))
    return value


def _promise(table: Table, available: frozenset[str], ages: "np.typing.NDArray[np.float64]") -> float:
    return float(sum(ages[age] * table.choose(available, int(age)).measured.validation for age in np.flatnonzero(ages)))
