"""A site of real cameras with all models loaded: mean agreement and events at shares of the full compute."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from baselines import FREE
from cameras import TURNS, Site, Turn
from hindsight import hindsight
from infilink.outputs import Array
from ours import OURS, VARIANTS, mlink_rule
from outcome import Found, Outcome, by_source, events, interval, together

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3)
EVENTS_SHARE = 0.1
Policy = Callable[[Site, Turn, float], Outcome]
POLICIES: dict[str, Policy] = {
    **VARIANTS,
    **FREE,
    "MLink's own rule": mlink_rule,
    "best runs in hindsight, held": hindsight,
}


@dataclass(frozen=True)
class Measured:
    """One policy at one share, over all turns."""

    outcomes: tuple[Outcome, ...]

    @property
    def per_camera(self) -> Array:
        """Mean agreement: float (cameras,)."""
        return np.asarray(np.mean([each.agreement.mean(axis=(1, 2)) for each in self.outcomes], axis=0))

    @property
    def mean(self) -> float:
        """Over the cameras."""
        return float(self.per_camera.mean())

    def spent(self, site: Site) -> float:
        """The share of the full run's seconds that the models took."""
        ticks = self.outcomes[0].agreement.shape[2]
        return float(np.mean([each.spent_s for each in self.outcomes])) / (site.full_s * ticks)

    @property
    def executions(self) -> float:
        """The share of all pairs of an input and a model that ran."""
        return float(np.mean([each.ran.mean() for each in self.outcomes]))


def measure(site: Site, policy: Policy, share: float, *, ticks: int, turns: int = TURNS) -> Measured:
    """A policy at a share of the compute."""
    return Measured(tuple(policy(site, site.turn(turn, ticks), share) for turn in range(turns)))


def difference(site: Site, ours: Measured, other: Measured, *, ticks: int) -> tuple[float, float, float]:
    """By how much ours is ahead, and where that lies with 95 % confidence."""
    turns = [site.turn(turn, ticks) for turn in range(len(ours.outcomes))]
    values = [
        a.agreement.mean(axis=1) - b.agreement.mean(axis=1) for a, b in zip(ours.outcomes, other.outcomes, strict=True)
    ]
    low, high = interval(by_source(site.cameras, turns, values))
    return ours.mean - other.mean, low, high


def found(site: Site, measured: Measured, *, ticks: int) -> Found:
    """The events of all turns."""
    return together(
        [
            each
            for turn, outcome in enumerate(measured.outcomes)
            for each in events(site, site.turn(turn, ticks), outcome)
        ]
    )


def agreement_table(
    site: Site, shares: Sequence[float], policies: Sequence[str], *, ticks: int, turns: int = TURNS
) -> Iterator[str]:
    """Every policy at every share; ours beside the best that is free, with the interval of the difference."""
    yield f"\n| policy | {' | '.join(f'{share:.0%}' for share in shares)} |"
    yield "|---|" + "---|" * len(shares)
    kept: dict[tuple[str, float], Measured] = {}
    for name in policies:
        cells = []
        for share in shares:
            measured = kept[name, share] = measure(site, POLICIES[name], share, ticks=ticks, turns=turns)
            cells.append(f"{measured.mean:.3f} ({measured.spent(site):.3f}, {measured.executions:.3f})")
        yield f"| {name} | {' | '.join(cells)} |"
    yield "\nIn brackets: the share of the full run's seconds that models took, and of its executions."
    free = [name for name in policies if name in FREE]
    if OURS not in policies or not free:
        return
    yield f"\n| {OURS} less the best that is free | {' | '.join(f'{share:.0%}' for share in shares)} |"
    yield "|---|" + "---|" * len(shares)
    cells = []
    for share in shares:
        best = max(free, key=lambda name: kept[name, share].mean)
        ahead, low, high = difference(site, kept[OURS, share], kept[best, share], ticks=ticks)
        cells.append(f"{ahead:+.3f} [{low:+.3f}, {high:+.3f}] ({best})")
    yield f"| | {' | '.join(cells)} |"
    yield f"\n| camera, {OURS} | {' | '.join(f'{share:.0%}' for share in shares)} |"
    yield "|---|" + "---|" * len(shares)
    for at, camera in enumerate(site.cameras):
        yield f"| {camera.name} | {' | '.join(f'{kept[OURS, share].per_camera[at]:.3f}' for share in shares)} |"


def events_table(site: Site, share: float, policies: Sequence[str], *, ticks: int, turns: int = TURNS) -> Iterator[str]:
    """Events found within 2 s of their beginning, all classes of all models of all cameras."""
    yield f"\n| policy, {share:.0%} of the compute | events | within 2 s | median delay s | false min/day | agreement |"
    yield "|---|" + "---|" * 5
    for name in policies:
        measured = measure(site, POLICIES[name], share, ticks=ticks, turns=turns)
        seen = found(site, measured, ticks=ticks)
        delay = float(np.quantile(seen.delays_s, 0.5, method="inverted_cdf")) if seen.delays_s else float("nan")
        yield (
            f"| {name} | {seen.events} | {seen.share:.3f} | {delay:.2f} | {seen.false_minutes:.0f} "
            f"| {measured.mean:.3f} |"
        )
