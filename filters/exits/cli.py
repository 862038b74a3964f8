"""`infilink train exit`: a small model on the device that stands in for a bigger one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ...models.session import check_out
from ...reporting import show_progress
from ...traces.trace import Trace
from .spec import METADATA_KEY

if TYPE_CHECKING:
    from .train import ExitTraining


def train_exit_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote: with the big model's outputs.")],
    model: Annotated[str, typer.Option("--model", help="The big model, which the small one stands in for.")],
    small: Annotated[Path, typer.Option("--small", help="The small model: an .onnx with its spec.")],
    out: Annotated[Path, typer.Option("--out", help="The file, .onnx.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Boxes: of which class answers shall speak (repeat); default: all both know."),
    ] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with the big model.")] = 0.95,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write it although nothing is proven of it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Learn where a small model says what a big one would, so that a device answers there and sends the rest.

    Without a certificate nothing is written and the exit code is 3, unless --uncertified is given.
    """
    check_out(out, (METADATA_KEY,), what="an exit")
    from .train import train_exit

    with Trace(trace) as recorded, show_progress("learning the exit", quiet=as_json) as told:
        done = train_exit(
            recorded,
            model=model,
            small=small,
            accuracy=accuracy,
            out=out,
            classes=classes or (),
            uncertified=uncertified,
            progress=told,
        )
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    print_exit(done, Console())


def print_exit(done: "ExitTraining", console: Console) -> None:
    """Shows how often the small model answers, and how far it agrees."""
    spec, found = done.spec, done.spec.certificate
    console.print(
        f"{escape(spec.small)} answers {found.rate:.3f} of the inputs for {escape(spec.model)} and agrees to "
        f"{spec.agreement:.3f} there (on all inputs to {spec.always:.3f}); {done.small_ms:.1f} ms an input"
    )
    if not spec.classes.is_whole:
        names = ", ".join(spec.classes.names)
        console.print(f"Its answers speak of {escape(names)} alone: of other classes nothing is said on these inputs.")
    proof = found.proof
    more = f"; record some {found.more_runs} more runs for a proof" if found.more_runs else ""
    console.print(f"[green]certified[/]: {proof}" if found.certified else f"[yellow]not certified[/]: {proof}{more}")
    console.print(
        f"{done.path}: learnt from {done.trained} inputs, certified on the {done.calibrated} last ones, "
        f"{done.seconds:.0f} s"
    )
