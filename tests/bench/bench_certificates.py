"""How often certificates are broken where inputs come in scenes, and how much they leave undone: in simulation.

python tests/bench/bench_certificates.py [--trainings 1000] [--kinds steady,latent] [--inputs 150,600] [--seed 0]

Each training draws a calibration part anew and lets `choose` pick a threshold, as `train_filter` does. A promise is
broken if what was certified has a true mean loss above the target; the truth is known from a sample of independent
scenes. Beside it stands what an exact binomial test would certify that is told the scenes: where losses are steady
within a scene it counts those, elsewhere it is told by how much the variance exceeds that of independent inputs.
The constants of `evidence.py` were chosen on these kinds of scenes, with other seeds: they are no proof of others.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from infilink.errors import NotCertified
from infilink.evidence import CONFIDENCE, clopper_pearson
from infilink.filters.training.floors import Mask
from infilink.filters.training.selection import choose
from infilink.filters.training.sweep import Sweep
from infilink.outputs import Array
from scipy.stats import beta

TARGET = 0.1
RECALL = 0.8
THRESHOLDS = 40
SHAPES = ("block", "Markov")
CELLS = (
    (5, 150),
    (10, 270),
    (50, 270),
    (10, 600),
    (50, 1500),
    (200, 1500),
    (25, 5000),
)
SEEDS = 9_000_000


class Scenes(NamedTuple):
    """What is drawn once a scene: how often its inputs are needed, what they score about, whether it is dark."""

    needed: Array
    score: Array
    dark: Array


class Inputs(NamedTuple):
    """The inputs of a recording: the loss if they are dropped, their score, and whether their scene is dark."""

    loss: Array
    score: Array
    dark: Array


@dataclass(frozen=True)
class Kind:
    """How losses arise.

    Attributes:
        scenes: draws so many scenes.
        noise: of a score within a scene.
        flips: whether inputs are needed by a draw of their own, as often as their scene says.
        graded: whether what is lost is a share.
        floor: "recall" or "slice": what is promised besides.
        candidates: how many compete, each with scores of its own.
    """

    scenes: Callable[[int, np.random.Generator], Scenes]
    noise: float = 0.0
    flips: bool = False
    graded: bool = False
    floor: str = ""
    candidates: int = 1

    @property
    def steady(self) -> bool:
        """Whether all inputs of a scene are lost, or none is."""
        return not (self.noise or self.flips or self.graded)

    def draw(self, scenes: Scenes, ids: Array, random: np.random.Generator) -> Inputs:
        """The inputs of scenes, by which of those each is in."""
        needed, score = scenes.needed[ids], scenes.score[ids]
        loss = (random.random(len(ids)) < needed).astype(float) if self.flips else needed
        loss = loss * random.beta(2, 2, len(ids)) if self.graded else loss
        return Inputs(loss, score + self.noise * random.normal(size=len(ids)), scenes.dark[ids])


def _some_needed(count: int, random: np.random.Generator) -> Scenes:
    needed, dark = random.random(count) < 0.3, random.random(count) < 0.4
    return Scenes(needed.astype(float), 1.5 * needed + random.normal(size=count) - 0.5 * dark * needed, dark)


def _busy(count: int, random: np.random.Generator) -> Scenes:
    busy = random.random(count) < 0.4
    needed = np.where(busy, random.beta(2, 2, count), 0.0)
    return Scenes(needed, 2.0 * busy + random.normal(size=count), np.zeros(count, bool))


def _latent(count: int, random: np.random.Generator) -> Scenes:
    needed = random.beta(0.5, 1.2, count)
    return Scenes(needed, 3.0 * needed + 0.7 * random.normal(size=count), np.zeros(count, bool))


def _seldom_bad(count: int, random: np.random.Generator) -> Scenes:
    bad = random.random(count) < 0.2
    return Scenes(np.where(bad, 0.6, 0.05), bad + random.normal(size=count), np.zeros(count, bool))


KINDS = {
    "steady": Kind(_some_needed),
    "noisy": Kind(_some_needed, noise=0.7),
    "flips": Kind(_busy, flips=True),
    "latent": Kind(_latent, noise=0.7, flips=True),
    "graded": Kind(_some_needed, graded=True),
    "recall": Kind(_some_needed, floor="recall"),
    "slice": Kind(_some_needed, floor="slice"),
    "three": Kind(_some_needed, candidates=3),
    "seldom bad": Kind(_seldom_bad, noise=0.5, flips=True),
}


def scene_ids(shape: str, length: int, inputs: int, random: np.random.Generator) -> Array:
    """Which scene each input is in: scenes of one length, or without memory ("Markov", a mean length)."""
    if shape == "block":
        return (np.arange(inputs) + random.integers(length)) // length
    return np.cumsum(random.random(inputs) < 1.0 / length)


class Truth(NamedTuple):
    """What dropping up to each score truly loses of all inputs, and of those of the floor."""

    scores: Array
    losses: Array
    floor: Array

    def at(self, threshold: float) -> tuple[float, float]:
        """Both at a threshold."""
        place = int(np.searchsorted(self.scores, threshold, side="right")) - 1
        return (float(self.losses[place]), float(self.floor[place])) if place >= 0 else (0.0, 0.0)


@cache
def truth_of(name: str) -> Truth:
    """From very many scenes of one input each."""
    kind, random = KINDS[name], np.random.default_rng(1)
    found = kind.draw(kind.scenes(1_000_000, random), np.arange(1_000_000), random)
    order = np.argsort(found.score)
    part = _floor(kind, found)[order]
    floor = np.cumsum(found.loss[order] * part) / max(1, part.sum())
    return Truth(found.score[order], np.cumsum(found.loss[order]) / len(order), floor)


def _floor(kind: Kind, found: Inputs) -> Array:
    return found.loss > 0 if kind.floor == "recall" else found.dark if kind.floor == "slice" else found.loss >= 0


def _sweep(name: str, found: Inputs) -> Sweep:
    thresholds = np.unique(np.quantile(found.score, np.linspace(0.0, 1.0, THRESHOLDS)))
    kept = found.score > thresholds[:, None]
    return Sweep(name, thresholds, kept, np.where(kept, 0.0, found.loss), found.loss)


@cache
def worth_of(name: str, shape: str, length: int) -> tuple[Array, Array]:
    """How many inputs are worth a draw, by the mean loss: from the variance over very many recordings."""
    kind, truth, random = KINDS[name], truth_of(name), np.random.default_rng(2)
    wanted = np.asarray([0.01, 0.03, 0.06, 0.1, 0.15, 0.2])
    thresholds = truth.scores[np.minimum(np.searchsorted(truth.losses, wanted), len(truth.scores) - 1)]
    inputs, sums = 30 * length, []
    for _ in range(600):
        ids = scene_ids(shape, length, inputs, random)
        found = kind.draw(kind.scenes(int(ids[-1]) + 1, random), ids, random)
        sums.append([(found.loss * (found.score <= threshold)).sum() for threshold in thresholds])
    means = np.mean(sums, axis=0) / inputs
    return means, np.maximum(1.0, np.var(sums, axis=0) / (inputs * means * (1 - means)))


def exact_rate(name: str, shape: str, length: int, sweeps: Sequence[Sweep], ids: Array, part: Array) -> float:
    """What a test certifies to drop that is told the scenes."""
    kind, best = KINDS[name], 0.0
    side = 1.0 - (1.0 - CONFIDENCE) / len(sweeps)
    first = np.flatnonzero(np.diff(ids, prepend=-1))
    for sweep in sweeps:
        tests = [(TARGET, first)] + ([(1.0 - RECALL, first[part[first]])] if kind.floor else [])
        fails = np.zeros(len(sweep.losses), bool)
        for target, places in tests:
            if kind.steady:
                runs = np.full(len(sweep.losses), float(len(places)))
                lost = sweep.losses[:, places].sum(axis=1)
            else:
                runs = len(ids) / np.interp(sweep.errors, *worth_of(name, shape, length))
                lost = sweep.errors * runs
            fails |= ~(beta.ppf(side, lost + 1, np.maximum(runs - lost, 1e-9)) <= target) | (lost >= runs)
        best = max(best, float(sweep.rates[np.cumsum(fails) == 0].max(initial=0.0)))
    return best


@dataclass
class Count:
    """What came of the trainings of a cell."""

    trainings: int = 0
    certified: int = 0
    broken: int = 0
    rate: float = 0.0
    exact: float = 0.0
    exact_certified: int = 0
    true: float = 0.0
    runs: float = 0.0

    def row(self, name: str, shape: str, length: int, inputs: int, seconds: float) -> str:
        """As a row of the table."""
        upper = clopper_pearson(self.broken, self.trainings)
        among = f"{self.broken / self.certified:.3f}" if self.certified else "-"
        n = self.trainings
        return (
            f"| {name} | {shape} | {length} | {inputs} | {n} | {self.broken / n:.3f} ({upper:.3f}) | {among} | "
            f"{self.certified / n:.2f} | {self.exact_certified / n:.2f} | {self.rate / n:.3f} | {self.exact / n:.3f} | "
            f"{self.true / n:.3f} | {self.runs / max(1, self.certified):.0f} | {seconds:.0f} |"
        )


def run_cell(name: str, shape: str, length: int, inputs: int, *, trainings: int, seed: int) -> Count:
    """Trains so many times."""
    kind, truth, count = KINDS[name], truth_of(name), Count(trainings)
    random = np.random.default_rng(SEEDS + seed)
    for _ in range(trainings):
        ids = scene_ids(shape, length, inputs, random)
        scenes = kind.scenes(int(ids[-1]) + 1, random)
        found = kind.draw(scenes, ids, random)
        sweeps = [_sweep("0", found)]
        for other in range(1, kind.candidates):
            score = scenes.needed * (1.5 - 0.5 * scenes.dark) + random.normal(size=len(scenes.needed))
            sweeps.append(_sweep(str(other), found._replace(score=score[ids])))
        part = _floor(kind, found)
        floors = [Mask(kind.floor, RECALL, part)] if kind.floor and part.any() else []
        count.exact += (exact := exact_rate(name, shape, length, sweeps, ids, part))
        count.exact_certified += exact > 0.0
        fine = (truth.losses <= TARGET) & ((truth.floor <= 1.0 - RECALL) if kind.floor else True)
        count.true += float(np.mean(found.score <= truth.scores[fine].max(initial=-np.inf)))
        try:
            choice = choose(sweeps, accuracy=1.0 - TARGET, floors=floors)
        except NotCertified:
            continue
        if choice.certificate.certified:
            loss, floor = truth.at(choice.threshold)
            count.certified += 1
            count.rate += choice.certificate.rate
            count.runs += choice.certificate.runs
            count.broken += loss > TARGET or (bool(kind.floor) and floor > 1.0 - RECALL)
    return count


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=1000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--inputs", default="")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wanted = [int(text) for text in args.inputs.split(",") if text]
    print(
        "| losses | scenes | length | inputs | trainings | certified and broken (95 % upper) | broken of certified | "
        "certified | by the exact test | dropped | by the exact test | at the true threshold | runs | s |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in args.kinds.split(","):
        for length, inputs in CELLS:
            for shape in SHAPES if not wanted or inputs in wanted else ():
                started = time.perf_counter()
                count = run_cell(name, shape, length, inputs, trainings=args.trainings, seed=args.seed)
                print(count.row(name, shape, length, inputs, time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
