"""Chooses what runs, by the method that suits the number of models."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, get_args

from ...errors import InvalidInput
from .all_sets import MOST_MODELS
from .branching import branch_and_bound
from .enumeration import enumerate_sets
from .greedy import greedy
from .milp import milp_available, solve_milp
from .pairs import Pairs
from .paper_rule import paper_rule
from .selection import Selection, SelectionProblem

_PROVEN = 1e-6

Method = Literal["auto", "enumeration", "branch and bound", "milp", "greedy", "paper, stop", "paper, skip"]


def select(problem: SelectionProblem, *, method: Method = "auto", timeout_s: float = 10.0) -> Selection:
    """What runs on every input, and what links answer for, under the problem's budgets.

    Args:
        problem: what is chosen from.
        method: "auto": every set is looked at up to 18 models; above, it is branch and bound where links have one
            source each and cost nothing, and one budget binds. Else a mixed-integer program is solved where SciPy is
            installed, and greedy choice stands in where it is not, or where it found better in the time there was.
        timeout_s: the most that branch and bound or a mixed-integer program may take.

    Raises:
        InvalidInput: no such method, a problem that it does not take, or SciPy is missing for "milp".
    """
    methods: Mapping[str, Callable[[], Selection]] = {
        "auto": lambda: _best(problem, timeout_s),
        "enumeration": lambda: enumerate_sets(problem),
        "branch and bound": lambda: branch_and_bound(problem, timeout_s=timeout_s),
        "milp": lambda: solve_milp(problem, timeout_s=timeout_s),
        "greedy": lambda: greedy(problem),
        "paper, stop": lambda: paper_rule(problem, skip=False),
        "paper, skip": lambda: paper_rule(problem, skip=True),
    }
    if method not in methods:
        raise InvalidInput(f"method {method!r}: write one of {', '.join(map(repr, get_args(Method)))}")
    return methods[method]()


def _best(problem: SelectionProblem, timeout_s: float) -> Selection:
    if len(problem.names) <= MOST_MODELS:
        return enumerate_sets(problem)
    if Pairs.suit(problem):
        return branch_and_bound(problem, timeout_s=timeout_s)
    if not milp_available():
        return greedy(problem)
    solved = solve_milp(problem, timeout_s=timeout_s)
    if solved.gap <= _PROVEN:
        return solved
    other = greedy(problem)
    bound = min(solved.value + solved.gap, other.value + other.gap)
    better = max(solved, other, key=lambda each: each.value)
    return replace(better, gap=max(bound - better.value, 0.0))
