"""Whether trust is worth its name: certificates of simulated links, and of what is audited before and after a drift.

A link is over-confident: of its outputs 61 % have a raw score of 0.95 or more, and 8 % of those are wrong (it is right
in 77.9 % of cases). Inputs come in scenes, in which it is right or wrong together. A guarantee is broken where trusted
answers disagree, in truth, more often than the 10 % that was promised.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import infilink.evidence
import numpy as np
from infilink.links.answer import Answer
from infilink.links.trust.calibration import Calibration
from infilink.links.trust.certificate import ALPHA, GRID, RISK, certify, certify_in_turn, first_level
from infilink.links.trust.monitor import AdaptiveLevel, Monitor
from infilink.outputs import Array, OutputSpec
from rich.console import Console
from rich.table import Table
from scipy.stats import beta

RUNS = 500
SEED = 7
# The model's log-odds of being right, and by how much its score overstates them; fitted to the figures above.
MEAN, DEVIATION, OVERSTATED = 1.797, 1.589, 2.175
# The same of the other sets of sources that a link may predict from: one is much like the best, the others are not.
SETS = (0.0, -0.05, -0.8, -1.5)
AGES = 3
HELD = (0.96, 0.93, 0.88, 0.8)
"""How often what is held is right, by its age."""
EVENTS = 0.35
"""In which share of the scenes a constant is wrong."""
MOST = 1000
"""So many inputs are certified on at most, as in training."""
# With this probability a drifted output is wrong, whatever it says.
DRIFT = 0.27
AUDITED = 500
STREAMS = 50
OUTPUT = OutputSpec(kind="count")


def draw(rng: np.random.Generator, count: int, *, drift: float = 0.0) -> tuple[Array, Array]:
    """Scores, and whether each output agrees with the exact one (1) or not (0)."""
    odds = MEAN + DEVIATION * rng.normal(size=count)
    right = rng.random(count) < (1.0 - drift) / (1.0 + np.exp(-odds))
    return 1.0 / (1.0 + np.exp(-OVERSTATED * odds)), right.astype(float)


def revoked_at(monitor: Monitor, disagreements: Array, *, run: float = 0.0) -> int | None:
    """After how many audited trusted answers trust was revoked, one a second; `run` is what training measured."""
    known = Calibration.of(np.zeros(100), run_s=run)
    answer = Answer(np.zeros(1), 0.99, "linked", ("s",), "certified", output=OUTPUT, calibration=known)
    began = monitor.audited
    for index, disagreement in enumerate(disagreements):
        change = monitor.observe(
            answer, 1, agreement=1.0 - float(disagreement), distance=0.0, captured_s=began + index, now_s=0.0
        )
        if change == "revoked":
            return index + 1
    return None


@dataclass(frozen=True)
class Cell:
    """A kind of recordings.

    Attributes:
        shape: "block": scenes of one length, in which all is right or all is wrong; "markov": scenes without memory,
            in which a share of a scene's own is.
        scene: the mean length of a scene, in inputs.
        inputs: how many there are to choose on, and as many again to certify on.
    """

    shape: str
    scene: int
    inputs: int

    def scenes(self, rng: np.random.Generator, inputs: int) -> Array:
        """Which scene each input is of."""
        count = 3 * inputs // self.scene + 60
        lengths = np.full(count, self.scene) if self.shape == "block" else rng.geometric(1 / self.scene, count)
        lengths[0] = rng.integers(1, lengths[0] + 1)
        return np.repeat(np.arange(count), lengths)[:inputs]

    def right(self, rng: np.random.Generator, of: Array, share: Array) -> Array:
        """Whether outputs agree, by the share of each scene that does."""
        count = len(share)
        return (
            rng.random(count if self.shape == "block" else len(of))[of if self.shape == "block" else ...] < share[of]
        ).astype(float)


def link_outputs(rng: np.random.Generator, cell: Cell, of: Array, shared: Array, mean: float) -> tuple[Array, Array]:
    """Scores and agreements of a link; what is hard is so for all links alike, half of it."""
    odds = MEAN + mean + DEVIATION * np.sqrt(0.5) * (shared + rng.normal(size=len(shared)))
    agreements = cell.right(rng, of, 1.0 / (1.0 + np.exp(-odds)))
    return 1.0 / (1.0 + np.exp(-OVERSTATED * odds[of])), agreements


def true_errors(mean: float) -> Array:
    """How often outputs of at least each confidence of the grid disagree."""
    rng = np.random.default_rng(SEED)
    odds = MEAN + mean + DEVIATION * rng.normal(size=400_000)
    scores, wrong = 1.0 / (1.0 + np.exp(-OVERSTATED * odds)), 1.0 / (1.0 + np.exp(odds))
    return np.asarray([wrong[scores >= level].mean() for level in GRID])


@dataclass
class Outcome:
    """What came of simulated trainings; a training is broken if any certificate of it is."""

    trainings: int = 0
    certified: int = 0
    broken: int = 0
    runs: int = 0
    share: float = 0.0

    @property
    def cells(self) -> Iterator[str]:
        """For a table."""
        _, high = infilink.evidence.interval(self.broken, self.trainings, confidence=0.9)
        yield f"{self.broken / self.trainings:.3f} ({high:.3f})"
        yield f"{self.broken / self.certified:.3f}" if self.certified else "-"
        yield f"{self.certified / self.trainings:.3f}"
        yield f"{self.share / self.trainings:.2f}"
        yield f"{self.runs / self.trainings:.0f}"


def train(rng: np.random.Generator, cell: Cell, errors: dict[float, Array], found: Outcome) -> None:
    """One training: per age the set of sources is chosen on a first block, and certified on a later one."""
    of = cell.scenes(rng, 2 * cell.inputs)
    scenes, kept = of[-1] + 1, np.linspace(0, cell.inputs - 1, min(MOST, cell.inputs)).astype(np.int64)
    first, second = kept, kept + cell.inputs
    shared, unknown = rng.normal(size=scenes), (rng.random(scenes) < EVENTS).astype(float)[of]
    risk = RISK / 2 / AGES
    certified = broken = False
    runs = []
    for _ in range(AGES):
        outputs = {mean: link_outputs(rng, cell, of, shared, mean) for mean in SETS}
        best = max(SETS, key=lambda mean: float(outputs[mean][1][first].mean()))
        scores, agreements = outputs[best]
        level = first_level(scores[first], agreements[first], inputs=len(second), risk=risk, unknown=unknown[first])
        made = certify(scores[second], agreements[second], grid=GRID[level:], risk=risk, unknown=unknown[second])
        runs.append(made.all_runs)
        if made.threshold is not None:
            certified = True
            broken |= bool(errors[best][GRID.index(made.threshold)] > ALPHA)
            found.share += float((scores >= made.threshold).mean()) / AGES
    held = np.stack([cell.right(rng, of, np.clip(rng.normal(share, 0.02, scenes), 0, 1))[second] for share in HELD])
    turns = certify_in_turn(held, np.ones(held.shape, bool), risk=RISK / 4, unknown=unknown[second])
    certified |= turns[0].threshold is not None
    broken |= any(one.threshold is not None and share < 1 - ALPHA for one, share in zip(turns, HELD, strict=True))
    found.trainings += 1
    found.certified += certified
    found.broken += broken
    found.runs += int(np.median(runs))


def certificates(trainings: int) -> Table:
    """The table by what recordings are like."""
    table = Table(title=f"{trainings} trainings each, alpha {ALPHA:g}, {len(SETS)} sets of sources, {AGES} ages")
    for column in ("scenes", "length", "inputs", "runs counted"):
        table.add_column(column, justify="right")
    for column in ("broken of all (95 % bound)", "of the certified", "certified", "share trusted"):
        table.add_column(column, justify="right")
    errors = {mean: true_errors(mean) for mean in SETS}
    for shape in ("block", "markov"):
        for scene in (5, 50, 200):
            for inputs in (150, 600, 1500, 5000):
                cell, found = Cell(shape, scene, inputs), Outcome()
                rng = np.random.default_rng((SEED, scene, inputs))
                for _ in range(trainings):
                    train(rng, cell, errors, found)
                *figures, runs = found.cells
                table.add_row(shape, str(scene), str(inputs), runs, *figures)
    return table


def drifts() -> Table:
    """What a drift does to what was certified, by how many outputs were calibrated on; every output is a run."""
    table = Table(title=f"{RUNS} streams each, alpha {ALPHA:g}")
    table.add_column("n", justify="right")
    for column in (
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
    for count in (100, 360, 1000):
        rng = np.random.default_rng((SEED, count))
        drifted = missed = wrongly = nothing = 0
        delays = []
        for _ in range(RUNS):
            scores, right = draw(rng, count)
            level = first_level(*draw(rng, count), inputs=count)
            threshold = certify(scores, right, grid=GRID[level:]).threshold
            if threshold is None:
                nothing += 1
                continue
            rates = [1.0 - float(right[scores >= threshold].mean()) for scores, right in (before, after)]
            drifted += rates[1] > ALPHA
            monitor = Monitor(ALPHA)
            if revoked_at(monitor, rng.random(AUDITED) < rates[0]) is not None:
                wrongly += rates[0] <= ALPHA
                continue
            delay = revoked_at(monitor, rng.random(2 * AUDITED) < rates[1])
            delays.append(np.inf if delay is None else delay)
            missed += delays[-1] > 200
        figures = [nothing / RUNS, drifted / RUNS, missed / RUNS]
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
    for rate, scene in ((0.08, 1), (0.1, 1), (0.05, 10), (0.08, 10), (0.1, 10), (0.08, 50), (0.1, 50)):
        cell, wrongly = Cell("markov", scene, 0), 0
        for _ in range(STREAMS):
            of = cell.scenes(rng, 10_000)
            wrong = (rng.random(of[-1] + 1) < rate)[of]
            # Of scenes without memory a run is worth two: that is what training counts.
            wrongly += revoked_at(Monitor(ALPHA), wrong, run=2.0 * scene - 1.0) is not None
        name = f"{rate:g} for ever" + (f", in scenes of {scene}" if scene > 1 else "")
        table.add_row(name, "10000", f"{wrongly / STREAMS:.3f}", "-", "-", "-")
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
    for index in range(5000):
        monitor.observe(answer, 1, agreement=1.0, distance=0.1, captured_s=index, now_s=0.0)
    return (time.thread_time() - started) / 5000 * 1e6


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=1000)
    trainings = parser.parse_args().trainings
    # The same bound (tests/test_evidence.py), without SciPy a hundred times slower.
    infilink.evidence.clopper_pearson = lambda errors, inputs, *, confidence=0.95: (
        1.0 if errors >= inputs else float(beta.ppf(confidence, errors + 1.0, inputs - errors))
    )
    console = Console(width=160)
    for table in (certificates(trainings), drifts(), tests(), regions()):
        console.print(table)
    console.print(f"one audited sample: {cost_us():.0f} us of processor time")


if __name__ == "__main__":
    main()
