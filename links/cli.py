"""`infilink train links`, `infilink evaluate links` and `infilink plan`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..models.stem.beside import NONE, stem_beside
from ..reporting import show_progress
from ..traces.site import Site
from ..traces.trace import Trace
from ..units import parse_budget, parse_compute
from .evaluation.evaluate import evaluate_links
from .evaluation.events import verdict
from .evaluation.shown import print_evaluation, write_evaluation_page
from .graph import LinkGraph
from .index import Index
from .planning.weights import parse_weights
from .table import bucket

_SHOWN_AGE_S = 10.0

TracesArgument = Annotated[
    list[Path] | None, typer.Argument(help="The trace, as `infilink record` wrote it; or a folder: one of each camera.")
]
CameraOption = Annotated[
    list[str] | None, typer.Option("--camera", help="NAME=TRACE: a camera of the site and its trace (repeat).")
]
TraceArgument = Annotated[Path, typer.Argument(help="The trace, as `infilink record` wrote it.")]
LinksArgument = Annotated[Path, typer.Argument(help="The folder of links, as `infilink train links` wrote it.")]
BudgetOption = Annotated[str, typer.Option(help="Memory for models: 200MiB, 1.5GiB, or 40% of what all take.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def train_links_command(
    out: Annotated[Path, typer.Option(help="The folder of links to write.")],
    traces: TracesArgument = None,
    camera: CameraOption = None,
    stem: Annotated[
        str,
        typer.Option(
            help="The stem whose features links read, or none; if not said, stem.onnx beside a trace that holds frames."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    net: Annotated[
        str, typer.Option(help="Whose networks: ours, or the MLink paper's pairwise links and ensemble, to compare.")
    ] = "ours",
    as_json: JsonOption = False,
) -> None:
    """Learn to predict each model's output from the others' and from its own last one.

    The first part of the trace is learnt from, the next is chosen on, the last is what the figures shown are from.

    From several cameras: links that all of them taught, for a camera that nobody has seen; and links of each, drawn to
    those as far as they hold there.
    """
    from .link import parse_net
    from .training.train import train_links

    chosen = parse_net(net)
    with (
        Site.open(traces or (), camera or ()) as site,
        show_progress("training links", quiet=as_json) as progress,
    ):
        looks = _stem_of(stem, site.first, chosen)
        done = train_links(site, out=out, stem=looks, seed=seed, net=chosen, progress=progress)
    if as_json:
        print(
            json.dumps(
                {"links": str(done.folder), **{name: value for name, value in asdict(done).items() if name != "folder"}}
            )
        )
        return
    whose = "; a camera that nobody has seen" if done.cameras else ""
    table = Table(title=f"{done.folder}: links from {done.inputs} inputs in {done.seconds:.0f} s; agreement{whose}")
    table.add_column("model")
    for column in ("constant", f"held {_SHOWN_AGE_S:g} s", f"linked, {_SHOWN_AGE_S:g} s", "linked, never run"):
        table.add_column(column, justify="right")
    table.add_column("note")
    age = bucket(_SHOWN_AGE_S)
    for name, target in done.targets.items():
        figures = (target.constant, target.held[age], target.linked[age], target.linked[-1])
        table.add_row(name, *(f"{figure:.2f}" for figure in figures), target.why or target.certified[age])
    console = Console()
    console.print(table)
    if not done.cameras:
        return
    own = Table(title="each camera by its own links; agreement, mean over models")
    own.add_column("camera")
    for column in ("constant", f"held {_SHOWN_AGE_S:g} s", f"linked, {_SHOWN_AGE_S:g} s", "linked, never run"):
        own.add_column(column, justify="right")
    for name, targets in done.cameras.items():
        rows = [
            (target.constant, target.held[age], target.linked[age], target.linked[-1]) for target in targets.values()
        ]
        own.add_row(name, *(f"{sum(column) / len(column):.2f}" for column in zip(*rows, strict=True)))
    console.print(own)


def _stem_of(given: str, recording: Trace, net: str) -> Path | None:
    """The stem's file that was named, or that lies beside a trace of frames; None: links read none."""
    if given and given != NONE and net == "paper":
        raise InvalidInput("--stem: the paper's networks read none; leave it out")
    if not given and (net == "paper" or recording.info.input != "image"):
        return None
    found = stem_beside(recording.path, given)
    return None if found is None else found.path


