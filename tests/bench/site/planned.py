"""What the plan promises for a site beside what its schedule obtains, by memory and compute; is it monotone?"""

from collections.abc import Iterator

from agreed import Measured
from cameras import TURNS, Site
from ours import linkless, ours, plan

MEMORY = (0.2, 0.3, 0.4, 0.6, 0.8, None)
COMPUTE = (0.05, 0.1, 0.2, 0.3, 1.0)


def table(site: Site, *, ticks: int, turns: int = TURNS) -> Iterator[str]:
    """Promises over a grid of budgets; obtained along its edges: all memory, or all compute."""
    yield f"\n| memory | {' | '.join(f'compute {share:.0%}' for share in COMPUTE)} | all compute, no links |"
    yield "|---|" + "---|" * (len(COMPUTE) + 1)
    promised: dict[tuple[float | None, float], float] = {}
    off = []
    for memory in MEMORY:
        cells = []
        for share in COMPUTE:
            promised[memory, share] = plan(site, share, _budget(site, memory)).expected_agreement
            cell = f"{promised[memory, share]:.3f}"
            if memory is None or share == 1.0:
                obtained = _obtained(site, memory, share, ticks=ticks, turns=turns)
                off.append(abs(promised[memory, share] - obtained))
                cell += f" / {obtained:.3f}"
            cells.append(cell)
        bare = linkless(site)
        free = plan(bare, 1.0, _budget(site, memory)).expected_agreement
        cells.append(f"{free:.3f} / {_obtained(bare, memory, 1.0, ticks=ticks, turns=turns):.3f}")
        yield f"| {'all' if memory is None else f'{memory:.0%}'} | {' | '.join(cells)} |"
    yield "\nPromised / obtained."
    yield f"Promise off by {sum(off) / len(off):.3f} in the mean, {max(off):.3f} at most."
    falls = [
        (one, two)
        for one in promised
        for two in promised
        if (one[0] or 1.0) <= (two[0] or 1.0) and one[1] <= two[1] and promised[one] > promised[two] + 1e-6
    ]
    yield f"More memory or compute promises less: {len(falls)} of the pairs of budgets {falls or ''}"


def _obtained(site: Site, memory: float | None, share: float, *, ticks: int, turns: int) -> float:
    budget = _budget(site, memory)
    return Measured(tuple(ours(site, site.turn(turn, ticks), share, budget_bytes=budget) for turn in range(turns))).mean


def _budget(site: Site, memory: float | None) -> int | None:
    return None if memory is None else round(memory * sum(cost.memory_bytes for cost in site.costs.values()))
