"""Chooses what runs where, exactly, and says what it takes and why the rest does not run."""

import time

from ...errors import InvalidInput
from ..planning.milp import milp_available
from .assignment import Assignment
from .columns import Allowed
from .greedy import choose_runs
from .neighbours import better_runs
from .problem import PlacementProblem
from .program import Program
from .reasons import refusals
from .result import Placement, describe

_PROVEN = 2e-6
_MOST_LINKS = 12
# Of the time: until when to look for the best choice and its proof, then for a better one.
_EXACT, _BETTER = 0.6, 0.9
# Where links answer is said even if the time is up.
_ANSWER_S = 1.0


def place(problem: PlacementProblem, *, timeout_s: float = 60.0) -> Placement:
    """The placement with the highest weighted mean agreement that keeps every budget.

    A mixed-integer program is solved by HiGHS. Of each target at first only its best links have columns of their own;
    where the rest turn out to matter, more of them get some. Twenty models on three classes of devices take seconds; of
    many more the placement is a good one, with its gap. Of equal choices (to one in a million) that is taken which
    takes less memory, time and traffic. A link whose sources all run on the device answers there if it fits.

    Args:
        problem: what is chosen from.
        timeout_s: about when to stop; `gap` of the best so far says then how much better another could be.

    Raises:
        InvalidInput: SciPy is not installed, or no model fits anywhere, naming the budget.
    """
    if not milp_available():
        raise InvalidInput('placing models needs SciPy: pip install "infilink[cloud]"')
    _check_possible(problem)
    return describe(problem, *solve(problem, timeout_s=timeout_s))


def solve(
    problem: PlacementProblem, *, timeout_s: float = 60.0, most_links: int = _MOST_LINKS
) -> tuple[Assignment, float]:
    """The best choice, and by how much another could exceed it: 0 where that is less than two in a million.

    What runs is chosen first, as if links could answer anywhere for what they cost where it is least: then where they
    answer. Only if that loses anything is all chosen at once. Where the time is too short for that, what runs is chosen
    step by step and bettered part by part, and only the bound is the program's.

    Args:
        problem: what is chosen from.
        timeout_s: about when to stop.
        most_links: how many links of each target have columns of their own at first, at least 1.
    """
    start_s = time.monotonic()
    exact_s, better_s, end_s = (start_s + share * timeout_s for share in (_EXACT, _BETTER, 1.0))
    known, most = Assignment.nothing(problem), most_links
    started, bound = choose_runs(problem), float(problem.weights.sum())

    def gap() -> float:
        return bound - known.value(problem)

    while True:
        rough = Program.of(problem, most, placed=False)
        runs, at_most = rough.solve(exact_s)
        bound = min(bound, at_most)
        placed = Program.of(problem, most, placed=True)
        if runs is not None:
            started = max(started, runs, key=lambda each: each.value_anywhere(problem))
            known = _better(problem, known, placed.answer(runs, exact_s))
            few_links = not rough.whole_truth and bound - runs.value_anywhere(problem) > _PROVEN
            if gap() > _PROVEN and not few_links and time.monotonic() < exact_s:
                found, at_most = placed.solve(exact_s)
                bound, known = min(bound, at_most), _better(problem, known, found)
        if gap() <= _PROVEN:
            return known, 0.0
        if rough.whole_truth or time.monotonic() >= exact_s:
            break
        most *= 3
    started = better_runs(problem, rough, started, better_s)
    known = _better(problem, known, placed.answer(started, max(end_s, time.monotonic() + _ANSWER_S)))
    return known, gap() if gap() > _PROVEN else 0.0


def _better(problem: PlacementProblem, known: Assignment, found: Assignment | None) -> Assignment:
    return known if found is None or found.value(problem) <= known.value(problem) else found


def _check_possible(problem: PlacementProblem) -> None:
    allowed = Allowed.of(problem)
    if allowed.on_device.any() or allowed.in_cloud.any():
        return
    nothing = Assignment.nothing(problem)
    easiest = int(problem.memory.argmin())
    told = [
        f"{refusal.place}: {refusal.text}"
        for device in range(len(problem.devices))
        for refusal in refusals(problem, nothing, device, easiest)
    ]
    raise InvalidInput(
        f"no model fits anywhere, not even the smallest, {problem.names[easiest]}: {'; '.join(dict.fromkeys(told))}"
    )
