"""The plan that the coordinator starts with: what is loaded first, what is expected to run how often, and why."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ...errors import InvalidInput
from ...links.graph import LinkGraph
from ...links.planning.plan import AnswerSource, Plan
from ...links.planning.planner import full_plan, hold_plan, make_plan
from ...links.scheduling.schedule import SiteSchedule
from ...links.scheduling.weights import Weights
from ...models.cost import ModelCost
from ...models.inputs.form import InputForm
from ...models.placement import PlacedDevice, PlacedModel, PlacementFile
from ...models.providers import HOST
from ...models.stem.stem import Stem
from ...units import format_bytes, parse_budget, parse_compute
from ..config import CloudConfig
from ..model_store import ServedModel
from ..repository import Repository
from ..runtime.machine import Machine
from .fitting import joined, misfits, without_models

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InitialPlan:
    """A plan with the links and costs that it is made from.

    Attributes:
        plan: what runs.
        graphs: the links, of each kind of inputs; none: models that do not run are answered by their last output.
        costs: each model's cost; empty where everything runs and there is no budget.
        placement: what runs for which devices; None: the plan is for all devices.
        placed: the placement's plans, by class of devices.
        host_bytes: the budget of the machine's own memory; None: no limit. The plan's is that of the place that most
            models run in.
    """

    plan: Plan
    graphs: tuple[LinkGraph, ...]
    costs: Mapping[str, ModelCost]
    placement: PlacementFile | None = None
    placed: Mapping[str, Plan] = field(default_factory=dict)
    host_bytes: int | None = None

    @cached_property
    def graph(self) -> LinkGraph | None:
        """All links as one, to plan with and to find models in."""
        return joined(self.graphs) if self.graphs else None

    def links_of(self, model: str) -> LinkGraph | None:
        """The links that a model is one of."""
        return next((graph for graph in self.graphs if model in graph.models), None)

    def links_for(self, form: InputForm, models: Collection[str]) -> tuple[LinkGraph | None, str]:
        """The links for a stream, and why others for its models do not fit, in words.

        Args:
            form: of its inputs.
            models: those that look at them.
        """
        why = ""
        for graph in self.graphs:
            if not graph.models.keys().isdisjoint(models):
                if not (differs := graph.differs(form)):
                    return graph, ""
                why = f"the links were learnt from other inputs: {differs}"
        return None, why

    def stem_for(self, form: InputForm) -> Stem | None:
        """The stem whose features the links for such inputs read; None: they read none."""
        return next((graph.stem for graph in self.graphs if graph.stem is not None and not graph.differs(form)), None)

    def told(self, schedule: SiteSchedule | None) -> str:
        """What runs, under which budgets, in a line.

        Args:
            schedule: decides what runs; None: everything does.
        """
        plan = self.plan
        loaded = f"loaded: {', '.join(plan.resident) or 'none yet'}"
        if schedule is None:
            return f"{loaded}; they run on every input"
        memory = "no limit of memory" if plan.budget_bytes is None else f"{format_bytes(plan.budget_bytes)} of memory"
        return (
            f"{loaded}; {memory}, {schedule.compute_cores:g} cores: within these models run where that tells most, and "
            f"an agreement of {plan.expected_agreement:.3f} is expected"
        )

    def plan_for(self, device_class: str) -> Plan:
        """The plan for one class of devices."""
        return self.placed.get(device_class, self.plan)


async def make_initial_plan(config: CloudConfig, repository: Repository, machine: Machine | None = None) -> InitialPlan:
    """Reads the links, measures the models whose costs are not known, and plans.

    Args:
        config: the coordinator's.
        repository: its models.
        machine: where they run; None: as the configuration says.

    Raises:
        InvalidInput: the links or the placement are of other models, nothing fits the budget, or a partitioned model's
            second part is given a budget.
    """
    _check_weights(config.site_weights, repository)
    machine = Machine(config) if machine is None else machine
    free = config.answers == "full" and config.host_budget == "none" and config.placement is None
    if repository.tail is not None and not free:
        raise InvalidInput(
            f"{config.models}: holds the second part of {repository.tail.model}, which is served whole: leave "
            "`answers`, `budget` and `placement` out"
        )
    graphs = _read_all_links(config.link_folders, repository)
    graph = joined(graphs) if graphs else None
    costs = dict(graph.costs) if graph is not None else {}
    if config.placement is not None:
        return _read_placement(config.placement, graphs)
    if config.host_budget != "none" or config.answers != "full":
        # Links were learnt where the models ran on processors: what one takes of a card is measured here.
        costs = {name: cost for name, cost in costs.items() if _place(name, repository, machine) == HOST}
        costs |= await _measure([repository.models[name] for name in repository.paths if name not in costs], machine)
    main = machine.main_place(repository.paths)
    sizes = {name: cost.memory_bytes for name, cost in costs.items() if _place(name, repository, machine) == HOST}
    host_bytes = None if config.host_budget == "none" else parse_budget(config.host_budget, sizes)
    budget_bytes = host_bytes if main == HOST else machine.cards[main].budget.limit_bytes
    if config.answers == "full":
        plan = full_plan(repository.specs, costs)
        if host_bytes is not None and sum(sizes.values()) > host_bytes:
            raise InvalidInput(
                f"budget {config.host_budget}: all {len(costs)} models take {format_bytes(plan.memory_bytes)}; give "
                'more, or set `answers` to "links" or "hold" to run a part of them'
            )
        return InitialPlan(plan, (), costs, host_bytes=host_bytes)
    cores = parse_compute(config.compute)
    # What runs elsewhere takes nothing of the place that the others take turns in.
    here = {
        name: cost if _place(name, repository, machine) == main else replace(cost, memory_bytes=0)
        for name, cost in costs.items()
    }
    if config.answers == "hold":
        return InitialPlan(hold_plan(here, budget_bytes, compute_cores=cores), (), costs, host_bytes=host_bytes)
    assert graph is not None, "the configuration is checked"
    for each in (graph, *graphs):
        each.costs.update({name: here[name] for name in each.costs})
    plan = make_plan(graph, budget_bytes, compute_cores=cores, weights=config.site_weights)
    return InitialPlan(_with_others(plan, here), graphs, costs, host_bytes=host_bytes)


def _with_others(plan: Plan, costs: Mapping[str, ModelCost]) -> Plan:
    """A plan that begins also with what no links know, as far as there is room: the schedule says what stays."""
    resident, memory_bytes = list(plan.resident), plan.memory_bytes
    for name, cost in costs.items():
        fits = plan.budget_bytes is None or memory_bytes + cost.memory_bytes <= plan.budget_bytes
        if name not in plan.served and fits:
            resident.append(name)
            memory_bytes += cost.memory_bytes
    return replace(plan, resident=tuple(resident), memory_bytes=memory_bytes)


def _place(name: str, repository: Repository, machine: Machine) -> str:
    return machine.place(name) if name in repository.paths else HOST


def _check_weights(weights: Weights, repository: Repository) -> None:
    """Makes sure that weights are of models and classes that are here."""
    for key in (*weights.models, *weights.classes):
        name, _, label = key.partition(":")
        if name not in repository.specs:
            raise InvalidInput(f"weights: {key!r} is of no model here (there are: {', '.join(repository.specs)})")
        classes = repository.specs[name].output.classes
        if label and label not in classes:
            raise InvalidInput(f"weights: {key!r}: {name} has no such class (it has: {', '.join(classes) or 'none'})")


def _read_all_links(folders: Sequence[Path], repository: Repository) -> tuple[LinkGraph, ...]:
    graphs: dict[Path, LinkGraph] = {}
    known_models = set[str]()
    for folder in folders:
        graph, others = _read_links(folder, repository)
        known_models.update(graph.models, others)
        for other, known in graphs.items():
            if both := sorted(known.models.keys() & graph.models.keys()):
                raise InvalidInput(f"{folder}: is of {both[0]!r}, as {other} is: a model has one folder of links")
        graphs[folder] = graph
    for name in sorted(set(repository.paths) - known_models) if graphs else ():
        logger.warning("%s: the links were learnt without it: it is answered without them", name)
    return tuple(graphs.values())


def _read_links(folder: Path, repository: Repository) -> tuple[LinkGraph, Collection[str]]:
    """A folder's links, and the models that they are of no more."""
    graph = LinkGraph.load(folder)
    others = misfits(graph, repository.digests)
    for name, why in others.items():
        logger.warning("%s: %s: it is answered without links until they are learnt again", name, why)
    if others and set(others) == set(graph.digests) & set(repository.digests):
        raise InvalidInput(f"{folder}: was learnt with none of the models that are here: give the links of these")
    graph = without_models(graph, others)
    graph.check(folder, repository.specs, repository.digests)
    taken = sorted(graph.virtual.keys() & repository.paths.keys())
    if taken:
        raise InvalidInput(
            f"{folder}: answers as {taken[0]!r}, which is a model of {repository.paths[taken[0]].parent}: move that "
            "model out, or adapt again with another --name"
        )
    return graph, others


