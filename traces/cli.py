"""`infilink import`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from ..units import format_bytes
from .import_log import ASSUMED_COST, LoggedModels, import_outputs
from .log_table import read_logged


def import_command(
    outputs: Annotated[Path, typer.Argument(help="The log: .csv, .parquet or .npz.")],
    spec: Annotated[Path, typer.Option(help="The folder with a TOML for each model.")],
    out: Annotated[Path, typer.Option(help="The trace to write.")],
    time: Annotated[str, typer.Option(help="The column of times; default captured_s, time or timestamp.")] = "",
    missing: Annotated[
        Literal["refuse", "drop"], typer.Option(help="Rows in which a model has no output: refuse, or leave out.")
    ] = "refuse",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a trace of outputs that another system logged: links learn from it, no model needs to be here.

    docs/LINKS.md shows the forms a log may have.
    """
    models = LoggedModels.read(spec)
    done = import_outputs(read_logged(outputs, models.models, time=time), models, out, missing=missing)
    if as_json:
        print(json.dumps({**asdict(done), "path": str(out), "costs": {n: asdict(c) for n, c in models.costs.items()}}))
        return
    console = Console()
    dropped = f", {done.dropped} rows left out" if done.dropped else ""
    console.print(f"{out}: {done.inputs} inputs of {', '.join(models.models)}{dropped}", highlight=False)
    if done.assumed:
        cost = f"{format_bytes(ASSUMED_COST.memory_bytes)}, {ASSUMED_COST.infer_s * 1000:g} ms an input"
        console.print(
            f"[yellow]note:[/] {', '.join(done.assumed)}: no spec says what they cost, {cost} assumed; plans go by "
            r"that: add \[cost] with memory, infer_s, load_s",
            highlight=False,
        )
