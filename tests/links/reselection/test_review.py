from dataclasses import replace

import numpy as np
import pytest
from infilink.links.graph import LinkGraph
from infilink.links.planning.options import PlanOptions
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan, plan_problem
from infilink.links.planning.search import Search
from infilink.links.reselection.posterior import Posterior
from infilink.links.reselection.profile import Profiler, by_target
from infilink.links.reselection.review import plan_value, review

from ..conftest import crossing

BUDGET = 130 * 2**20


def tables_of(graph: LinkGraph, seen):
    posteriors = {name: Posterior(table) for name, table in graph.tables.items()}
    for target, found in by_target(seen).items():
        posteriors[target].observe(found)
    return {name: posteriors[name].table(table) for name, table in graph.tables.items()}


def profile(graph: LinkGraph, rows, step_s: float = 0.5):
    profiler = Profiler(graph)
    return [seen for index, row in enumerate(rows) for seen in profiler.observe(index * step_s, row)]


def test_a_plans_value_is_what_the_search_says(graph: LinkGraph) -> None:
    for budget_mib in (60, 100, 130, 200):
        problem = plan_problem(graph.costs, graph.tables, budget_mib * 2**20, options=PlanOptions(input_every_s=2.0))
        found = Search(problem).best()
        assert found is not None
        plan = make_plan(graph, budget_mib * 2**20, options=PlanOptions(input_every_s=2.0))
        assert plan_value(problem, plan) == pytest.approx(found.value, abs=1e-6)


def test_a_profile_sees_every_way_at_every_age_it_can(graph: LinkGraph) -> None:
    seen = profile(graph, crossing(40, 5))
    ways = {(one.target, one.origin, one.sources) for one in seen}
    for target, table in graph.tables.items():
        assert {(target, "constant", ()), (target, "held", ())} <= ways
        assert {(target, "linked", sources) for sources in table.linked} <= ways
    assert all(0.0 <= one.agreement <= 1.0 for one in seen)
    assert len({one.age for one in seen if one.origin == "held"}) >= 4


def test_models_that_did_not_run_are_neither_judged_nor_asked(graph: LinkGraph) -> None:
    rows = [{name: row[name] for name in ("vehicles", "scene")} for row in crossing(5, 5)]
    seen = profile(graph, rows)
    assert {one.target for one in seen} == {"vehicles", "scene"}
    assert all(set(one.sources) <= {"vehicles", "scene"} for one in seen)


def test_where_links_still_hold_the_plan_stays(graph: LinkGraph) -> None:
    plan = make_plan(graph, BUDGET)
    tables = tables_of(graph, profile(graph, crossing(120, 5)))
    found = review(plan_problem(graph.costs, tables, BUDGET), graph.costs, plan, period_s=3600.0)
    assert not found.switch and found.gain <= 0.02


def test_where_a_link_breaks_the_plan_is_changed(graph: LinkGraph) -> None:
    """Cars no longer tell of the scene, nor of who stands: these now have to run themselves."""
    rng = np.random.default_rng(3)
    rows = crossing(150, 5)
    for row in rows:
        row["scene"] = np.asarray([0.9, 0.1] if rng.random() < 0.5 else [0.1, 0.9], np.float32)
        row["standing"] = np.asarray([rng.integers(0, 6)], np.float32)
    served = Plan(BUDGET, 0, ("vehicles",))
    tables = tables_of(graph, profile(graph, rows))
    problem = plan_problem(graph.costs, tables, BUDGET, options=PlanOptions(refresh_choices_s=()))
    found = review(problem, graph.costs, served, period_s=3600.0)
    assert found.switch and found.gain > 0.05
    assert {"scene", "standing"} <= set(found.plan.resident)


def test_a_gain_that_does_not_pay_for_the_loads_changes_nothing(graph: LinkGraph) -> None:
    served = Plan(BUDGET, 0, ("people",))
    problem = plan_problem(graph.costs, graph.tables, BUDGET, options=PlanOptions(refresh_choices_s=()))
    assert review(problem, graph.costs, served, period_s=3600.0).switch
    slow = {name: replace(cost, load_s=3600.0) for name, cost in graph.costs.items()}
    assert not review(problem, slow, served, period_s=3600.0).switch
