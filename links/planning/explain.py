"""Why a plan is as it is, in words and measured figures."""

from collections.abc import Mapping

import numpy as np

from ...models.cost import ModelCost
from ..table import BUCKETS, NEVER, Route, Table, at_hand, bucket
from .plan import AnswerSource
from .problem import age_weights
from .search import Found

_MIB = 2**20


def serve(name: str, table: Table, found: Found) -> AnswerSource:
    """How one model is answered for, and its agreement averaged over the ages its last output will have."""
    if name in found.resident:
        return AnswerSource("executed", (), 1.0, "resident: runs on every input")
    available = at_hand(found.resident)
    cells = np.eye(BUCKETS)[NEVER] if name not in found.refresh_s else age_weights(found.refresh_s[name])
    choices = {int(age): table.choose(available, int(age)) for age in np.flatnonzero(cells)}
    shares: dict[tuple[str, tuple[str, ...]], float] = {}
    for age, choice in choices.items():
        shares[choice.origin, choice.sources] = shares.get((choice.origin, choice.sources), 0.0) + float(cells[age])
    most = max(shares, key=lambda key: shares[key])
    usual = next(choice for choice in choices.values() if (choice.origin, choice.sources) == most)
    expected = sum(float(cells[age]) * choice.measured.report for age, choice in choices.items())
    return AnswerSource(usual.origin, usual.sources, expected, _why(name, table, found, usual, expected))


def typical_age(name: str, found: Found) -> int:
    """The age bucket that figures are shown for: of half a rotating model's time between turns, else `NEVER`."""
    return bucket(found.refresh_s[name] / 2) if name in found.refresh_s else NEVER


def _why(name: str, table: Table, found: Found, usual: Route, expected: float) -> str:
    age = typical_age(name, found)
    means = {
        "linked": f"linked from {'+'.join(usual.sources) or 'its own last output'}",
        "held": "its last output is held",
        "constant": "a constant",
    }[usual.origin]
    held = f"held: {table.held[age].report:.2f}, " if age != NEVER else ""
    refreshed = f", itself run every {found.refresh_s[name]:g} s" if name in found.refresh_s else ", never run"
    text = f"{means}{refreshed}: {expected:.2f} ({held}constant: {table.constant.report:.2f})"
    if usual.origin == "linked":
        return text
    link = table.best_link(at_hand(found.resident), age)
    if link is None:
        return f"{text}; no link from what runs is better"
    return (
        f"{text}; the link from {'+'.join(link.sources) or 'its last output'} is no better ({link.measured.report:.2f})"
    )


def refusal(name: str, costs: Mapping[str, ModelCost], found: Found, budget_bytes: int) -> str:
    """Why a model is not resident."""
    if name not in costs:
        return "nothing runs for it: it is virtual"
    memory = costs[name].memory_bytes
    left = budget_bytes - sum(costs[other].memory_bytes for other in found.resident)
    if memory > budget_bytes:
        return f"needs {memory / _MIB:.0f} MiB, the budget is {budget_bytes / _MIB:.0f} MiB"
    if name in found.refresh_s:
        return f"runs in turn, in the {left / _MIB:.0f} MiB that are left beside the resident models"
    if memory > left:
        return f"needs {memory / _MIB:.0f} MiB, {left / _MIB:.0f} MiB are left beside models that are worth more"
    return "running it in turn gains nothing, or loading takes too much of the time"
