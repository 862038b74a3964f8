"""Whether trust is worth its name: certificates on simulated streams, before and after a drift.

A link that is right in 77.9 % of cases and over-confident: of its outputs 61 % have a raw score of 0.95 or more, and
8 % of those are wrong. Each run certifies a threshold from `n` calibration outputs, then meets 500 audited answers of
the same kind, then a drift: what was trusted now disagrees in some 30 % of cases, at the same scores. A guarantee is
broken where trusted answers disagree, in truth, more often than the 10 % that was promised.
"""

import time

import numpy as np
from infilink.links.answer import Answer
from infilink.links.trust.calibration import Calibration
from infilink.links.trust.certificate import ALPHA, certify_threshold
from infilink.links.trust.monitor import AdaptiveLevel, Monitor
from infilink.outputs import Array, OutputSpec
from rich.console import Console
from rich.table import Table

RUNS = 500
SEED = 7
# The model's log-odds of being right, and by how much its score overstates them; fitted to the figures above.
MEAN, DEVIATION, OVERSTATED = 1.797, 1.589, 2.175
# With this probability a drifted output is wrong, whatever it says.
DRIFT = 0.27
AUDITED = 500
OUTPUT = OutputSpec(kind="count")


def draw(rng: np.random.Generator, count: int, *, drift: float = 0.0) -> tuple[Array, Array]:
    """Scores, and whether each output agrees with the exact one (1) or not (0)."""
    odds = MEAN + DEVIATION * rng.normal(size=count)
    right = rng.random(count) < (1.0 - drift) / (1.0 + np.exp(-odds))
    return 1.0 / (1.0 + np.exp(-OVERSTATED * odds)), right.astype(float)


def clumped(rng: np.random.Generator, count: int, rate: float, stays: float) -> Array:
    """Disagreements (0 or 1) at a rate, each like the one before with a correlation."""
    fresh, kept = rng.random(count) < rate, rng.random(count) < stays
    starts = np.maximum.accumulate(np.where(kept & (np.arange(count) > 0), 0, np.arange(count)))
    return fresh[starts].astype(float)


def revoked_at(monitor: Monitor, disagreements: Array) -> int | None:
    """After how many audited trusted answers trust was revoked."""
    answer = Answer(np.zeros(1), 0.99, "linked", ("s",), "certified", output=OUTPUT)
    for index, disagreement in enumerate(disagreements):
        agreement = 1.0 - float(disagreement)
        if monitor.observe(answer, 1, agreement=agreement, distance=0.0, now_s=0.0) == "revoked":
            return index + 1
    return None


def certificates() -> Table:
    """The table by how many outputs were calibrated on."""
    table = Table(title=f"{RUNS} runs each, alpha {ALPHA:g}")
    table.add_column("n", justify="right")
    for column in (
        "broken (promised <= .05)",
        "share trusted",
        "nothing trusted",
        "after drift, unwatched",
        "200 audited after drift, watched",
        "revoked wrongly before",
        "audited until revoked: median",
        "95 %",
    ):
        table.add_column(column, justify="right")
    truth = np.random.default_rng(SEED)
    before, after = draw(truth, 400_000), draw(truth, 400_000, drift=DRIFT)
    for count in (35, 60, 100, 200, 360, 1000):
        rng = np.random.default_rng((SEED, count))
        broken = drifted = missed = wrongly = nothing = 0
        shares, delays = [], []
        for _ in range(RUNS):
            threshold = certify_threshold(*draw(rng, count))
            if threshold is None:
                nothing += 1
                shares.append(0.0)
                continue
            rates = [1.0 - float(right[scores >= threshold].mean()) for scores, right in (before, after)]
            shares.append(float((before[0] >= threshold).mean()))
            broken += rates[0] > ALPHA
            drifted += rates[1] > ALPHA
            monitor = Monitor(ALPHA)
            if revoked_at(monitor, rng.random(AUDITED) < rates[0]) is not None:
                wrongly += rates[0] <= ALPHA
                continue
            delay = revoked_at(monitor, rng.random(2 * AUDITED) < rates[1])
            delays.append(np.inf if delay is None else delay)
            missed += delays[-1] > 200
        figures = [broken / RUNS, float(np.mean(shares)), nothing / RUNS, drifted / RUNS, missed / RUNS]
        found = [f"{np.quantile(delays, q, method='higher'):.0f}" for q in (0.5, 0.95)] if delays else ["-", "-"]
        held = max(1, RUNS - nothing)
        table.add_row(str(count), *(f"{figure:.3f}" for figure in figures), f"{wrongly / held:.3f}", *found)
    return table


