"""Memory for two of the models, compute for all: ours beside hold + round-robin with the residents that suit best."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from agreed import Measured, difference
from baselines import held
from cameras import STEP_S, TURNS, Site, Turn
from infilink.outputs import Array
from ours import linkless, ours
from outcome import Outcome

SLOTS = 2
LOADS_S = (0.2, 1.0, 3.0)
_IN_TURN = "hold + round-robin, the best residents, a place in turn"
_ANY = "the same, or all places taken for good"


def table(site: Site, *, ticks: int, turns: int = TURNS) -> Iterator[str]:
    """Every time of a load; a load serves all cameras."""
    loads = " | ".join(f"{load_s:g} s" for load_s in LOADS_S)
    yield f"\n| memory for {SLOTS} of {len(site.names)} models, a load takes | {loads} |"
    yield "|---|" + "---|" * len(LOADS_S)
    names = ("ours", "ours without links", _IN_TURN, "ours less that", _ANY, "ours less that best")
    rows: dict[str, list[str]] = {name: [] for name in names}
    for load_s in LOADS_S:
        with_links = _ours(site, load_s, ticks=ticks, turns=turns)
        alone = _ours(linkless(site), load_s, ticks=ticks, turns=turns)
        for name, measured in (("ours", with_links), ("ours without links", alone)):
            rows[name].append(f"{measured.mean:.3f} ({measured.spent(site):.2f})")
        for name, less, most in ((_IN_TURN, names[3], SLOTS - 1), (_ANY, names[5], SLOTS)):
            free, resident = best_held(site, load_s, most, ticks=ticks, turns=turns)
            ahead, low, high = difference(site, with_links, free, ticks=ticks)
            rows[name].append(f"{free.mean:.3f} ({free.spent(site):.2f}; {'+'.join(resident) or 'none'})")
            rows[less].append(f"{ahead:+.3f} [{low:+.3f}, {high:+.3f}]")
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"
    yield "\nIn brackets: the share of the full run's seconds. Compute is free; each model takes one of the places."


def _ours(site: Site, load_s: float, *, ticks: int, turns: int) -> Measured:
    """With places for some models, each taking one; any compute."""
    costs = {name: replace(cost, memory_bytes=1, load_s=load_s) for name, cost in site.costs.items()}
    placed = replace(site, costs=costs)
    return Measured(tuple(ours(placed, site.turn(turn, ticks), math.inf, budget_bytes=SLOTS) for turn in range(turns)))


def best_held(
    site: Site, load_s: float, most: int, *, ticks: int, turns: int = TURNS
) -> tuple[Measured, tuple[str, ...]]:
    """Hold + round-robin with the residents that turn out best, up to so many; the other places are taken in turn."""
    sets = [kept for count in range(most + 1) for kept in combinations(site.names, count)]
    served = [site.turn(turn, ticks) for turn in range(turns)]
    found = [(Measured(tuple(_held(site, turn, kept, load_s) for turn in served)), kept) for kept in sets]
    return max(found, key=lambda each: each[0].mean)


def _held(site: Site, turn: Turn, resident: Sequence[str], load_s: float) -> Outcome:
    """Residents run on every input; the others are loaded in turn, each runs once on all cameras."""
    ticks = turn.rows.shape[1]
    ran = np.zeros((len(site.cameras), len(site.names), ticks), bool)
    for place, name in enumerate(site.names):
        ran[:, place] = name in resident
    others = [place for place, name in enumerate(site.names) if name not in resident]
    for at, tick in enumerate(_turn_ticks(SLOTS - len(resident), round(load_s / STEP_S), ticks)):
        ran[:, others[at % len(others)], tick] = True
    return held(site, turn, ran)


def _turn_ticks(slots: int, load: int, ticks: int) -> Array:
    """When a model that was loaded runs, over all slots that are taken in turn."""
    each = [np.arange(slot * max(1, (load + 1) // slots), ticks, load + 1) for slot in range(slots)]
    return np.sort(np.concatenate([np.zeros(0, int), *each]))
