"""Which sets of sources a target is linked from: of few all are tried, of many those that can win; so many are kept."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from ...outputs import Array
from ..table import BUCKETS, STEM, Table

Sources = tuple[str, ...]

ALL_UP_TO = 4
"""Of so many sources all sets are tried."""
PAIRS, LEAST_PAIRS = 2, 45
"""Of more so many pairs for each of them, all of ten: those that tell most together."""
TOGETHER = 6
"""And those of up to so many sources of which each adds most to the ones before."""
KEPT = 64
"""So many sets of a target are kept: of four sources and the stem all that there are."""
# Draws of what ran, by which it is told what a set adds beside others.
_DRAWN = 256
_RIDGE = 1e-3


def all_sets(names: Sequence[str]) -> list[Sources]:
    """Every set of them, the smallest first."""
    return [chosen for size in range(len(names) + 1) for chosen in combinations(names, size)]


def candidates(names: Sequence[str], said: Callable[[Sources], Array], wanted: Array, *, stem: bool) -> list[Sources]:
    """The sets of sources that are tried, without the stem and with it.

    With every pair, what is learnt would grow with the third power of the number of models. What several tell together
    is foreseen by what each says alone.

    Args:
        names: the sources.
        said: what is predicted from a set where it was not learnt (n,).
        wanted: what is to be predicted there (n,).
        stem: whether there is a stem.
    """
    found: list[Sources] = []
    for looks in ((), (STEM,)) if stem else ((),):
        if len(names) <= ALL_UP_TO:
            found += [(*each, *looks) for each in all_sets(names)]
            continue
        alone = np.stack([said((name, *looks)) for name in names])
        several = [tuple(names[at] for at in sorted(each)) for each in _together(alone, wanted)]
        sets = [(), *((name,) for name in names), *several]
        found += [(*each, *looks) for each in sets]
    return found


def _together(alone: Array, wanted: Array) -> list[tuple[int, ...]]:
    """Which predictions (k, n) explain most if they are added up with the best weights: pairs, then larger sets."""
    products, told = (alone @ alone.T).astype(np.float64), (alone @ wanted).astype(np.float64)
    products += np.diag(_RIDGE * np.diag(products) + 1e-9)
    first, second = np.triu_indices(len(alone), 1)
    a, b, both = products[first, first], products[second, second], products[first, second]
    x, y = told[first], told[second]
    explained = (x * x * b - 2.0 * x * y * both + y * y * a) / np.maximum(a * b - both * both, 1e-12)
    order = np.argsort(-explained, kind="stable")[: max(LEAST_PAIRS, PAIRS * len(alone))]
    found = [(int(first[at]), int(second[at])) for at in order]
    larger: list[tuple[int, ...]] = []
    taken: tuple[int, ...] = found[0]
    while len(taken) < TOGETHER and len(taken) < len(alone):
        others = [at for at in range(len(alone)) if at not in taken]
        best = max(others, key=lambda at: _explained(products, told, (*taken, at)))
        taken = (*taken, best)
        larger.append(taken)
    return [*found, *larger]


def _explained(products: Array, told: Array, chosen: tuple[int, ...]) -> float:
    at = list(chosen)
    return float(told[at] @ np.linalg.solve(products[np.ix_(at, at)], told[at]))


def winning(table: Table, *, most: int = KEPT) -> Table:
    """The table with the links that can win, at most so many.

    Where there are more, they are taken one after the other: each time the one that adds most to what is reached with
    those that are taken already, in the mean over all ages and over draws of what ran.
    """
    table = table.pruned()
    if len(table.linked) <= most:
        return table
    sets = list(table.linked)
    names = sorted({name for each in sets for name in each} - {STEM})
    rng = np.random.default_rng(0)
    # From nearly nothing to nearly everything, the former more often.
    ran = rng.random((len(names), _DRAWN)) < rng.random(_DRAWN) ** 2
    free = np.asarray([table.free(age).measured.validation for age in range(BUCKETS)])
    gains = np.asarray([[cell.validation for cell in table.linked[each]] for each in sets]) - free
    there = np.asarray([ran[[names.index(name) for name in each if name != STEM]].all(axis=0) for each in sets])
    reached = np.zeros((BUCKETS, _DRAWN))
    taken: list[int] = []
    left = np.maximum(gains, 0.0)[:, :, None] * there[:, None]
    while len(taken) < most:
        added = np.maximum(left - reached, 0.0).sum(axis=(1, 2))
        at = int(added.argmax())
        if added[at] <= 0.0:
            break
        taken.append(at)
        reached = np.maximum(reached, left[at])
    return Table(table.constant, table.held, {sets[at]: table.linked[sets[at]] for at in sorted(taken)})
