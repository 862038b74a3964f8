"""The command `infilink sources`: what inputs can come from, and how each is written."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .sources.names import KINDS


def sources_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Show every kind of source: what it is, how it is written, an example, what its inputs are, whether it is live.

    The same text names a source wherever one is named: `--source`, `--camera NAME=...`, and `source` in device.toml.
    """
    if as_json:
        print(json.dumps([asdict(kind) for kind in KINDS]))
        return
    table = Table()
    for heading in ("source", "written", "example", "inputs", "live"):
        # Folded: who reads this is to write it, and can't write what was cut off.
        table.add_column(heading, overflow="fold")
    for kind in KINDS:
        table.add_row(kind.what, kind.written, kind.example, kind.form, kind.live)
    Console().print(table)
    print("Windows, rates and columns are chosen beside it: --window, --rate, --channels ...; see docs/SOURCES.md")
