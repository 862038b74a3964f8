"""The `infilink demo` command."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def demo_command(
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="A video file, rtsp://..., or a camera's number; several times for several cameras. Default: six "
            "rendered cameras of a street."
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="A folder of .onnx models with their specs; default: the street's seven.")
    ] = None,
    budget: Annotated[str, typer.Option(help="The models' memory: 200MiB, or a share of what all take: 75%.")] = "75%",
    compute: Annotated[
        str, typer.Option(help="Their processors: 0.5 cores, or a share of all models on all inputs: 6%.")
    ] = "6%",
    seconds: Annotated[float | None, typer.Option(help="How much of each source to use.", min=1)] = None,
    out: Annotated[Path, typer.Option(help="The folder for everything the demo writes.")] = Path("out/demo"),
    accuracy: Annotated[
        float | None,
        typer.Option(help="What the filter must keep; default: the most it can.", min=0.5, max=0.999),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the rendered cameras and the training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Record a site, learn from it, serve its later part in real time, and replay what stands beside it.

    A real coordinator and an agent for each camera talk gRPC. Writes report.html, report.json and annotated.mp4 to
    --out.
    """
    from .annotate import write_annotated
    from .live import Screen
    from .pipeline import DemoOptions, run_demo
    from .report import print_table, write_report

    options = DemoOptions(
        out=out,
        sources=tuple(source or ()),
        models=models,
        budget=budget,
        compute=compute,
        seconds=seconds,
        accuracy=accuracy,
        seed=seed,
    )
    # What runs is shown where figures do not go, so that --json is alone on stdout.
    console = Console(stderr=as_json, quiet=as_json)
    screen = Screen(console)
    try:
        demo = run_demo(options, screen.progress, screen.show)
        screen.progress(0.96, "drawing the report")
        write_annotated(demo, out / "annotated.mp4")
        report = write_report(demo)
    finally:
        screen.close()
    if as_json:
        print(json.dumps(report))
        return
    print_table(demo, console)
    for name, text in (
        ("report.html", "the table, the plots and the video"),
        ("annotated.mp4", "the cameras, every model's answer, and where it came from"),
        ("report.json", "the figures"),
    ):
        print(f"{out / name}  {text}")
