import numpy as np
import pytest
from infilink.links.evaluation.tally import Tally
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.reselection.anew import ReplannedServing
from infilink.links.serving import Serving

from ..conftest import crossing

BUDGET = 130 * 2**20
STEP_S = 0.5


def broken(count: int) -> list[dict[str, np.ndarray]]:
    """A crossing where cars no longer tell of the scene, nor of who stands."""
    rng, rows = np.random.default_rng(3), crossing(count, 5)
    for row in rows:
        row["scene"] = np.asarray([0.9, 0.1] if rng.random() < 0.5 else [0.1, 0.9], np.float32)
        row["standing"] = np.asarray([rng.integers(0, 6)], np.float32)
    return rows


def served(anew: ReplannedServing, rows: list[dict[str, np.ndarray]]) -> Tally:
    tally = Tally(anew.graph.models)
    for index, row in enumerate(rows):
        tally.add(anew.answer(index * STEP_S, row), row)
    return tally


def stays(graph: LinkGraph, plan: Plan, rows: list[dict[str, np.ndarray]]) -> float:
    tally, serving = Tally(graph.models), Serving(graph, plan)
    for index, row in enumerate(rows):
        running = {*plan.resident, *serving.due(index * STEP_S)}
        tally.add(serving.complete(index * STEP_S, {name: row[name] for name in running}), row)
    return tally.agreement


def test_where_links_break_it_finds_the_models_to_run(graph: LinkGraph) -> None:
    plan, rows = Plan(BUDGET, 0, ("vehicles",)), broken(240)
    anew = ReplannedServing(graph, plan, BUDGET, review_s=20.0, profile=0.05)
    assert served(anew, rows).agreement > stays(graph, plan, rows) + 0.1
    assert anew.switches >= 1 and {"scene", "standing"} <= {*anew.serving.plan.resident, *anew.serving.plan.rotating}


def test_where_nothing_breaks_it_costs_next_to_nothing(graph: LinkGraph) -> None:
    plan, rows = make_plan(graph, BUDGET), crossing(200, 7)
    anew = ReplannedServing(graph, plan, BUDGET, review_s=20.0, profile=0.02)
    assert served(anew, rows).agreement >= stays(graph, plan, rows) - 0.01


def test_the_budget_is_kept_but_for_the_profile(graph: LinkGraph) -> None:
    anew = ReplannedServing(graph, make_plan(graph, BUDGET), BUDGET, review_s=5.0, profile=0.0)
    for index, row in enumerate(broken(80)):
        anew.answer(index * STEP_S, row)
        residents = sum(graph.costs[name].memory_bytes for name in anew.serving.plan.resident)
        turns = max((graph.costs[name].memory_bytes for name in anew.serving.plan.rotating), default=0)
        assert residents + turns <= BUDGET


def test_the_same_seed_does_the_same(graph: LinkGraph) -> None:
    agreements = [
        served(
            ReplannedServing(graph, make_plan(graph, BUDGET), BUDGET, review_s=10.0, profile=0.1, seed=4), broken(60)
        ).agreement
        for _ in range(2)
    ]
    assert agreements[0] == pytest.approx(agreements[1], abs=0)
