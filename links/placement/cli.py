"""`infilink plan --devices` and `infilink init devices`: what is printed, and the placement file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...models.placement import PlacedDevice, PlacedModel, PlacementFile
from ...settings import write_settings
from ..graph import LinkGraph
from .devices_file import DEFAULT_TOML, DevicesFile
from .places import CLOUD
from .problem import PlacementProblem
from .result import PlacedAnswer, Placement, Where, amount
from .solver import place

_WHERE: dict[Where, Literal["device", "cloud", "linked", "held", "constant"]] = {
    "device": "device",
    "cloud": "cloud",
    "linked in the cloud": "linked",
    "held": "held",
    "constant": "constant",
}
_COLOURS = {"device": "green", "cloud": "cyan", "linked": "yellow"}


def init_devices_command(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("devices.toml"),
) -> None:
    """Write a file of devices to place models on, every key explained."""
    write_settings(out, DEFAULT_TOML)
    print(f"wrote {out}; place models with: infilink plan LINKS --devices {out}")


def plan_devices(
    graph: LinkGraph,
    devices: Path,
    *,
    weights: Mapping[str, float],
    explain: bool,
    as_json: bool,
    out: Path | None = None,
) -> None:
    """Prints what runs on each device, what in the cloud, and what is predicted.

    Args:
        graph: the models and links.
        devices: the file that says which devices there are.
        weights: how much models' answers matter, in the place of those in the file.
        explain: say which budgets are in the way of what does not run.
        as_json: print one JSON object, reasons included.
        out: write the placement here, for agents and the coordinator; then links answer in the cloud alone, as these
            do it.

    Raises:
        InvalidInput: the file has a mistake, SciPy is not installed, no model fits anywhere, or `out` can't be written.
    """
    problem = DevicesFile.load(devices).problem(graph, weights, links_on_devices=out is None)
    placed = place(problem)
    if out is not None:
        placement_file(problem, placed, graph.digests).save(out)
    if as_json:
        print(json.dumps(asdict(placed)))
        return
    print_placement(Console(), problem, placed, explain=explain)
    if out is not None:
        print(f"wrote {out}: give it to `infilink cloud --placement` and to each `infilink device --placement`")


def print_placement(console: Console, problem: PlacementProblem, placed: Placement, *, explain: bool) -> None:
    """Prints what runs where, what is taken of every budget and, if asked to, why the rest does not run."""
    table = Table(title="what runs where")
    table.add_column("model")
    for device in problem.devices:
        table.add_column(f"{escape(device.name)} x {device.count}")
    table.add_column(CLOUD)
    for name in problem.names:
        cells = [_cell(placed.answers[device.name][name]) for device in problem.devices]
        table.add_row(escape(name), *cells, "in memory" if name in placed.held_in_cloud else "")
    console.print(table)
    console.print(
        f"expected agreement {placed.expected_agreement:.3f} over all models and devices; {placed.value:.3f} on the "
        "block that choices are made on, which the table's figures are from",
        highlight=False,
    )
    if placed.gap:
        console.print(f"time was up: the best placement may be better by {placed.gap:.4f}")
    for name, sent in placed.sent.items():
        console.print(f"{name} sends {', '.join(sent) or 'nothing'}", highlight=False, markup=False)
    console.print(_uses(placed))
    if explain:
        _print_reasons(console, problem, placed)


def _cell(answer: PlacedAnswer) -> str:
    if answer.where in ("device", "cloud"):
        return f"[{_COLOURS[answer.where]}]{answer.where}[/]"
    if answer.where in ("held", "constant"):
        return f"{answer.where} {answer.agreement:.2f}"
    place = " in the cloud" if answer.where == "linked in the cloud" else ""
    sources = escape("+".join(answer.sources) or "itself")
    return f"[{_COLOURS['linked']}]linked[/] from {sources}{place} {answer.agreement:.2f}"


def _uses(placed: Placement) -> Table:
    table = Table(title="budgets")
    for column in ("place", "of", "used", "budget"):
        table.add_column(column, justify="right" if column in ("used", "budget") else "left")
    for use in placed.uses:
        if use.budget is None and not use.used:
            continue
        budget = "no limit" if use.budget is None else amount(use.resource, use.budget)
        table.add_row(escape(use.place), use.resource.split("_")[0], amount(use.resource, use.used), budget)
    return table


def _print_reasons(console: Console, problem: PlacementProblem, placed: Placement) -> None:
    console.print("\n[bold]why not run[/] (beside all else that was chosen)", highlight=False)
    for device, answers in placed.answers.items():
        for name, answer in answers.items():
            if answer.where in ("device", "cloud"):
                continue
            console.print(f"{name} of {device}", style="bold", highlight=False, markup=False)
            for refusal in answer.refused:
                place = "in the cloud" if refusal.place == CLOUD else "on the device"
                console.print(f"  - {place}: {refusal.text}", highlight=False, markup=False)
            if not answer.refused:
                virtual = not problem.runnable[problem.names.index(name)]
                why = "nothing runs for it: it is virtual" if virtual else "it would bring nothing"
                console.print(f"  - {why}", highlight=False)


def placement_file(problem: PlacementProblem, placed: Placement, digests: Mapping[str, str]) -> PlacementFile:
    """A placement as the file that agents and the coordinator read.

    Args:
        problem: what was chosen from, without links on devices: agents don't compute them.
        placed: the placement.
        digests: each model file's digest.
    """
    budget = problem.cloud.memory_bytes
    devices = {
        device.name: PlacedDevice(
            send="inputs" if "inputs" in placed.sent[device.name] else "outputs",
            expected_agreement=float(
                sum(
                    weight * placed.answers[device.name][name].expected_agreement
                    for name, weight in zip(problem.names, weights, strict=True)
                )
            ),
            models={name: _model(answer) for name, answer in placed.answers[device.name].items()},
        )
        for device, weights in zip(problem.devices, problem.model_weights, strict=True)
    }
    return PlacementFile(
        digests=dict(digests),
        virtual=tuple(name for name, runs in zip(problem.names, problem.runnable, strict=True) if not runs),
        cloud_memory_bytes=int(budget) if isfinite(budget) else None,
        expected_agreement=placed.expected_agreement,
        devices=devices,
    )


def _model(answer: PlacedAnswer) -> PlacedModel:
    return PlacedModel(where=_WHERE[answer.where], sources=answer.sources, expected_agreement=answer.expected_agreement)
