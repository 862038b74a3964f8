"""What predicting costs: every model's answer for one input, for each way that can be.

python tests/bench/links/bench_predict.py LINKS TRACE [--budget 40%]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.serving import Serving
from infilink.traces.trace import Trace
from infilink.units import parse_budget
from rich.console import Console
from rich.table import Table


def microseconds(graph: LinkGraph, plan: Plan, trace: Trace) -> tuple[float, float, float]:
    """Median time and mean processor time of `Serving.complete`, and how many links it ran on average."""
    outputs = {name: trace.outputs(name) for name in graph.models}
    serving, times, linked = Serving(graph, plan), [], 0
    computed_s = 0.0
    for row, moment in enumerate(trace.captured_s):
        exact = {name: outputs[name][row] for name in plan.resident}
        started, computing = time.perf_counter(), time.thread_time()
        answers = serving.complete(float(moment), exact)
        times.append(time.perf_counter() - started)
        computed_s += time.thread_time() - computing
        linked += sum(answer.origin == "linked" for answer in answers.values())
    return float(np.median(times)) * 1e6, computed_s / len(times) * 1e6, linked / len(times)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("links", type=Path)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--budget", default="40%")
    arguments = parser.parse_args()
    graph = LinkGraph.load(arguments.links)
    table = Table(title=f"all {len(graph.models)} answers for one input")
    for column in ("plan", "median us", "processor us", "links run"):
        table.add_column(column, justify="left" if column == "plan" else "right")
    with Trace(arguments.trace) as trace:
        plans = {
            f"best at {arguments.budget}": make_plan(
                graph, parse_budget(arguments.budget, {name: cost.memory_bytes for name, cost in graph.costs.items()})
            )
        }
        plans |= {f"only {name}": Plan(None, 0, (name,)) for name in graph.models}
        for name, plan in plans.items():
            median, computed, links = microseconds(graph, plan, trace)
            table.add_row(name, f"{median:.0f}", f"{computed:.0f}", f"{links:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