def tests() -> Table:
    """How fast a drift is found, and how often there is none, by when it comes and how bad it is."""
    table = Table(title=f"the drift test alone, {RUNS} streams each")
    for column in ("disagreement", "audited before", "revoked before", "within 200", "median", "95 %"):
        table.add_column(column, justify="left" if column == "disagreement" else "right")
    rng = np.random.default_rng(SEED)
    for calm, bad, ahead in ((0.05, 0.3, 0), (0.05, 0.3, 200), (0.05, 0.3, 1000), (0.05, 0.5, 1000), (0.05, 0.2, 1000)):
        delays, wrongly = [], 0
        for _ in range(RUNS):
            monitor = Monitor(ALPHA)
            if revoked_at(monitor, rng.random(ahead) < calm) is not None:
                wrongly += 1
                continue
            delay = revoked_at(monitor, rng.random(1000) < bad)
            delays.append(np.inf if delay is None else delay)
        found = [f"{np.quantile(delays, q, method='higher'):.0f}" for q in (0.5, 0.95)]
        within = float(np.mean(np.asarray(delays) <= 200))
        table.add_row(f"{calm:g}, then {bad:g}", str(ahead), f"{wrongly / RUNS:.3f}", f"{within:.3f}", *found)
    for rate, stays in ((0.05, 0.0), (0.08, 0.0), (0.1, 0.0), (0.05, 0.5), (0.05, 0.8)):
        wrongly = sum(revoked_at(Monitor(ALPHA), clumped(rng, 1000, rate, stays)) is not None for _ in range(RUNS))
        name = f"{rate:g} for ever" + (f", in clumps (correlation {stays:g})" if stays else "")
        table.add_row(name, "1000", f"{wrongly / RUNS:.3f}", "-", "-", "-")
    return table


def regions() -> Table:
    """Coverage of regions at 90 %, before and after distances grow threefold, fixed and adaptive."""
    table = Table(title="coverage of regions (promised: 0.9), 200 streams of 500 + 500")
    for column in ("n", "before drift", "after, fixed", "after, adaptive"):
        table.add_column(column, justify="right")
    for count in (19, 60, 360):
        rng = np.random.default_rng((SEED, count))
        held = np.zeros((200, 3))
        for row in held:
            calibration, level = Calibration.of(rng.exponential(size=count)), AdaptiveLevel(ALPHA)
            distances = rng.exponential(size=1000) * np.where(np.arange(1000) < 500, 1.0, 3.0)
            fixed = distances <= calibration.radius(ALPHA)
            moved = np.zeros(1000, bool)
            for index, distance in enumerate(distances):
                moved[index] = distance <= calibration.radius(level.level)
                level.update(outside=not moved[index])
            row[:] = fixed[:500].mean(), fixed[500:].mean(), moved[500:].mean()
        table.add_row(str(count), *(f"{figure:.3f}" for figure in held.mean(axis=0)))
    return table


def cost_us() -> float:
    """Processor time of one audited sample, without the link's own prediction."""
    monitor, answer = Monitor(ALPHA), Answer(np.zeros(1), 0.99, "linked", ("s",), "certified", output=OUTPUT)
    started = time.thread_time()
    for _ in range(5000):
        monitor.observe(answer, 1, agreement=1.0, distance=0.1, now_s=0.0)
    return (time.thread_time() - started) / 5000 * 1e6


def main() -> None:
    """Prints the tables."""
    console = Console(width=160)
    for table in (certificates(), tests(), regions()):
        console.print(table)
    console.print(f"one audited sample: {cost_us():.0f} us of processor time")


if __name__ == "__main__":
    main()
