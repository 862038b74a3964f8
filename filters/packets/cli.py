"""`infilink train packets` and `infilink evaluate packets`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...errors import InvalidInput
from ...models.session import check_out
from ...reporting import show_progress
from ...traces.source_name import source_kind, source_path
from ...traces.trace import Trace
from ..rules.parser import Unchanged, parse_rule
from ..rules.zones import read_zones
from .spec import METADATA_KEY, load_packets

if TYPE_CHECKING:
    from .evaluate import PacketEvaluation
    from .train import PacketTraining


def train_packets_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="The packet gate's file, .onnx.")],
    source: Annotated[
        Path | None, typer.Option("--source", help="The clip that the trace was recorded from; default: as it says.")
    ] = None,
    rule: Annotated[
        str, typer.Option("--rule", help="By which a held answer is right: unchanged, or 'count(car) == 0', ...")
    ] = "unchanged",
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model the rule is on (repeat); `unchanged`: default all.")
    ] = None,
    zones: Annotated[Path | None, typer.Option("--zones", help="A TOML file: the zones that the rule names.")] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="How far held answers must be right.")] = 0.9,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write the gate although nothing is proven of it.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Learn which packets of a video need not be decoded, from their sizes and types, and certify that.

    What is not decoded has the last answer. Without a certificate nothing is written and the exit code is 3, unless
    --uncertified is given.
    """
    parsed = parse_rule(rule, zones=read_zones(zones), typed=True)
    if not model and not isinstance(parsed, Unchanged):
        raise InvalidInput(f"rule {parsed.text!r} judges one model's output: say which with --model NAME")
    check_out(out, (METADATA_KEY,), what="a packet gate")
    from .train import train_packets

    with Trace(trace) as recorded, show_progress("learning from packets", quiet=as_json) as told:
        done = train_packets(
            recorded,
            clip=source or clip_of(recorded),
            rule=parsed,
            out=out,
            models=model or (),
            accuracy=accuracy,
            uncertified=uncertified,
            seed=seed,
            progress=told,
        )
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    print_packets(done, Console())


def evaluate_packets_command(
    gate: Annotated[Path, typer.Argument(help="What `infilink train packets` wrote.")],
    trace: Annotated[Path, typer.Argument(help="A trace of the same models that it was not learnt from.")],
    source: Annotated[
        Path | None, typer.Option("--source", help="The clip that the trace was recorded from; default: as it says.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Judge a packet gate on a clip: what decoding it saves and what that costs, beside what is not learnt."""
    from ..evaluation.words import finite
    from .evaluate import evaluate_packets

    spec = load_packets(gate)
    with Trace(trace) as recorded:
        found = evaluate_packets(spec, recorded, clip=source or clip_of(recorded), name=gate.stem)
    if as_json:
        print(json.dumps(finite(asdict(found))))
        return
    print_packet_evaluation(found, Console(highlight=False))


def clip_of(trace: Trace) -> Path:
    """The clip that a trace was recorded from, as it says.

    Raises:
        InvalidInput: that is no file, or not there.
    """
    source = trace.info.source
    path = source_path(source) if source_kind(source) == "file" else None
    if path is None or not path.is_file():
        raise InvalidInput(f"{trace.path}: was recorded from {source}, which is no file here: name it with --source")
    return path


def print_packets(done: "PacketTraining", console: Console) -> None:
    """Shows what came of a training: the candidates, the certificate, the file."""
    spec, found = done.spec, done.spec.certificate
    title = f"{escape(spec.rule)} at accuracy {spec.accuracy:g}: on the calibration part"
    table = Table("candidate", title=title)
    for name in ("decoding saved", "accuracy", "threshold", "certified"):
        table.add_column(name, justify="right")
    for name, each in spec.candidates.items():
        row = (f"{each.rate:.3f}", f"{1 - each.error:.3f}", f"{each.threshold:.3g}", "yes" if each.certified else "no")
        table.add_row(name, *row, style="bold" if name == spec.kind else "")
    console.print(table)
    proof = f"winner {spec.kind}, saves {found.rate:.3f} of the time of decoding; {found.proof}"
    more = f"; record some {found.more_runs} more runs for a proof" if found.more_runs else ""
    console.print(f"[green]certified[/]: {proof}" if found.certified else f"[yellow]not certified[/]: {proof}{more}")
    console.print(
        f"{done.path}: learnt from {done.trained} packets, calibrated on the {done.calibrated} last ones, "
        f"{done.groups} groups of pictures, {done.seconds:.0f} s"
    )


def print_packet_evaluation(found: "PacketEvaluation", console: Console) -> None:
    """Shows a judgement: the table, what became of the promise, and what speaks against this trace."""
    from ..evaluation.words import score_cells

    title = f"{escape(found.rule)} on {found.packets} packets ({found.groups} groups) of {', '.join(found.models)}"
    table = Table("choice", title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("decoding", "accuracy", "found", "2 s", "10 s", "p50 s", "p95 s", "false min", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    row = (f"{1 - found.saved:.3f}", f"{found.accuracy:.3f}", *score_cells(found.events))
    table.add_row(escape(found.gate), *row, style="bold")
    for each in found.baselines:
        table.add_row(each.name, f"{1 - each.rate:.3f}", f"{each.accuracy:.3f}", *score_cells(each.events))
    console.print(table)
    console.print(
        f"{found.saved:.1%} of the time of decoding saved; {found.decoded:.1%} of the inputs decoded for their own sake"
    )
    if found.ahead:
        console.print(f"[bold yellow]ahead of it, learnt from nothing: {', '.join(found.ahead)}[/]")
    certified = "" if found.certified else " (not certified)"
    console.print(f"accuracy contract: {found.contract}{certified}\n  {escape(found.promise.text)}")
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
