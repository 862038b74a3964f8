"""The `infilink demo` command."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ...reporting import show_progress


def demo_command(
    source: Annotated[
        str | None, typer.Option(help="A video file, rtsp://..., or a camera's number; default: the rendered street.")
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="A folder of .onnx models with their specs; default: the street's seven.")
    ] = None,
    budget: Annotated[str, typer.Option(help="The models' memory: 200MiB, or a share of what all take: 40%.")] = "40%",
    seconds: Annotated[float | None, typer.Option(help="How much of the source to use.", min=1)] = None,
    out: Annotated[Path, typer.Option(help="The folder for everything the demo writes.")] = Path("out/demo"),
    accuracy: Annotated[
        float | None,
        typer.Option(help="What the filter must keep; default: the most it can.", min=0.5, max=0.999),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the rendered street and the training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Record, train and plan, then stream the later part in full, with infilink, and by free baselines.

    A real coordinator and a real agent talk gRPC. Writes report.html, report.json and annotated.mp4 to --out.
    """
    from .annotate import write_annotated
    from .pipeline import DemoOptions, run_demo
    from .report import print_table, write_report

    options = DemoOptions(
        out=out, source=source, models=models, budget=budget, seconds=seconds, accuracy=accuracy, seed=seed
    )
    with show_progress("demo", quiet=as_json) as progress:
        demo = run_demo(options, progress)
        progress(0.97, "drawing the report")
        write_annotated(demo, out / "annotated.mp4")
        report = write_report(demo)
    if as_json:
        print(json.dumps(report))
        return
    print_table(demo, Console())
    for name, text in (
        ("report.html", "the table and the plots"),
        ("annotated.mp4", "every model's output on each frame, and where it came from"),
        ("report.json", "the figures"),
    ):
        print(f"{out / name}  {text}")
