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
from ...traces.trace import Trace
from ..rules.parser import Unchanged, parse_rule
from .evaluate import FilterEvaluation, evaluate_filter
from .words import ahead_text, events_text, finite, score_cells

if TYPE_CHECKING:
    from .assess import Assessment

_CONTRACT = {
    "kept": "[green]kept[/]",
    "not proven": "[yellow]kept, but on so few runs that it is not proven[/]",
    "undecided": "[yellow]undecided: missed, but on so few runs that it may be luck[/]",
    "broken": "[red]BROKEN[/]",
    "none": "there is none",
}


def evaluate_filter_command(
    gate: Annotated[str, typer.Argument(metavar="FILTER", help="A filter's .onnx; or all, every:K, random:RATE, ...")],
    trace: Annotated[Path, typer.Argument(help="A trace of the same models that it was not learnt from.")],
    trained_on: Annotated[
        Path | None,
        typer.Option("--trained-on", help="A trace: free gates' thresholds are fitted on it, at the filter's rate."),
    ] = None,
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Write every decision to this CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Judge a filter on a trace: what it saves and what that costs, beside free gates that send as much."""
    with Trace(trace) as recorded, show_progress("judging", quiet=as_json) as told:
        learnt = None if trained_on is None else Trace(trained_on)
        try:
            found = evaluate_filter(gate, recorded, trained_on=learnt, decisions=decisions, progress=told)
        finally:
            if learnt is not None:
                learnt.close()
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
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with the models.")] = 0.9,
    modality: Annotated[str, typer.Option("--modality", help="Of inputs that are no pictures.")] = "",
    out: Annotated[Path | None, typer.Option("--out", help="Write a page with the learning curve: .html.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the probes' training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say whether a filter is worth training: theory, costs, and a probe on growing parts of the trace."""
    parsed = parse_rule(rule)
    if not model and not isinstance(parsed, Unchanged):
        raise InvalidInput(f"rule {parsed.text!r} judges one model's output: say which with --model NAME")
    from .assess import assess
    from .pages import write_assessment_page

    with Trace(trace) as recorded, show_progress("assessing", quiet=as_json) as told:
        found = assess(
            recorded,
            models=model or (),
            rule=parsed,
            accuracy=accuracy,
            modality=modality,
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
    console.print(_gates_table(found))
    tuned = [each.name for each in found.baselines if "this trace" in each.note]
    if tuned:
        console.print(
            f"Of {', '.join(tuned)} the threshold is tuned on this trace to the filter's send rate: that flatters them."
        )
    console.print(events_text(found.events))
    if found.accuracy_skipped is not None:
        console.print(f"Right on {found.accuracy_skipped:.3f} of what it did not send.")
    console.print("Per model: " + ", ".join(f"{name} {value:.3f}" for name, value in found.per_model.items()))
    skill = "" if found.skill is None else f"; skill {found.skill:.2f} (0 is dropping at random, 1 knows the outputs)"
    certified = "" if found.promised is None or found.certified else " (not certified)"
    console.print(f"accuracy contract: {_CONTRACT[found.contract]}{certified}{skill}")
    for promise in found.promises:
        console.print(f"  {escape(promise.text)}")
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")


def _gates_table(found: FilterEvaluation) -> Table:
    title = f"{found.rule} on {found.inputs} inputs of {', '.join(found.models)}"
    table = Table("gate", title=escape(title), box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in ("sent", "accuracy", "found", "2 s", "10 s", "p50 s", "p95 s", "false min", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        escape(found.gate), f"{1 - found.rate:.3f}", f"{found.accuracy:.3f}", *score_cells(found.events), style="bold"
    )
    for each in found.baselines:
        table.add_row(each.name, f"{1 - each.rate:.3f}", f"{each.accuracy:.3f}", *score_cells(each.events))
    table.caption = (
        "found: events; 2 s, 10 s: the share found within that; p50, p95: delay; false min: minutes a day in which an "
        "event is stated and there is none; F1: FilterForward's"
    )
    return table


def print_assessment(found: "Assessment", console: Console) -> None:
    """Shows an assessment: its numbers and its verdict."""
    from .pages import lines_of

    table = Table("", "", title=f"{found.rule} on {', '.join(found.models)}", show_header=False)
    table.columns[1].justify = "right"
    for line in lines_of(found):
        table.add_row(*line)
    console.print(table)
    console.print(f"[bold]{found.verdict}[/]: {found.why}")
