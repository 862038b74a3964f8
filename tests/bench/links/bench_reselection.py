"""Choosing anew in every period while links drift: MLink's rule, exact choices, posteriors, hysteresis, choosing once.

Simulated: performances of links start at N(0.91, 0.04) and drift (AR(1) of the logit, rho 0.9, deviation 0.35) over
48 periods; each period a profile of n inputs is seen of every pair. The value of a set is the mean over models, 1 for
those that run, the best single source for the others. Regret is to the best set by each period's true performances.

python tests/bench/links/bench_reselection.py [--seeds 200]
"""

import argparse
import time

import numpy as np
from infilink.links.planning.paper_rule import activation_probability
from infilink.links.reselection.discounted import Discounted
from infilink.links.reselection.review import LEAST_GAIN
from infilink.outputs import Array

PERIODS = 48
BUILDING_GB = np.asarray([1.5, 3.7, 4.6])
# The table of the specification, section 7.4: regret / loads.
SPECIFIED = {
    "MLink's rule": (".0210 / 0.0", ".0086 / 2.2", ".0213 / 0.0", ".0353 / 9.3"),
    "exact, this period only": (".0053 / 21.6", ".0032 / 23.2", ".0008 / 10.3", ".0053 / 31.3"),
    "exact, posterior": (".0016 / 4.4", ".0009 / 5.6", ".0007 / 2.4", ".0019 / 6.1"),
    "exact, posterior, hysteresis": (".0019 / 1.3", ".0012 / 0.8", ".0016 / 0.6", ".0027 / 1.7"),
    "chosen once": (".0046 / 0", ".0023 / 0", ".0040 / 0", ".0054 / 0"),
}


def sets_that_fit(costs: Array, budget: float) -> Array:
    """Every set of models within the budget, bool (sets, models)."""
    count = len(costs)
    members = (np.arange(1 << count)[:, None] >> np.arange(count) & 1).astype(bool)
    return members[members @ costs <= budget + 1e-9]


def values(sets: Array, links: Array) -> Array:
    """What each set reaches: the mean over models, float (sets,)."""
    best = np.where(sets[:, :, None], links[None], 0.0).max(axis=1)
    return np.asarray(np.where(sets, 1.0, best).mean(axis=1))


def drift(rng: np.random.Generator, count: int) -> Array:
    """True performances of all pairs in each period: (PERIODS, source, target)."""
    start = np.clip(rng.normal(0.91, 0.04, (count, count)), 0.5, 0.99)
    middle = np.log(start / (1.0 - start))
    moved, found = np.zeros((count, count)), []
    for _ in range(PERIODS):
        moved = 0.9 * moved + 0.35 * np.sqrt(1.0 - 0.9**2) * rng.standard_normal((count, count))
        found.append(1.0 / (1.0 + np.exp(-(middle + moved))))
    return np.asarray(found)


def paper(sets: Array, links: Array, costs: Array, budget: float) -> int:
    """Which set MLink's rule chooses, trying the next model where one does not fit."""
    chosen = np.zeros(len(costs), bool)
    for index in np.argsort(-activation_probability(links, costs), kind="stable"):
        chosen[index] = chosen @ costs + costs[index] <= budget
    return int(np.flatnonzero((sets == chosen).all(axis=1))[0])


def one(
    rng: np.random.Generator, costs: Array, budget: float, inputs: int, kept: float
) -> dict[str, tuple[float, int]]:
    """Each policy's mean regret and its loads, over one stream of periods."""
    sets = sets_that_fit(costs, budget)
    true = drift(rng, len(costs))
    posterior = Discounted(np.full(true.shape[1:], 0.9), weight=4.0)
    everywhere = tuple(index.ravel() for index in np.indices(true.shape[1:]))
    serving: dict[str, int] = {}
    regret, loads = dict.fromkeys(SPECIFIED, 0.0), dict.fromkeys(SPECIFIED, 0)
    for period in true:
        seen = rng.binomial(inputs, period) / inputs
        posterior.forget(kept)
        posterior.sums += inputs * seen
        posterior.counts[everywhere] += inputs
        means = posterior.means()
        now, later = values(sets, seen), values(sets, means)
        wanted = {
            "MLink's rule": paper(sets, seen, costs, budget),
            "exact, this period only": int(now.argmax()),
            "exact, posterior": int(later.argmax()),
            "exact, posterior, hysteresis": int(later.argmax()),
        }
        wanted["chosen once"] = serving.get("chosen once", wanted["exact, posterior"])
        before = serving.get("exact, posterior, hysteresis")
        if before is not None and later[wanted["exact, posterior, hysteresis"]] - later[before] <= LEAST_GAIN:
            wanted["exact, posterior, hysteresis"] = before
        reached = values(sets, period)
        for policy, chosen in wanted.items():
            regret[policy] += float(reached.max() - reached[chosen]) / PERIODS
            if policy in serving:
                loads[policy] += int((sets[chosen] & ~sets[serving[policy]]).sum())
            serving[policy] = chosen
    return {policy: (regret[policy], loads[policy]) for policy in SPECIFIED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    started = time.perf_counter()
    settings = {
        "3 models, 5 GB, n = 35": (3, 5.0, 35),
        "3 models, 9 GB, n = 35": (3, 9.0, 35),
        "3 models, 5 GB, n = 360": (3, 5.0, 360),
        "7 models, 40 %, n = 35": (7, 0.4, 35),
    }
    print(f"| regret / loads in {PERIODS} periods | " + " | ".join(settings) + " |")
    print("|---|" + "---|" * len(settings))
    columns: dict[str, dict[str, str]] = {}
    for name, (count, budget, inputs) in settings.items():
        found: dict[str, list[tuple[float, int]]] = {policy: [] for policy in SPECIFIED}
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            costs = BUILDING_GB if count == 3 else rng.uniform(0.3, 4.0, count)
            limit = budget if count == 3 else budget * float(costs.sum())
            for policy, reached in one(rng, costs, limit, inputs, 0.8).items():
                found[policy].append(reached)
        columns[name] = {}
        for policy, reached in found.items():
            regrets = np.asarray([each for each, _ in reached])
            error = regrets.std() / np.sqrt(seeds)
            columns[name][policy] = f"{regrets.mean():.4f} +- {error:.4f} / {np.mean([n for _, n in reached]):.1f}"
    for policy in SPECIFIED:
        cells = [f"{columns[name][policy]} ({SPECIFIED[policy][place]})" for place, name in enumerate(settings)]
        print(f"| {policy} | " + " | ".join(cells) + " |")
    print(f"\n{seeds} seeds, {time.perf_counter() - started:.0f} s; in brackets the specification's own simulation")


if __name__ == "__main__":
    main()
