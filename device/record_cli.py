"""The command `infilink record`: runs models over a source and shows what each of them costs."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..models.spec import find_models, select_models
from ..reporting import show_progress
from ..traces.trace import Trace
from ..units import format_bytes


def record_command(
    source: Annotated[str, typer.Option(help="A video file, an address (rtsp://...), or a camera's number.")],
    models: Annotated[Path, typer.Option(help="The folder with the .onnx models.")],
    out: Annotated[Path, typer.Option(help="The trace to write, or to continue.")],
    only: Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")] = None,
    start: Annotated[float, typer.Option(help="Where in the source to begin, seconds.", min=0)] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="How much of the source to record.", min=0.1)] = None,
    every: Annotated[int, typer.Option(help="Record one of this many frames.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run models over a source and write a trace: the inputs with every model's outputs.

    Memory does not grow with the source's length. After Ctrl-C, the same command continues where it stopped.
    """
    from .record import record

    if out.is_dir():
        raise InvalidInput(f"--out {out}: is a folder; name a file, such as {out / 'street.trace'}")
    chosen = select_models(find_models(models), only or [])
    with show_progress("recording", quiet=as_json) as progress:
        done = record(source, chosen, out, start_s=start, seconds=seconds, every=every, progress=progress)
    with Trace(out) as trace:
        costs = trace.info.costs
    if as_json:
        per_model = {name: {"memory_bytes": c.memory_bytes, "infer_s": c.infer_s} for name, c in costs.items()}
        print(
            json.dumps(
                {
                    "trace": str(out),
                    "inputs": done.inputs,
                    "added": done.added,
                    "left_out": done.left_out,
                    "models": per_model,
                }
            )
        )
        return
    left_out = f", {done.left_out} left out" if done.left_out else ""
    table = Table(title=f"{out}: {done.inputs} inputs ({done.added} new{left_out}), {format_bytes(out.stat().st_size)}")
    table.add_column("model")
    for column in ("memory", "ms per input", "ms to load"):
        table.add_column(column, justify="right")
    for name, cost in costs.items():
        table.add_row(name, format_bytes(cost.memory_bytes), f"{cost.infer_s * 1000:.1f}", f"{cost.load_s * 1000:.0f}")
    Console().print(table)