def _read_placement(path: Path, graphs: tuple[LinkGraph, ...]) -> InitialPlan:
    placement, graph = PlacementFile.load(path), joined(graphs)
    if placement.digests != graph.digests:
        raise InvalidInput(f"{path}: was planned for other models than the links are of; plan it again")
    whole, classes = whole_plan(placement, graph.costs), class_plans(placement, graph.costs)
    return InitialPlan(whole, graphs, graph.costs, placement, classes, host_bytes=whole.budget_bytes)


def class_plans(placement: PlacementFile, costs: Mapping[str, ModelCost]) -> dict[str, Plan]:
    """The cloud's plan for each class of devices.

    Args:
        placement: what runs where.
        costs: each model's cost.
    """
    return {name: _plan(device, placement.cloud_memory_bytes, costs) for name, device in placement.devices.items()}


def whole_plan(placement: PlacementFile, costs: Mapping[str, ModelCost]) -> Plan:
    """The plan with the resident models of all classes together, which is also that of devices without a class."""
    held = {name for device in placement.devices.values() for name in device.running("cloud")}
    resident = tuple(name for name in costs if name in held)
    memory_bytes = sum(costs[name].memory_bytes for name in resident)
    return Plan(placement.cloud_memory_bytes, memory_bytes, resident, expected_agreement=placement.expected_agreement)


