"""Chooses what runs: the exact program where its solver is installed, else greedy choice."""

from dataclasses import replace

from .greedy import greedy
from .milp import milp_available, solve_milp
from .selection import Selection, SelectionProblem

_PROVEN = 1e-6


def select(problem: SelectionProblem, *, timeout_s: float = 10.0) -> Selection:
    """What runs on every input, and what links answer for, under the problem's budgets.

    A mixed-integer program is solved where SciPy is installed. Greedy choice stands in where it is not, or where it
    found better in the time there was.

    Args:
        problem: what is chosen from.
        timeout_s: the most that the mixed-integer program may take.
    """
    if not milp_available():
        return greedy(problem)
    solved = solve_milp(problem, timeout_s=timeout_s)
    if solved.gap <= _PROVEN:
        return solved
    other = greedy(problem)
    bound = min(solved.value + solved.gap, other.value + other.gap)
    better = max(solved, other, key=lambda each: each.value)
    return replace(better, gap=max(bound - better.value, 0.0))
