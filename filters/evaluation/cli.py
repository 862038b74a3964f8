"""`infilink evaluate filter` and `infilink assess`."""

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
from ...reporting import show_progress
from ...traces.site import camera_of
from ...traces.trace import Trace
from ..exits.evaluate import evaluate_exit
from ..exits.gate import ExitGate
from ..local.evaluate import evaluate_heads
from ..local.gate import LocalGate
from ..open_gate import open_gate
from ..rules.parser import Unchanged, parse_rule
from ..rules.zones import read_zones
from .evaluate import FilterEvaluation, evaluate_filter
from .words import GATE_CAPTION, GATE_COLUMNS, ahead_text, contract_text, events_text, finite, gate_rows, tuned_text

if TYPE_CHECKING:
    from .assess import Assessment

_COLOURS = {"kept": "green", "not proven": "yellow", "undecided": "yellow", "broken": "red", "none": "dim"}


def evaluate_filter_command(
    gate: Annotated[str, typer.Argument(metavar="FILTER", help="A filter's .onnx; or all, every:K, random:RATE, ...")],
    trace: Annotated[Path, typer.Argument(help="A trace of the same models that it was not learnt from.")],
    trained_on: Annotated[
        Path | None,
        typer.Option("--trained-on", help="A trace: free gates' thresholds are fitted on it, at the filter's rate."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write a page: .html.")] = None,
    rule_file: Annotated[
        list[Path] | None,
        typer.Option("--rule-file", help="A filter's rule is Python code (`call`): the file that may run (repeat)."),
    ] = None,
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Write every decision to this CSV.")] = None,
    camera: Annotated[
        str, typer.Option(help="Of a filter of several cameras: whose trace it is; default: as the file is called.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Judge a filter on a trace: what it saves and what that costs, beside free gates that send as much."""
    with Trace(trace) as recorded, show_progress("judging", quiet=as_json) as told:
        learnt = None if trained_on is None else Trace(trained_on)
        try:
            opened = open_gate(gate, rule_files=rule_file or (), camera=camera or camera_of(trace))
            if isinstance(opened, ExitGate):
                found = evaluate_exit(opened, trace, decisions=decisions, progress=told)
            elif isinstance(opened, LocalGate):
                found = evaluate_heads(opened, recorded, decisions=decisions, progress=told)
            else:
                found = evaluate_filter(opened, recorded, trained_on=learnt, decisions=decisions, progress=told)
        finally:
            if learnt is not None:
                learnt.close()
    if report is not None:
        from .pages import write_evaluation_page

        write_evaluation_page(found, report)
    if as_json:
        print(json.dumps(finite(asdict(found))))
        return
    print_evaluation(found, Console(highlight=False))


def assess_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    rule: Annotated[str, typer.Option("--rule", help="What is redundant, e.g. 'count(car) == 0' or 'unchanged'.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model the rule is on (repeat); `unchanged`: default all.")
    ] = None,
    zones: Annotated[Path | None, typer.Option("--zones", help="A TOML file: the zones that the rule names.")] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with the models.")] = 0.9,
    modality: Annotated[
        str, typer.Option("--modality", help="How inputs are seen that are no pictures; default: as the trace says.")
    ] = "",
    stem: Annotated[
        str, typer.Option("--stem", help="What `train stem` wrote, or none; default: stem.onnx beside the trace.")
    ] = "",
    candidate: Annotated[
        list[str] | None, typer.Option("--candidate", help="Who is tried (repeat), or all; default: as `train filter`.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a page with the learning curve: .html.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the probes' training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say whether a filter is worth training: theory, costs, and a probe on growing parts of the trace."""
    parsed = parse_rule(rule, zones=read_zones(zones), typed=True)
    if not model and not isinstance(parsed, Unchanged):
        raise InvalidInput(f"rule {parsed.text!r} judges one model's output: say which with --model NAME")
    from ...models.stem.beside import stem_beside
    from .assess import assess
    from .pages import write_assessment_page

    with Trace(trace) as recorded, show_progress("assessing", quiet=as_json) as told:
        found = assess(
            recorded,
            models=model or (),
            rule=parsed,
            accuracy=accuracy,
            modality=modality,
            candidates=candidate or (),
            stem=stem_beside(trace, stem),
            seed=seed,
            progress=told,
        )
    if out is not None:
        write_assessment_page(found, out)
    if as_json:
        print(json.dumps(finite(asdict(found))))
        return
    print_assessment(found, Console(highlight=False))


def print_evaluation(found: FilterEvaluation, console: Console) -> None:
    """Shows a judgement: who is ahead, the table, what became of the promises, and what speaks against this trace."""
    if found.ahead:
        console.print(f"[bold yellow]{escape(ahead_text(found))}[/]")
    title = f"{found.rule} on {found.inputs} inputs of {', '.join(found.models)}"
    table = Table(
        "gate", title=escape(title), caption=GATE_CAPTION, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for name in GATE_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row, (*cells, _) in enumerate(gate_rows(found)):
        table.add_row(*map(escape, cells), style="" if row else "bold")
    console.print(table)
    for text in (tuned_text(found), events_text(found)):
        if text:
            console.print(escape(text))
    if found.accuracy_skipped is not None:
        console.print(f"Right on {found.accuracy_skipped:.3f} of what it did not send.")
    console.print("Per model: " + ", ".join(f"{name} {value:.3f}" for name, value in found.per_model.items()))
    console.print(f"[{_COLOURS[found.contract]}]{escape(contract_text(found))}[/]")
    for promise in found.promises:
        console.print(f"  {escape(promise.text)}")
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")


def print_assessment(found: "Assessment", console: Console) -> None:
    """Shows an assessment: its numbers and its verdict."""
    from .pages import lines_of

    table = Table("", "", title=escape(f"{found.rule} on {', '.join(found.models)}"), show_header=False)
    table.columns[1].justify = "right"
    for line in lines_of(found):
        table.add_row(*map(escape, line))
    console.print(table)
    console.print(f"[bold]{found.verdict}[/]: {escape(found.why)}")
