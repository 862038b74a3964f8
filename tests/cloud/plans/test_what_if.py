"""Plans for other budgets are those of the coordinator's own planner, asked in a process of its own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.plans.what_if import Planned, Question, WhatIf, changes
from infilink.errors import InvalidInput, Overloaded
from infilink.links.graph import LinkGraph
from infilink.links.planning.planner import hold_plan, make_plan
from infilink.links.planning.streams import streams_of

MIB = 2**20


def planned_of(serve: Callable, **settings: object) -> Planned | None:
    async def story(coordinator: Coordinator) -> Planned | None:
        return Planned.of(coordinator.initial, coordinator.config)

    return serve(story, **settings)


def test_it_is_what_the_coordinator_would_plan_at_its_start(serve: Callable, links: Path):
    planned = planned_of(serve, links=links, answers="links", budget="100MiB")
    graph = LinkGraph.load(links)
    for budget_bytes, cores, streams in ((60 * MIB, 0.1, 3), (None, 2.0, 1), (200 * MIB, 0.01, 40)):
        found = asyncio.run(WhatIf(planned).ask(Question(budget_bytes, cores, streams)))
        whole = make_plan(graph, budget_bytes, streams=streams_of(graph, count=streams), compute_cores=cores)
        assert (found.resident, found.served, found.expected_agreement) == (
            whole.resident,
            whole.served,
            whole.expected_agreement,
        )


def test_without_links_outputs_are_held(serve: Callable):
    planned = planned_of(serve, answers="hold", budget="none")
    found = asyncio.run(WhatIf(planned).ask(Question(None, 0.5, 2)))
    assert found.resident == hold_plan(planned.costs, None, streams=2, compute_cores=0.5).resident


def test_where_everything_runs_nothing_is_planned(serve: Callable):
    assert planned_of(serve) is None


def test_what_changes_is_said_and_that_nothing_does(serve: Callable, links: Path):
    planned = planned_of(serve, links=links, answers="links")
    whole, less = planned.plan(Question(None, 8.0, 1)), planned.plan(Question(31 * MIB, 8.0, 1))
    assert changes(whole, whole) == []
    told = changes(whole, less)
    assert any(text.startswith("corner would be never loaded (now kept loaded)") for text in told)


def test_a_budget_that_holds_no_model_is_refused_with_what_is_needed(serve: Callable, links: Path):
    planned = planned_of(serve, links=links, answers="links")
    with pytest.raises(InvalidInput, match=r"smallest, bright, needs 30\.0 MiB"):
        asyncio.run(WhatIf(planned).ask(Question(1, 1.0, 1)))


@pytest.mark.parametrize(("cores", "streams"), [(0.0, 1), (float("nan"), 1), (float("inf"), 1), (1.0, 0), (1.0, 257)])
def test_budgets_that_make_no_sense_are_refused(cores: float, streams: int):
    with pytest.raises(InvalidInput, match=r"`cores`|`streams`"):
        Question(None, cores, streams)


def test_a_plan_that_takes_too_long_is_given_up(serve: Callable, links: Path):
    planned = planned_of(serve, links=links, answers="links")
    with pytest.raises(Overloaded, match="no plan was found"):
        asyncio.run(WhatIf(planned, within_s=0.0).ask(Question(None, 1.0, 1)))
