"""The planner's time, rotation included, and how far a plan for more than 18 models may be from the best.

python tests/bench/links/bench_planner.py
"""

import time
from itertools import combinations

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.planning.options import PlanOptions
from infilink.links.planning.planner import make_plan
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost

SHARES = (0.15, 0.4)


def draw(count: int, *, pairs: bool) -> LinkGraph:
    """Models whose links are anything from bad to good, the worse the older the last output is."""
    rng = np.random.default_rng(count)
    names = [f"m{index:02d}" for index in range(count)]
    costs = {
        name: ModelCost(int(rng.integers(20, 300)), rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.5)) for name in names
    }
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        keys = [sources for size in ((1, 2) if pairs else (1,)) for sources in combinations(others, size)]
        held = [Measured(float(v), float(v)) for v in sorted(rng.uniform(0.3, 0.95, NEVER), reverse=True)]
        rows = np.sort(rng.uniform(0.3, 0.95, (len(keys), BUCKETS)))[:, ::-1]
        linked = {key: tuple(Measured(float(v), float(v)) for v in row) for key, row in zip(keys, rows, strict=True)}
        tables[name] = Table(Measured(0.3, 0.3), tuple(held), linked)
    return LinkGraph({}, costs, {}, tables, {}, {}, {}, {})


def main() -> None:
    print("| models | links | budget | seconds | resident | in turn | gap |\n|---|---|---|---|---|---|---|")
    for count, pairs in ((7, True), (10, True), (14, True), (18, True), (24, True), (40, False), (80, False)):
        graph = draw(count, pairs=pairs)
        total = sum(cost.memory_bytes for cost in graph.costs.values())
        for share in SHARES:
            started_s = time.perf_counter()
            plan = make_plan(graph, int(share * total), options=PlanOptions(max_at_once=2))
            spent_s = time.perf_counter() - started_s
            links = "one and two sources" if pairs else "one source"
            runs = f"{len(plan.resident)} | {len(plan.rotating)}"
            print(f"| {count} | {links} | {share:.0%} | {spent_s:.2f} | {runs} | {plan.gap:.4f} |", flush=True)


if __name__ == "__main__":
    main()