def evaluate_links_command(
    links: LinksArgument,
    budget: BudgetOption,
    traces: TracesArgument = None,
    compute: Annotated[
        str, typer.Option(help='Processors for models: "1.5 cores", or all that this process may use.')
    ] = "all",
    camera: CameraOption = None,
    decisions: Annotated[Path | None, typer.Option(help="Write every answer to this CSV file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the tables to a page: .html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a trace, or those of a site, under a budget: links beside what costs nothing, in agreement and in events.

    Each camera is answered by its own links where it has some. Inputs that the links were learnt from are left out.
    """
    costs = Index.read(links).costs
    budget_bytes = parse_budget(budget, {name: cost.memory_bytes for name, cost in costs.items()})
    with Site.open(traces or (), camera or ()) as site, show_progress("replaying", quiet=as_json) as progress:
        done = evaluate_links(
            links,
            site,
            budget_bytes=budget_bytes,
            compute_cores=parse_compute(compute),
            decisions=decisions,
            progress=progress,
        )
    if out is not None:
        write_evaluation_page(out, done)
    if as_json:
        events = {name: target.as_dict() for name, target in done.events.items()}
        print(json.dumps({**asdict(done), "events": events, "verdict": verdict(done.events)}))
        return
    print_evaluation(Console(), done)
    if out is not None:
        print(f"page: {out}")


def plan_command(
    links: LinksArgument,
    budget: Annotated[
        str | None, typer.Option(help="Memory for models: 200MiB, 1.5GiB, or 40% of what all take.")
    ] = None,
    devices: Annotated[
        Path | None,
        typer.Option(help="Choose for these devices and their cloud: devices.toml (`infilink init devices`)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --devices: write the placement for `infilink cloud` and `device`: .json.")
    ] = None,
    compute: Annotated[
        str, typer.Option(help='Processors for models: "1.5 cores", or all that this process may use.')
    ] = "all",
    streams: Annotated[
        int | None, typer.Option("--streams", help="How many streams there are, of the kind that was learnt from.")
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", help="A camera of the site (repeat; none: all that the links know)."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Inputs of each stream in a second, behind its filter (as recorded).")
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="How much a model's answers matter, MODEL=2 (others 1); repeat.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what every other choice would have brought and cost.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what runs on a site's streams, what is predicted from what, and what other budgets would give.

    With --devices: which model runs on which device, which in the cloud they share, and what is predicted where.
    """
    graph = LinkGraph.load(links)
    weights = parse_weights(weight or [])
    if devices is not None:
        from .placement.cli import plan_devices

        if budget is not None or rate is not None or streams is not None or camera:
            raise InvalidInput(
                "--devices has budgets, devices and input rates in its file: leave --budget, --streams, --camera and "
                "--rate out"
            )
        plan_devices(graph, devices, weights=weights, explain=explain, as_json=as_json, out=out)
        return
    if out is not None:
        raise InvalidInput("--out writes a placement: give --devices, too")
    if budget is None:
        raise InvalidInput("give --budget (one place) or --devices (devices and their cloud)")
    from .planning.cli import plan_site

    plan_site(
        graph,
        budget=budget,
        compute=compute,
        streams=streams,
        cameras=camera or (),
        rate=rate,
        weights=weights,
        explain=explain,
        as_json=as_json,
    )


def show_links_command(
    links: LinksArgument,
    age: Annotated[float, typer.Option(help="How old a model's last output is, seconds.", min=0)] = _SHOWN_AGE_S,
    enough: Annotated[float, typer.Option(help="The agreement an answer must reach to stand in for a model.")] = 0.9,
    out: Annotated[Path | None, typer.Option(help="Write a page with heat maps: .html.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which model's output can be predicted from which, which is better held, which needs to be run.

    Agreement is with the exact model, on the last part of the trace, which nothing was learnt from or chosen on. Skill
    is over the better of holding the last output and the best constant: 1 perfect, 0 no better, below 0 worse.
    """
    from .report.show import Matrix, show_links
    from .table import NEVER

    shown = show_links(links, age_s=age, enough=enough)
    if out is not None:
        from .report.page import write_show_page

        write_show_page(shown, out)
    if as_json:
        print(json.dumps({**asdict(shown), "folder": str(links)}))
        return
    console = Console()
    console.print(Matrix.of(shown.targets, NEVER).table("a model that never ran, from: agreement, skill"))
    title = f"the same with its own last output, {shown.age_text} old"
    console.print(Matrix.of(shown.targets, shown.age).table(title))
    colours = {"link": "green", "hold": "yellow", "constant": "yellow", "run": "red", "label": "red"}
    for found in shown.verdicts:
        console.print(f"[bold {colours[found.do]}]{found.target}[/] {found.text}", highlight=False)
    best = ", ".join(f"{name} {skill:.2f}" for name, skill in shown.predicts.items())
    console.print(f"what each tells of the others by itself, mean skill: {best}", highlight=False)
    if shown.cameras:
        console.print(
            f"this is for a camera that nobody has seen; links of their own, as {links}/cameras/NAME: "
            f"{', '.join(shown.cameras)}",
            highlight=False,
            soft_wrap=True,
        )
    if shown.missing:
        console.print(f"[yellow]note:[/] {shown.missing}", highlight=False)
    if out is not None:
        console.print(f"page: {out}", highlight=False)
