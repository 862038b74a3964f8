"""`infilink plan --devices` and `infilink init devices`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ...config_file import write_settings
from ..graph import LinkGraph
from .devices_file import DEFAULT_TOML, DevicesFile
from .exported import placement_file
from .placed_text import print_placement
from .solver import place


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


def init_devices_command(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("devices.toml"),
) -> None:
    """Write a file of devices to place models on, every key explained."""
    write_settings(out, DEFAULT_TOML)
    print(f"wrote {out}; place models with: infilink plan LINKS --devices {out}")
