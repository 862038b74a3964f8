"""The planner's time on sites of many streams and models, turns included, and how far a plan may be from the best.

python tests/bench/links/bench_planner.py
"""

import time
from itertools import combinations

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.planning.planner import make_plan
from infilink.links.planning.streams import Stream
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost

SITES = ((10, 8), (10, 100), (14, 1), (18, 1), (24, 1))
BUDGETS = ((1.0, 0.1), (0.4, 0.1), (0.4, 1.0))


def draw_tables(rng: np.random.Generator, names: list[str]) -> dict[str, Table]:
    """Links that are anything from bad to good, the worse the older the last output is."""
    tables = {}
    for name in names:
        others = [other for other in names if other != name]
        keys = [(), *((other,) for other in others), *combinations(others, 2)]
        held = [Measured(float(v), float(v)) for v in sorted(rng.uniform(0.3, 0.95, NEVER), reverse=True)]
        rows = np.sort(rng.uniform(0.3, 0.95, (len(keys), BUCKETS)))[:, ::-1]
        linked = {key: tuple(Measured(float(v), float(v)) for v in row) for key, row in zip(keys, rows, strict=True)}
        tables[name] = Table(Measured(0.3, 0.3), tuple(held), linked)
    return tables


def main() -> None:
    print("| models | streams | memory | compute | processor s | loaded | in turn | gap |")
    print("|---|---|---|---|---|---|---|---|")
    for models, count in SITES:
        rng = np.random.default_rng(models)
        names = [f"m{index:02d}" for index in range(models)]
        costs = {
            name: ModelCost(int(rng.integers(20, 300)), rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.5)) for name in names
        }
        streams = [Stream(f"s{index}", draw_tables(rng, names), 5.0) for index in range(count)]
        graph = LinkGraph({}, costs, {}, dict(streams[0].tables), {}, {}, {}, {})
        memory = sum(cost.memory_bytes for cost in costs.values())
        cores = 5.0 * count * sum(cost.infer_s for cost in costs.values())
        for share, compute in BUDGETS:
            started_s = time.process_time()
            plan = make_plan(graph, int(share * memory), streams=streams, compute_cores=compute * cores)
            spent_s = time.process_time() - started_s
            runs = f"{len(plan.resident)} | {len(plan.rotating)}"
            print(
                f"| {models} | {count} | {share:.0%} | {compute:.0%} | {spent_s:.2f} | {runs} | {plan.gap:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
