"""Where what is lost comes from: by camera, model, way and age, with what was expected beside what was obtained."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from agreed import Measured
from cameras import STEP_S, Site
from infilink.outputs import Array

_AGES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
_EXPECTED = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.01)
_ORIGINS = ("linked", "held", "constant")


def table(site: Site, measured: Measured, *, ticks: int) -> Iterator[str]:
    """Of answers that were not executed: their share of all, what was obtained and expected, and of the loss."""
    agreement = np.stack([each.agreement for each in measured.outcomes])
    ran = np.stack([each.ran for each in measured.outcomes])
    expected = np.stack([agreement[t] if o.expected is None else o.expected for t, o in enumerate(measured.outcomes)])
    origin = np.stack([np.full(o.ran.shape, "") if o.origin is None else o.origin for o in measured.outcomes])
    ages_s = np.stack([_ages(site, ticks, turn, each.ran) for turn, each in enumerate(measured.outcomes)])
    lost = float((1.0 - agreement).sum())

    def rows(what: str, parts: Sequence[tuple[str, Array]]) -> Iterator[str]:
        yield f"\n| {what} | ran | share not run | obtained | expected | share of the loss |"
        yield "|---|" + "---|" * 5
        for name, part in parts:
            guessed = part & ~ran
            if part.any():
                cells = (
                    f"{ran[part].mean():.3f}",
                    f"{guessed.mean():.3f}",
                    f"{agreement[guessed].mean():.3f}" if guessed.any() else "-",
                    f"{expected[guessed].mean():.3f}" if guessed.any() else "-",
                    f"{(1.0 - agreement[part]).sum() / lost:.3f}",
                )
                yield f"| {name} | {' | '.join(cells)} |"

    whole = np.ones_like(ran)
    axes = [np.arange(n).reshape([-1 if i == axis else 1 for i in range(4)]) for axis, n in enumerate(ran.shape)]
    yield from rows("camera", [(each.name, whole & (axes[1] == at)) for at, each in enumerate(site.cameras)])
    yield from rows("model", [(name, whole & (axes[2] == at)) for at, name in enumerate(site.names)])
    yield from rows("way", [(name, origin == name) for name in _ORIGINS])
    ages = [(f"{low:g}-{high:g} s", (ages_s >= low) & (ages_s < high)) for low, high in pairwise(_AGES_S)]
    yield from rows("age", [*ages, ("never ran", ~ran & np.isinf(ages_s))])
    yield from rows(
        "expected",
        [(f"{a:g}-{min(b, 1):g}", ~ran & (expected >= a) & (expected < b)) for a, b in pairwise(_EXPECTED)],
    )
    pairs = []
    for at, camera in enumerate(site.cameras):
        for place, name in enumerate(site.names):
            part = whole & (axes[1] == at) & (axes[2] == place)
            pairs.append(((1.0 - agreement[part]).sum() / lost, f"{camera.name}, {name}", part))
    yield from rows("pair", [(name, part) for _, name, part in sorted(pairs, key=lambda each: -each[0])[:12]])


def _ages(site: Site, ticks: int, turn: int, ran: Array) -> Array:
    """Seconds since each pair ran last; infinite: never since its stream began."""
    served = site.turn(turn, ticks)
    at = np.maximum.accumulate(np.where(ran, np.arange(ticks), -1), axis=2)
    first = np.maximum.accumulate(np.where(served.begins, np.arange(ticks), 0), axis=1)[:, None, :]
    return np.where(at >= first, (np.arange(ticks) - at) * STEP_S, np.inf)
