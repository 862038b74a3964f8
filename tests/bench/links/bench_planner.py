"""The planner's time, and the paper's rule against the exact choice in the setting of MLink's scalability test.

python tests/bench/links/bench_planner.py [--draws 300]
"""

import argparse
import time

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.planner import make_plan
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.outputs import Array
from infilink.process import ModelCost
from rich.console import Console
from rich.table import Table as Printed

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
GAIN = 0.02


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
    np.fill_diagonal(links, 1.0)
    return costs, links


def value(chosen: list[int], links: Array) -> float:
    """The objective: 1 for what runs, for the rest its best source and a little more with two or more of them."""
    if not chosen:
        return 0.0
    best = np.minimum(links[chosen].max(axis=0) + (GAIN if len(chosen) > 1 else 0.0), 1.0)
    best[chosen] = 1.0
    return float(best.mean())


def best_value(costs: Array, links: Array, budget: float) -> float:
    """The exact optimum, by trying every set."""
    count = len(costs)
    memory, best = np.zeros(1), np.zeros((1, count))
    for index in range(count):
        memory = np.concatenate([memory, memory + costs[index]])
        best = np.concatenate([best, np.maximum(best, links[index])])
    sets = np.arange(1 << count)
    member = (sets[:, None] >> np.arange(count) & 1).astype(bool)
    gain = np.where(member.sum(axis=1) > 1, GAIN, 0.0)[:, None]
    values = np.where(member, 1.0, np.minimum(best + gain, 1.0)).mean(axis=1)
    values[0] = 0.0
    return float(values[memory <= budget + 1e-12].max())


def paper_rule(costs: Array, links: Array, budget: float, *, skip: bool) -> list[int]:
    """MLink's activation probability; at the first model that does not fit it stops, or skips that one."""
    count = len(costs)
    off = ~np.eye(count, dtype=bool)
    as_source = np.asarray([links[i][off[i]].mean() for i in range(count)])
    as_target = np.asarray([links[:, i][off[i]].mean() for i in range(count)])
    chosen: list[int] = []
    for index in np.argsort(-(1 + as_source - as_target) / costs, kind="stable"):
        if costs[[*chosen, index]].sum() <= budget + 1e-12:
            chosen.append(int(index))
        elif not skip:
            break
    return chosen


def most_models(costs: Array, budget: float) -> list[int]:
    """As many models as fit, the cheapest first."""
    order = np.argsort(costs, kind="stable")
    return [int(i) for i in order[: np.searchsorted(np.cumsum(costs[order]), budget + 1e-12, side="right")]]


def compare(draws: int) -> Printed:
    """Mean, worst, and share exactly right of each rule, as shares of the optimum."""
    table = Printed(
        title=f"k = 10, {draws} draws x {len(BUDGETS)} budgets, shares of the optimum: mean / worst / exact"
    )
    table.add_column("rule")
    columns = []
    for kind in ("normal", "beta", "clustered"):
        table.add_column(kind)
        rng = np.random.default_rng(0)
        ratios: dict[str, list[float]] = {"most models, no links": [], "MLink, stop": [], "MLink, skip": []}
        for _ in range(draws):
            costs, links = draw(rng, kind, 10)
            for share in BUDGETS:
                budget = share * costs.sum()
                if budget < costs.min():
                    continue
                exact = best_value(costs, links, budget)
                ratios["most models, no links"].append(len(most_models(costs, budget)) / 10 / exact)
                for name, skip in (("MLink, stop", False), ("MLink, skip", True)):
                    ratios[name].append(value(paper_rule(costs, links, budget, skip=skip), links) / exact)
        columns.append(ratios)
    for name in columns[0]:
        cells = [
            f"{np.mean(ratio):.3f} / {min(ratio):.3f} / {np.mean(np.asarray(ratio) > 1 - 1e-9):.0%}"
            for ratio in (column[name] for column in columns)
        ]
        table.add_row(name, *cells)
    table.add_row("exact (ours)", *["1 / 1 / 100%"] * 3)
    return table


def timed() -> Printed:
    """How long a whole plan takes, rotation included."""
    table = Printed(title="time of one plan at 40 %, all single sources and pairs, 5 refresh times")
    table.add_column("models")
    table.add_column("seconds")
    for count in (7, 10, 14, 18):
        rng = np.random.default_rng(count)
        names = [f"m{index:02d}" for index in range(count)]
        costs = {
            name: ModelCost(int(rng.integers(20, 300)), rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.5)) for name in names
        }
        tables = {}
        for name in names:
            others = [other for other in names if other != name]
            keys = [(other,) for other in others] + [(a, b) for a in others for b in others if a < b]
            cell = [Measured(float(v), float(v)) for v in sorted(rng.uniform(0.3, 0.95, NEVER), reverse=True)]
            linked = {key: tuple(Measured(float(v), float(v)) for v in rng.uniform(0.3, 0.95, BUCKETS)) for key in keys}
            tables[name] = Table(Measured(0.3, 0.3), tuple(cell), linked)
        graph = LinkGraph({}, costs, {}, tables, {}, {}, {}, {})
        budget = int(0.4 * sum(cost.memory_bytes for cost in costs.values()))
        started = time.perf_counter()
        make_plan(graph, budget)
        table.add_row(str(count), f"{time.perf_counter() - started:.3f}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    arguments = parser.parse_args()
    Console().print(timed())
    Console().print(compare(arguments.draws))
