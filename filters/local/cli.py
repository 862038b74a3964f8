"""`infilink train heads`: light answers."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...errors import InvalidInput
from ...models.session import check_out
from ...reporting import show_progress
from ...traces.trace import Trace
from .spec import METADATA_KEY

if TYPE_CHECKING:
    from .train import HeadsTraining


def train_heads_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="The file, .onnx.")],
    stem: Annotated[
        str, typer.Option("--stem", help="What `train stem` wrote; default: stem.onnx beside the trace.")
    ] = "",
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Whose head is learnt (repeat); default: all models.")
    ] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with each model.")] = 0.95,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Let heads answer although nothing is proven of them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Learn what each model says from a stem's features, so that a device answers by itself where that is sure enough.

    A head of which nothing is proven never answers, unless --uncertified is given; if none does, nothing is written and
    the exit code is 3.
    """
    check_out(out, (METADATA_KEY,), what="a file of heads")
    from ...models.stem.beside import NONE, STEM_FILE, stem_beside
    from .train import train_heads

    if stem == NONE:
        raise InvalidInput("--stem none: heads read a stem; name one, or leave --stem out")
    with Trace(trace) as recorded:
        if recorded.info.modality not in ("image", ""):
            raise InvalidInput(
                f"{trace}: heads read what a stem makes of pictures, and its inputs are {recorded.info.told_input}: "
                "learn a filter, reuse or links of them (`infilink train filter|reuse|links`)"
            )
    used = stem_beside(trace, stem)
    if used is None:
        raise InvalidInput(
            f"{trace.parent / STEM_FILE}: there is no stem beside the trace: make one (`infilink train stem`), or name "
            "one with --stem"
        )
    with Trace(trace) as recorded, show_progress("learning heads", quiet=as_json) as told:
        done = train_heads(
            recorded,
            stem=used,
            accuracy=accuracy,
            out=out,
            models=model or (),
            uncertified=uncertified,
            progress=told,
        )
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    print_heads(done, Console())


def print_heads(done: "HeadsTraining", console: Console) -> None:
    """Shows which heads answer, how often, and how far they agree."""
    table = Table("model", title=f"light answers at accuracy {done.spec.accuracy:g}: on the calibration part")
    for name in ("answered", "agreement", "one answer for all", "doubt up to", "certified"):
        table.add_column(name, justify="right")
    for head in done.spec.heads:
        found, answers = head.certificate, head.threshold is not None
        table.add_row(
            escape(head.model),
            f"{found.rate:.3f}" if answers else "never",
            f"{head.agreement:.3f}" if answers else "",
            f"{head.constant:.3f}",
            f"{head.threshold:.3g}" if head.threshold is not None else "",
            "yes" if found.certified else "no",
        )
    console.print(table)
    for model, why in done.without.items():
        console.print(f"{escape(model)} has no head: {why}")
    for head in done.spec.heads:
        if not head.certificate.certified and head.certificate.more_runs:
            console.print(f"{escape(head.model)}: record some {head.certificate.more_runs} more runs for a proof")
    if len(done.spec.answering) < len(done.spec.heads) or done.without:
        console.print("A model whose head never answers is asked of the coordinator on every input.")
    console.print(
        f"{done.path}: learnt from {done.trained} inputs, certified on the {done.calibrated} last ones, "
        f"{done.seconds:.0f} s"
    )
