"""`infilink train reuse` and `infilink evaluate reuse`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...models.session import check_out
from ...reporting import show_progress
from ...traces.trace import Trace
from ..rules.parser import parse_rule
from ..rules.zones import read_zones
from .spec import METADATA_KEY, ReuseSpec


def train_reuse_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote, or a trace of arrays.")],
    model: Annotated[str, typer.Option("--model", help="Whose results are reused.")],
    out: Annotated[Path, typer.Option("--out", help="The reuse file, .onnx.")],
    modality: Annotated[
        str,
        typer.Option("--modality", help="How inputs are seen: text, image, audio, ...; default: as the trace says."),
    ] = "",
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with the model.")] = 0.9,
    rule: Annotated[str, typer.Option("--rule", help="Skip what is redundant by this, too.")] = "",
    zones: Annotated[Path | None, typer.Option("--zones", help="A TOML file: the zones that the rule names.")] = None,
    stem: Annotated[
        str, typer.Option("--stem", help="What `train stem` wrote, or none; default: stem.onnx beside the trace.")
    ] = "",
    capacity: Annotated[int, typer.Option("--capacity", help="Results that are kept.", min=1)] = 1000,
    ttl_s: Annotated[float | None, typer.Option("--ttl-s", help="Results expire after so many seconds.")] = None,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write the file although nothing is proven of it.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same file.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Learn how near two inputs must be to have the same result, and certify it with the cache at work."""
    check_out(out, (METADATA_KEY,), what="a reuse file")
    from ...models.stem.beside import stem_beside
    from .train import train_reuse

    with Trace(trace) as recorded, show_progress("training the reuse", quiet=as_json) as told:
        modality = modality or recorded.info.modality
        used = stem_beside(trace, stem) if modality == "image" or stem else None
        done = train_reuse(
            recorded,
            model=model,
            accuracy=accuracy,
            out=out,
            modality=modality,
            rule=parse_rule(rule, zones=read_zones(zones), typed=True) if rule else None,
            stem=used,
            capacity=capacity,
            ttl_s=ttl_s,
            uncertified=uncertified,
            seed=seed,
            progress=told,
        )
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    console = Console()
    console.print(_table(done.spec))
    found = done.spec.certificate
    verdict = "certified" if found.certified else "not certified"
    console.print(
        f"{done.path}: {verdict}, error at most {found.upper_bound:.3f}; {done.results} different results in "
        f"{done.trained} inputs; a decision takes {done.decide_s * 1000:.2f} ms and pays from a rate of "
        f"{done.break_even:.3f}"
    )


def evaluate_reuse_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `infilink train reuse` wrote.")],
    trace: Annotated[Path, typer.Argument(help="A trace of the same model that it was not learnt from.")],
    rule_file: Annotated[
        list[Path] | None,
        typer.Option("--rule-file", help="Its SKIP rule is Python code (`call`): the file that may run (repeat)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Run a reuse file over a trace, its cache empty at first and filled by what then had to be executed."""
    from .evaluate import evaluate_reuse

    with Trace(trace) as recorded:
        found = evaluate_reuse(path, recorded, rule_files=rule_file or ())
    if as_json:
        print(json.dumps(asdict(found)))
        return
    table = Table("", "", title=f"{path.name} on {found.inputs} inputs", show_header=False)
    table.columns[1].justify = "right"
    for name, value in (
        ("answered without the model", f"{found.rate:.3f}"),
        ("accuracy over all inputs", f"{found.accuracy:.3f}"),
        ("accuracy of what was answered", "-" if found.accuracy_answered is None else f"{found.accuracy_answered:.3f}"),
        ("the commonest answer for all", f"{found.majority_accuracy:.3f}"),
    ):
        table.add_row(name, value)
    console = Console(highlight=False)
    console.print(table)
    for promise in found.promises:
        console.print(escape(f"{promise.text}{'' if found.certified else ' (not certified)'}"))
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")


def _table(spec: ReuseSpec) -> Table:
    table = Table("what answers", title=f"{spec.model} at accuracy {spec.accuracy:g}: on the calibration part")
    for name in ("rate", "accuracy"):
        table.add_column(name, justify="right")
    table.add_column("note")
    found = spec.certificate
    note = f"gate {spec.gate:.3g}, theta {spec.theta:.2f}"
    table.add_row("the cache, certified", f"{found.rate:.3f}", f"{1 - found.error:.3f}", note, style="bold")
    for name, each in spec.competitors.items():
        table.add_row(name, f"{each.rate:.3f}", f"{each.accuracy:.3f}", each.note)
    return table
