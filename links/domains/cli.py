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
from .adapt import Adaptation, adapt, oracle_task
from .artifact import check_can_save, save_link
from .labels import labels_of, read_labels


def adapt_command(
    trace: Annotated[Path, typer.Argument(help="The trace with the deployed model's outputs.")],
    model: Annotated[list[str], typer.Option(help="The deployed model; repeat to read several together.")],
    out: Annotated[Path, typer.Option(help="The link to write: .onnx.")],
    labels: Annotated[Path | None, typer.Option(help="CSV: sequence or captured_s, and label.")] = None,
    oracle: Annotated[str, typer.Option(help="Instead: a model in the trace that stands for the truth.")] = "",
    spec: Annotated[Path | None, typer.Option(help="A model's TOML: the labels' type, if not the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt a deployed model to a few human labels: a link from what it says to what they say.

    The first 60 % of the labels in time are learnt from, the next 20 % chosen on, the last 20 % are what the figures
    are from. Whatever costs nothing or next to it spends the same labels; the best on the middle block is written.
    """
    if (labels is None) == (not oracle):
        raise InvalidInput("give either --labels, a CSV file, or --oracle, a model of the trace")
    check_can_save()
    with Trace(trace) as recording:
        output = parse_spec({"name": spec.stem, **read_toml(spec)}, where=str(spec)).output if spec else None
        if labels is None:
            known = labels_of(recording, oracle)
            output = output or recording.models[oracle].output
        else:
            known = read_labels(labels, oracle_task(recording, model, output).output, recording)
        done = adapt(recording, model, known, output, seed=seed)
    save_link(done.winner.link, out)
    if as_json:
        print(json.dumps(_figures(done, out)))
        return
    table = Table(title=f"{', '.join(model)}: {done.learnt} labels learnt from, {done.chosen} chosen on")
    table.add_column("behind the model")
    table.add_column(f"on the {done.chosen} it is chosen on", justify="right")
    table.add_column(f"on the last {done.reported}", justify="right")
    for way in done.contestants:
        mark = "[bold]" if way is done.winner else ""
        table.add_row(f"{mark}{way.name}", f"{way.chosen_on:.3f}", f"{mark}{way.reported:.3f}")
    console = Console()
    console.print(table)
    console.print(
        f"{out}: {done.winner.name}; standard error {done.standard_error:.3f}, more where neighbours are alike",
        highlight=False,
    )


def _figures(done: Adaptation, out: Path) -> dict[str, object]:
    ways = {way.name: {"chosen_on": way.chosen_on, "reported": way.reported} for way in done.contestants}
    counts = {"learnt": done.learnt, "chosen": done.chosen, "reported": done.reported}
    return {"out": str(out), "winner": done.winner.name, **counts, "ways": ways}
