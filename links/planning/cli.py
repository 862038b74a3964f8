"""`infilink plan LINKS --budget`: a site's plan, and what other budgets and numbers of streams would give."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from ...errors import InvalidInput
from ...units import parse_budget, parse_compute
from ..graph import LinkGraph
from ..scheduling.weights import Weights
from .explanation import explain_plan
from .planned_text import print_explanation, print_plan, print_what_if
from .planner import best_plan, make_plan, plan_problem
from .streams import streams_of
from .what_if import other_compute, other_memory, other_streams


def plan_site(
    graph: LinkGraph,
    *,
    budget: str,
    compute: str,
    streams: int | None,
    cameras: Sequence[str],
    rate: float | None,
    weights: Mapping[str, float],
    explain: bool,
    as_json: bool,
) -> None:
    """Prints the plan.

    Args:
        graph: the links.
        budget: the memory, as people write it.
        compute: the processors, as people write them.
        streams: so many streams of the kind that was learnt from.
        cameras: or these.
        rate: inputs of each in a second; None: as recorded.
        weights: of models.
        explain: whether to say what every other choice would have brought.
        as_json: whether to print one JSON object.

    Raises:
        InvalidInput: a flag makes no sense.
    """
    if cameras and streams is not None:
        raise InvalidInput("give --streams N (of the kind that was learnt from) or --camera NAME, not both")
    if streams is not None and streams < 1:
        raise InvalidInput(f"--streams {streams}: give a number from 1 up")
    if rate is not None and not 0 < rate < float("inf"):
        raise InvalidInput(f"--rate {rate:g}: give inputs a second above 0, behind the filter, as in 2.5")
    unknown = [name for name in cameras if graph.cameras and name not in graph.cameras]
    if unknown:
        raise InvalidInput(
            f"--camera {unknown[0]}: the links know {', '.join(graph.cameras)}; for a camera that nobody has seen give "
            "--streams"
        )
    budget_bytes = parse_budget(budget, {name: cost.memory_bytes for name, cost in graph.costs.items()})
    cores, of_models = parse_compute(compute), Weights(models=weights)
    site = streams_of(graph, names=cameras, count=streams, inputs_per_s=rate)
    problem = plan_problem(graph, budget_bytes, streams=site, compute_cores=cores, weights=of_models)
    explained = explain_plan(problem) if explain else None
    plan = explained.plan if explained else best_plan(problem)
    free = graph.without_links()
    held = make_plan(
        free,
        budget_bytes,
        streams=streams_of(free, names=cameras, count=streams, inputs_per_s=rate),
        compute_cores=cores,
        weights=of_models,
    )
    others = {
        "memory": other_memory(graph, site, compute_cores=cores, weights=of_models),
        "compute": other_compute(graph, site, budget_bytes, weights=of_models),
        "streams": other_streams(graph, site, budget_bytes, compute_cores=cores, weights=of_models),
    }
    if as_json:
        rows = {name: [asdict(item) for item in items] for name, items in others.items()}
        data = {**asdict(plan), "without_links": held.expected_agreement, "what_if": rows}
        if explained is not None:
            data["explanation"] = {name: value for name, value in asdict(explained).items() if name != "plan"}
        print(json.dumps(data))
        return
    console = Console()
    print_plan(console, plan, held, graph.costs)
    if explained is not None:
        print_explanation(console, explained)
    print_what_if(console, **others)
