"""`infilink links adapt`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ...errors import InvalidInput
from ...models.spec import parse_spec
from ...settings import read_toml
from ...traces.trace import Trace
from ..index import check_writable
from .adapt import ORACLE, Adaptation, adapt, label_task
from .export import check_can_export
from .folder import LinkFolder, Written
from .fusion import FusedLink
from .labels import labels_of, read_labels
from .task import Pairs


def adapt_command(
    trace: Annotated[Path, typer.Argument(help="The trace with the deployed model's outputs.")],
    model: Annotated[list[str], typer.Option(help="The deployed model; repeat to read several together.")],
    out: Annotated[Path, typer.Option(help="The folder of links to write.")],
    labels: Annotated[Path | None, typer.Option(help="CSV: sequence or captured_s, and label.")] = None,
    oracle: Annotated[str, typer.Option(help="Instead: a model in the trace that stands for the truth.")] = "",
    links: Annotated[
        Path | None, typer.Option(help="The links that are there already: the folder written has them, too.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the answers are called, with --labels.")] = ORACLE,
    spec: Annotated[Path | None, typer.Option(help="A model's TOML: the labels' type, if not the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt a deployed model to a few human labels: a link from what it says to what they say, for `infilink cloud`.

    The first 60 % of the labels in time are learnt from, the next 20 % chosen on, the last 20 % are what the figures
    are from. Whatever costs nothing or next to it spends the same labels; the best on the middle block is written.
    """
    if (labels is None) == (not oracle):
        raise InvalidInput("give either --labels, a CSV file, or --oracle, a model of the trace")
    check_can_export()
    check_writable(out)
    with Trace(trace) as recording:
        if labels is not None and name in recording.models:
            raise InvalidInput(f"{trace}: has a model {name!r} already: give the labels another --name")
        output = parse_spec({"name": spec.stem, **read_toml(spec)}, where=str(spec)).output if spec else None
        called = oracle or name
        folder = LinkFolder.open(recording, links, virtual=called)
        if labels is None:
            known = labels_of(recording, oracle)
            task = label_task(folder, model, output or recording.models[oracle].output, name=called)
        else:
            task = label_task(folder, model, output, name=called)
            known = read_labels(labels, task.output, recording)
        samples = folder.labelled(task, known.rows, known.values)
        done = adapt(task, Pairs.of(task, samples), seed=seed)
        told = {"learnt_from": "labels", "way": done.winner.name}
        written = folder.write(out, FusedLink.alone(done.winner.link), samples, seed=seed, told=told)
    if as_json:
        print(json.dumps(_figures(done, written)))
        return
    table = Table(title=f"{', '.join(model)}: {done.learnt} labels learnt from, {done.chosen} chosen on")
    table.add_column("behind the model")
    table.add_column(f"on the {done.chosen} it is chosen on", justify="right")
    table.add_column(f"on the last {done.reported}", justify="right")
    for way in done.entrants:
        mark = "[bold]" if way is done.winner else ""
        table.add_row(f"{mark}{way.name}", f"{way.chosen_on:.3f}", f"{mark}{way.reported:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"chosen: {done.winner.name}; standard error {done.standard_error:.3f}, more where neighbours are alike",
        highlight=False,
    )
    console.print(written.text, highlight=False)


def _figures(done: Adaptation, written: Written) -> dict[str, object]:
    ways = {way.name: {"chosen_on": way.chosen_on, "reported": way.reported} for way in done.entrants}
    counts = {"learnt": done.learnt, "chosen": done.chosen, "reported": done.reported}
    return {**written.figures(), "winner": done.winner.name, **counts, "ways": ways}
