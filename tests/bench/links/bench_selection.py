"""Selection in the setting of MLink's scalability test: the exact choice, the paper's rule, greedy, fixed and random.

Ten simulated models, link performance and cost drawn normal, Beta or clustered, an ensemble gain of 0.02, eight budgets
from 10 to 80 % of what all models cost; then eighty models, solved as a mixed-integer program. One thread is enough.

python tests/bench/links/bench_selection.py [--draws 300] [--large-draws 5] [--timeout-s 1]
"""

import argparse
import time

import numpy as np
from infilink.links.planning.enumeration import enumerate_sets
from infilink.links.planning.greedy import greedy
from infilink.links.planning.milp import solve_milp
from infilink.links.planning.paper_rule import paper_rule
from infilink.links.planning.selection import SelectionProblem
from infilink.outputs import Array

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
KINDS = ("normal", "beta", "clustered")
GAIN = 0.02
MILP_DRAWS = 20
# The table of the specification, section 7.3: mean / worst / exact.
SPECIFIED = {
    "most models, no links": (".559 / .135 / 0 %", ".634 / .115 / 0 %", ".631 / .153 / 0 %"),
    "MLink, stop at first misfit": (".966 / .658 / 17 %", ".986 / .752 / 34 %", ".967 / .474 / 24 %"),
    "MLink, skip misfits": (".967 / .658 / 18 %", ".987 / .762 / 35 %", ".967 / .474 / 24 %"),
    "greedy: gain, gain / cost, single": (".997 / .911 / 72 %", ".998 / .823 / 82 %", ".998 / .807 / 71 %"),
}


def draw(rng: np.random.Generator, kind: str, count: int) -> tuple[Array, Array]:
    """Costs (n,) and link performances (source, target) as the paper simulates them."""
    if kind == "normal":
        costs = np.maximum(rng.normal(0.5, 0.2, count), 0.05)
        links = np.clip(rng.normal(0.5, 0.2, (count, count)), 0, 1)
    elif kind == "beta":
        costs = np.maximum(rng.beta(0.5, 0.5, count), 0.02)
        links = rng.beta(0.5, 0.5, (count, count))
    else:
        costs = np.exp(rng.uniform(np.log(0.3), np.log(4), count))
        group = rng.integers(0, 3, count)
        same = group[:, None] == group[None]
        links = np.where(same, rng.uniform(0.8, 0.97, same.shape), rng.uniform(0.02, 0.3, same.shape))
    return costs, links


def in_order(problem: SelectionProblem, order: Array) -> Array:
    """Models in this order, each that fits: bool (models,)."""
    chosen = np.zeros(len(problem.names), bool)
    for index in order:
        chosen[index] = True
        chosen[index] = problem.fits(chosen)
    return chosen


def policies(problem: SelectionProblem, rng: np.random.Generator) -> dict[str, float]:
    """What each policy reaches."""
    cheapest = in_order(problem, np.argsort(problem.costs[0], kind="stable"))
    return {
        "most models, no links": float(problem.weights[cheapest].sum()),
        "fixed: best if all links were average": problem.value(cheapest),
        "random": problem.value(in_order(problem, rng.permutation(len(problem.names)))),
        "MLink, stop at first misfit": paper_rule(problem, skip=False).value,
        "MLink, skip misfits": paper_rule(problem, skip=True).value,
        "greedy: gain, gain / cost, single": greedy(problem, swaps=False).value,
        "greedy, then exchanges": greedy(problem).value,
        "exact: every set (ours)": enumerate_sets(problem).value,
    }


def best_value(costs: Array, links: Array, budget: float) -> float:
    """The optimum by trying every set, written apart from the planner's own code."""
    count = len(costs)
    sets = np.arange(1 << count)
    member = (sets[:, None] >> np.arange(count) & 1).astype(bool)
    best = np.where(member[:, :, None], links[None], 0.0).max(axis=1)
    gain = np.where(member.sum(axis=1) > 1, GAIN, 0.0)[:, None]
    values = np.where(member, 1.0, np.minimum(best + gain * (best > 0), 1.0)).mean(axis=1)
    return float(values[member @ costs <= budget * (1 + 1e-12)].max())