def _plan(device: PlacedDevice, budget_bytes: int | None, costs: Mapping[str, ModelCost]) -> Plan:
    resident = device.running("cloud")
    return Plan(
        budget_bytes,
        sum(costs[name].memory_bytes for name in resident),
        resident,
        served={name: _served(model) for name, model in device.models.items()},
        expected_agreement=device.expected_agreement,
    )


def _served(model: PlacedModel) -> AnswerSource:
    if model.where == "device":
        return AnswerSource("executed", (), model.expected_agreement, "runs on the device")
    if model.where == "cloud":
        return AnswerSource("executed", (), model.expected_agreement, "runs on every input")
    why = f"linked from {'+'.join(model.sources)}" if model.where == "linked" else f"{model.where}: no link is placed"
    return AnswerSource(model.where, model.sources, model.expected_agreement, why)


async def _measure(models: Sequence[ServedModel], machine: Machine) -> dict[str, ModelCost]:
    """Each model's cost on noise, one after another: two at once could exceed the budget."""
    costs = {}
    for model in models:
        cost = costs[model.name] = await asyncio.to_thread(machine.measure, model)
        where = "" if machine.place(model.name) == HOST else f" on {machine.place(model.name)}"
        logger.info("%s: takes %s%s", model.name, format_bytes(cost.memory_bytes), where)
    return costs
