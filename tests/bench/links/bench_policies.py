"""What runs under a memory budget, by every policy, on identical frames: the street's models and real pretrained ones.

A recording's first 60 % are learnt from (links, tables, plans), the rest is replayed as it would be served. Beside
ours stand what is free (the constant, hold + round-robin), our planner without links, sets of models that never change
(the best by what was measured, random ones, MLink's rule in both variants), ours chosen anew while serving, and the
oracle of our own class: the plan and the ways to answer that are best by the replayed part itself.

python tests/bench/links/bench_policies.py [--trace FILE ...] [--budgets 20 30 40 50 60 80]

Traces are recorded if none are given: the street's (rendered) and, where the data folder of tests/real is, real clips.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from infilink.links.evaluation.evaluate import replay
from infilink.links.evaluation.tally import Tally
from infilink.links.graph import LinkGraph
from infilink.links.planning.options import PlanOptions
from infilink.links.planning.paper_rule import paper_rule
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import hold_plan, make_plan
from infilink.links.planning.resource import Resource
from infilink.links.reselection.anew import ReplannedServing
from infilink.links.reselection.posterior import Posterior, Seen
from infilink.links.reselection.profile import Profiler, by_target
from infilink.links.serving import Serving
from infilink.links.table import Table
from infilink.links.training.train import train_links
from infilink.outputs import Array
from infilink.traces.trace import Trace

sys.path.insert(0, str(Path(__file__).parents[2]))

from real.data import DEMO_CLIPS, DEMO_MODELS, find_data, link_models
from reference_enumeration import tables_problem

STREET_S = 300.0
STREET_SEED = 31
LEARNT = 0.6
GAP = 0.02
BUDGETS = (20, 30, 40, 50, 60, 80)
RANDOM_SETS = 5
REVIEW_S = 20.0
PROFILED = 0.03
ORACLE_WEIGHT = 1.0
DRAWS = 3
OURS = "ours"
ANEW = "ours, chosen anew"
POLICIES = (
    "constant",
    "hold + round-robin",
    "ours without links",
    "best fixed set",
    "random fixed set",
    "paper, stop",
    "paper, skip",
    OURS,
    ANEW,
    "oracle of our class",
)


@dataclass(frozen=True)
class Reached:
    """What a policy reached: over all answers, over those it did not execute, and the share of these."""

    agreement: float
    predicted: float | None
    saved: float


@dataclass(frozen=True)
class Replayed:
    """The part of a recording that is replayed."""

    captured_s: Array
    outputs: Mapping[str, Sequence[Array]]

    def rows(self) -> Iterator[tuple[float, dict[str, Array]]]:
        for row, moment in enumerate(self.captured_s):
            yield float(moment), {name: values[row] for name, values in self.outputs.items()}


def reach(graph: LinkGraph, part: Replayed, serving: Serving) -> Reached:
    """Replays a plan that stays."""
    tally = Tally(graph.models)
    for row, answers in enumerate(replay(serving, part.captured_s, part.outputs)):
        tally.add(answers, {name: values[row] for name, values in part.outputs.items()})
    return Reached(tally.agreement, tally.predicted_agreement, tally.saved)


def moved(tables: Mapping[str, Table], seen: Sequence[Seen], *, weight: float | None = None) -> dict[str, Table]:
    """Tables after what was seen."""
    found, grouped = {}, by_target(seen)
    for name, table in tables.items():
        posterior = Posterior(table) if weight is None else Posterior(table, weight=weight)
        posterior.observe(grouped.get(name, []))
        found[name] = posterior.table(table)
    return found


def chosen_anew(graph: LinkGraph, part: Replayed, budget_bytes: int, seed: int) -> Reached:
    """Ours, as a coordinator does it: profiled inputs count as executed; `seed` draws which these are."""
    tally = Tally(graph.models)
    plan = make_plan(graph, budget_bytes)
    anew = ReplannedServing(graph, plan, budget_bytes, review_s=REVIEW_S, profile=PROFILED, seed=seed)
    for moment, exact in part.rows():
        tally.add(anew.answer(moment, exact), exact)
    return Reached(tally.agreement, tally.predicted_agreement, tally.saved)


def fixed_set(graph: LinkGraph, budget_bytes: int, models: Sequence[str]) -> Plan:
    return Plan(budget_bytes, sum(graph.costs[name].memory_bytes for name in models), tuple(models))


def random_set(graph: LinkGraph, budget_bytes: int, random: np.random.Generator) -> list[str]:
    """Models in random order, each that fits."""
    chosen: list[str] = []
    for name in random.permutation(sorted(graph.models)):
        if sum(graph.costs[one].memory_bytes for one in [*chosen, str(name)]) <= budget_bytes:
            chosen.append(str(name))
    return chosen


def mean(reached: Sequence[Reached]) -> Reached:
    predicted = [each.predicted for each in reached if each.predicted is not None]
    return Reached(
        float(np.mean([each.agreement for each in reached])),
        float(np.mean(predicted)) if predicted else None,
        float(np.mean([each.saved for each in reached])),
    )


def run(graph: LinkGraph, part: Replayed, oracle: LinkGraph, budget_bytes: int) -> dict[str, Reached]:
    """Every policy at one budget."""
    free, random = graph.without_links(), np.random.default_rng(0)
    sizes = {name: float(cost.memory_bytes) for name, cost in graph.costs.items()}
    problem = tables_problem(graph.tables, [Resource("memory_bytes", budget_bytes, sizes)])
    sets = [random_set(graph, budget_bytes, random) for _ in range(RANDOM_SETS)]
    plans = {
        "constant": (free, Plan(budget_bytes, 0, ())),
        "hold + round-robin": (free, hold_plan(graph.costs, budget_bytes)),
        "ours without links": (free, make_plan(free, budget_bytes)),
        "best fixed set": (graph, make_plan(graph, budget_bytes, options=PlanOptions(refresh_choices_s=()))),
        "paper, stop": (graph, fixed_set(graph, budget_bytes, paper_rule(problem, skip=False).chosen)),
        "paper, skip": (graph, fixed_set(graph, budget_bytes, paper_rule(problem, skip=True).chosen)),
        OURS: (graph, make_plan(graph, budget_bytes)),
        "oracle of our class": (oracle, make_plan(oracle, budget_bytes)),
    }
    found = {name: reach(graph, part, Serving(used, plan)) for name, (used, plan) in plans.items()}
    found["random fixed set"] = mean(
        [reach(graph, part, Serving(graph, fixed_set(graph, budget_bytes, each))) for each in sets]
    )
    found[ANEW] = mean([chosen_anew(graph, part, budget_bytes, seed) for seed in range(DRAWS)])
    return {name: found[name] for name in POLICIES}


def measure(path: Path, budgets: Sequence[int]) -> dict[int, dict[str, Reached]]:
    """All policies on one recording, by budget in percent."""
    with tempfile.TemporaryDirectory() as folder, Trace(path) as trace:
        learnt = round(LEARNT * len(trace))
        with trace.part(0, learnt) as part:
            train_links(part, out=Path(folder) / "links")
        graph = LinkGraph.load(Path(folder) / "links")
        start = learnt + round(GAP * len(trace))
        with trace.part(start, len(trace)) as rest:
            replayed = Replayed(rest.captured_s, {name: rest.outputs(name) for name in graph.models})
    profiler, seen = Profiler(graph), []
    for moment, exact in replayed.rows():
        seen += profiler.observe(moment, exact)
    oracle = graph.with_tables(moved(graph.tables, seen, weight=ORACLE_WEIGHT))
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    smallest = min(cost.memory_bytes for cost in graph.costs.values())
    found = {}
    for percent in budgets:
        if total * percent // 100 < smallest:
            print(f"{path.stem}: {percent} % of {total / 2**20:.0f} MiB holds no model", flush=True)
            continue
        found[percent] = run(graph, replayed, oracle, total * percent // 100)
    return found


def show(name: str, found: Mapping[int, Mapping[str, Reached]]) -> None:
    """A table: policies by budgets, each cell overall agreement / that of what was not executed."""
    print(f"\n**{name}**: agreement of all answers / of those not executed (executions saved)\n")
    print("| policy | " + " | ".join(f"{percent} %" for percent in found) + " |")
    print("|---|" + "---|" * len(found))
    for policy in POLICIES:
        cells = []
        for reached in (each[policy] for each in found.values()):
            predicted = "-" if reached.predicted is None else f"{reached.predicted:.3f}"
            cells.append(f"{reached.agreement:.3f} / {predicted} ({reached.saved:.0%})")
        print(f"| {policy} | " + " | ".join(cells) + " |", flush=True)


def compare(found: Mapping[str, Mapping[int, Mapping[str, Reached]]], own: str) -> None:
    """Where one of ours stands against everything that can be had without it, and against the oracle."""
    realisable = [policy for policy in POLICIES if not policy.startswith(("ours", "oracle"))]
    behind, to_oracle = [], []
    for name, budgets in found.items():
        for percent, policies in budgets.items():
            ours = policies[own].agreement
            best = max(realisable, key=lambda policy: policies[policy].agreement)
            to_oracle.append(policies["oracle of our class"].agreement - ours)
            if ours < policies[best].agreement - 1e-9:
                behind.append((policies[best].agreement - ours, f"{name} {percent} %: {best}"))
    cases = len(to_oracle)
    ahead = f"{cases - len(behind)} of {cases}"
    print(f"\n{own} is ahead of or equal to every realisable policy in {ahead} cases; behind in:")
    for gap, where in sorted(behind, reverse=True):
        print(f"- {where}, by {gap:.3f}")
    print(f"to the oracle of our class: {np.mean(to_oracle):.3f} on average, {np.max(to_oracle):.3f} at most")


def summarise(found: Mapping[str, Mapping[int, Mapping[str, Reached]]]) -> None:
    """What the figures that are asked for come to."""
    for own in (ANEW, OURS):
        compare(found, own)
    for policy in POLICIES:
        every = [policies[policy].agreement for budgets in found.values() for policies in budgets.values()]
        print(f"{policy}: {np.mean(every):.3f} on average")
    print("\nat the budget that saves nearest to two thirds of the executions:")
    for name, budgets in found.items():
        percent = min(budgets, key=lambda each: abs(budgets[each][ANEW].saved - 2 / 3))
        ours, hold = budgets[percent][ANEW], budgets[percent]["hold + round-robin"]
        print(
            f"- {name} ({percent} %, {ours.saved:.0%} saved): {ours.agreement:.3f}; "
            f"not executed {1 if ours.predicted is None else ours.predicted:.3f}, "
            f"hold + round-robin {1 if hold.predicted is None else hold.predicted:.3f} ({hold.saved:.0%} saved)"
        )


def record_traces(folder: Path) -> list[Path]:
    """The street's trace and, where the data is, those of the real clips."""
    from infilink.device.record import record
    from infilink.examples import street
    from infilink.examples.street.video import write_video
    from infilink.models.spec import find_models

    paths = []
    write_video(folder / "street.mp4", STREET_S, seed=STREET_SEED)
    models = find_models(Path(street.__file__).parent / "models")
    record(str(folder / "street.mp4"), models, folder / "street.trace", every=2)
    paths.append(folder / "street.trace")
    data = find_data()
    if data is None:
        print("real clips are left out: no data folder (set INFILINK_DATA)")
        return paths
    real = find_models(link_models(data, folder / "models", (*DEMO_MODELS, "ultraface-RFB-640")))
    for clip in DEMO_CLIPS:
        source = next((data / "video").glob(f"{clip}.*"))
        every = 1 if clip in ("lobby_person", "campus_pedestrians") else 3
        record(str(source), real, folder / f"{clip}.trace", every=every)
        paths.append(folder / f"{clip}.trace")
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, nargs="*", default=[])
    parser.add_argument("--budgets", type=int, nargs="*", default=list(BUDGETS))
    options = parser.parse_args()
    started, found = time.perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        for path in options.trace or record_traces(Path(folder)):
            found[path.stem] = measure(path, options.budgets)
            show(path.stem, found[path.stem])
    summarise(found)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