def compare(draws: int) -> None:
    """Prints mean, worst and how often exactly right of each policy, as shares of the optimum."""
    rows: dict[str, list[str]] = {}
    for kind in KINDS:
        rng, chance = np.random.default_rng(0), np.random.default_rng(1)
        ratios: dict[str, list[float]] = {}
        for index in range(draws):
            costs, links = draw(rng, kind, 10)
            for share in BUDGETS:
                budget = share * float(costs.sum())
                if budget < costs.min():
                    continue
                problem = SelectionProblem.of_pairs(links, costs, budget, ensemble_gain=GAIN)
                best = best_value(costs, links, budget)
                reached = policies(problem, chance)
                if index < MILP_DRAWS:
                    reached[f"exact: MILP (ours; first {MILP_DRAWS} draws)"] = solve_milp(problem).value
                for name, value in reached.items():
                    ratios.setdefault(name, []).append(value / best)
        for name, found in ratios.items():
            exact = np.mean(np.abs(np.asarray(found) - 1) < 1e-6)
            rows.setdefault(name, []).append(f"{np.mean(found):.3f} / {min(found):.3f} / {100 * exact:.0f} %")
    print(f"k = 10, {draws} draws x {len(BUDGETS)} budgets; shares of the optimum: mean / worst / exactly right;")
    print("in brackets what the specification's own simulation gave.\n")
    print("| policy | normal | Beta | clustered |\n|---|---|---|---|")
    for name, cells in rows.items():
        said = SPECIFIED.get(name)
        print(f"| {name} | {' | '.join(c + (f' ({said[i]})' if said else '') for i, c in enumerate(cells))} |")


def large(count: int, draws: int, timeout_s: float) -> None:
    """Prints the program's time and gap for many models, and how much the paper's rule and greedy lose there."""
    print(f"\nk = {count}, {draws} draws x {len(BUDGETS)} budgets, the solver stopped after {timeout_s:g} s.")
    print("The last three: what is reached, as a mean share of the bound on the optimum.\n")
    print(
        "| draws | p50 | p99 | p50 of CPU | p99 of CPU | proven optimal | largest gap | MILP | greedy | MLink, skip |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        rng = np.random.default_rng(0)
        times_s, cpu_s, gaps, shares = [], [], [], []
        for _ in range(draws):
            costs, links = draw(rng, kind, count)
            for share in BUDGETS:
                problem = SelectionProblem.of_pairs(links, costs, share * float(costs.sum()), ensemble_gain=GAIN)
                started_s = time.perf_counter(), time.process_time()
                found = solve_milp(problem, timeout_s=timeout_s)
                times_s.append(time.perf_counter() - started_s[0])
                cpu_s.append(time.process_time() - started_s[1])
                gaps.append(found.gap)
                others = (found.value, greedy(problem).value, paper_rule(problem, skip=True).value)
                shares.append([value / (found.value + found.gap) for value in others])
        wall, cpu = (" | ".join(f"{p:.2f} s" for p in np.percentile(t, (50, 99))) for t in (times_s, cpu_s))
        proven = 100 * np.mean(np.asarray(gaps) < 1e-6)
        means = " | ".join(f"{mean:.4f}" for mean in np.mean(shares, axis=0))
        print(f"| {kind} | {wall} | {cpu} | {proven:.0f} % | {max(gaps):.5f} | {means} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--large-draws", type=int, default=5)
    parser.add_argument("--timeout-s", type=float, default=1.0)
    arguments = parser.parse_args()
    solve_milp(SelectionProblem.of_pairs(np.eye(2), np.ones(2), 1.0))  # SciPy's import is not what is timed.
    if arguments.draws:
        compare(arguments.draws)
    large(80, arguments.large_draws, arguments.timeout_s)
