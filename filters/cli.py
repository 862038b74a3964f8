"""`infilink train filter`, `infilink train tasks`, `infilink evaluate filter` and `infilink assess`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..reporting import show_progress
from ..traces.trace import Trace
from .evaluation.evaluate import FilterEvaluation, evaluate_filter
from .rules.parser import Unchanged, parse_rule
from .spec import FilterSpec

if TYPE_CHECKING:
    from .training.train import FilterTraining

_FREE = ("random", "every K-th")
_CONTRACT = {"kept": "[green]kept[/]", "broken": "[red]BROKEN[/]", "none": "there is none"}


def train_filter_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    rule: Annotated[str, typer.Option("--rule", help="What is redundant, e.g. 'count(car) == 0' or 'unchanged'.")],
    out: Annotated[Path, typer.Option("--out", help="The filter's file, .onnx.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model the rule is on (repeat); `unchanged`: default all.")
    ] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with the models.")] = 0.9,
    modality: Annotated[
        str, typer.Option("--modality", help="Of inputs that are no pictures: text, audio, signal, map, image, video.")
    ] = "",
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="Who competes (repeat), or all; default: those that train in a minute."),
    ] = None,
    recall: Annotated[
        list[str] | None, typer.Option("--recall", help="CLASS=SHARE: a class that must not be missed (repeat).")
    ] = None,
    slices: Annotated[str, typer.Option("--slices", help="hour or light: keep --slice-accuracy in each.")] = "",
    slice_accuracy: Annotated[
        float | None, typer.Option("--slice-accuracy", help="The least agreement in every slice; default --accuracy.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Weights as int8: a quarter of the size.")] = False,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write the filter although nothing is proven of it.")
    ] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write a page with curves: .html.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same filter.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Learn an input filter from a trace, certify its threshold, and write it as one ONNX file.

    Without a certificate nothing is written and the exit code is 3, unless --uncertified is given.
    """
    parsed = parse_rule(rule)
    if not model and not isinstance(parsed, Unchanged):
        raise InvalidInput(f"rule {parsed.text!r} judges one model's output: say which with --model NAME")
    if out.suffix != ".onnx":
        raise InvalidInput(f"--out {out}: a filter's file must end in .onnx")
    from .training.floors import Floor, Slices, parse_recall
    from .training.train import train_filter

    floors: list[Floor] = [parse_recall(text) for text in recall or ()]
    if slices:
        floors.append(Slices(slices, accuracy if slice_accuracy is None else slice_accuracy))
    with Trace(trace) as recorded, show_progress("training the filter", quiet=as_json) as told:
        done = train_filter(
            recorded,
            models=model or (),
            rule=parsed,
            accuracy=accuracy,
            out=out,
            modality=modality,
            candidates=candidate or (),
            floors=floors,
            int8=int8,
            uncertified=uncertified,
            seed=seed,
            progress=told,
        )
    if report is not None:
        from .evaluation.pages import write_training_page

        write_training_page(done, report)
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    print_training(done, Console())


def train_tasks_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    task: Annotated[list[str], typer.Option("--task", help="MODEL: RULE (repeat), e.g. 'yolox: count(car) == 0'.")],
    out: Annotated[Path, typer.Option("--out", help="The filter's file, .onnx.")],
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with each model.")] = 0.9,
    modality: Annotated[str, typer.Option("--modality", help="Of pictures: image (default) or video.")] = "",
    int8: Annotated[bool, typer.Option("--int8", help="Weights as int8: a quarter of the size.")] = False,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write the filter although nothing is proven of it.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same filter.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Learn one filter for several models: one encoder, a decision for each; an input is kept if any needs it."""
    if out.suffix != ".onnx":
        raise InvalidInput(f"--out {out}: a filter's file must end in .onnx")
    from .training.train_tasks import parse_tasks, train_tasks

    rules = parse_tasks(task)
    with Trace(trace) as recorded, show_progress("training the filter", quiet=as_json) as told:
        done = train_tasks(
            recorded,
            rules=rules,
            accuracy=accuracy,
            out=out,
            modality=modality,
            int8=int8,
            uncertified=uncertified,
            seed=seed,
            progress=told,
        )
    if as_json:
        print(json.dumps({"path": str(done.path), "spec": done.spec.model_dump(mode="json")}))
        return
    table = Table("model", "redundant if", title=f"one filter, {len(done.spec.tasks)} tasks: on the calibration part")
    for name in ("filtering rate", "accuracy", "threshold", "certified"):
        table.add_column(name, justify="right")
    for model, each in zip(done.spec.models, done.spec.tasks, strict=True):
        found = each.certificate
        row = (
            f"{found.rate:.3f}",
            f"{1 - found.error:.3f}",
            f"{each.threshold:.4g}",
            "yes" if found.certified else "no",
        )
        table.add_row(model, each.rule, *row)
    console = Console()
    console.print(table)
    console.print(
        f"{done.path}: judge one task with `infilink evaluate filter {done.path}#{done.spec.models[0]} TRACE`"
    )


def evaluate_filter_command(
    gate: Annotated[str, typer.Argument(metavar="FILTER", help="A filter's .onnx; or all, every:K, random:RATE, ...")],
    trace: Annotated[Path, typer.Argument(help="A trace of the same models that it was not learnt from.")],
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Write every decision to this CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Judge a filter on a trace: what it saves, what that costs, and what free gates cost at the same rate."""
    with Trace(trace) as recorded, show_progress("judging", quiet=as_json) as told:
        found = evaluate_filter(gate, recorded, decisions=decisions, progress=told)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    console = Console()
    console.print(_baselines_table(found))
    promised = "" if found.promised is None else f" ({found.promised:g}, {'' if found.certified else 'not '}certified)"
    skill = "-" if found.skill is None else f"{found.skill:.2f}"
    console.print(f"accuracy contract: {_CONTRACT[found.contract]}{promised}; skill {skill}")
    console.print("per model: " + ", ".join(f"{name} {value:.3f}" for name, value in found.per_model.items()))


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
    from .evaluation.assess import assess
    from .evaluation.pages import lines_of, write_assessment_page

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
        print(json.dumps(asdict(found)))
        return
    console = Console()
    table = Table("", "", title=f"{found.rule} on {', '.join(found.models)}", show_header=False)
    table.columns[1].justify = "right"
    for line in lines_of(found):
        table.add_row(*line)
    console.print(table)
    console.print(f"[bold]{found.verdict}[/]: {found.why}", highlight=False)


def print_training(done: "FilterTraining", console: Console) -> None:
    """Shows what came of a training: the candidates, the certificate, the file."""
    console.print(_candidates_table(done))
    console.print(_certificate_text(done.spec))
    for floor in done.spec.floors:
        console.print(
            f"{floor.name}: {floor.accuracy:.3f} kept on {floor.inputs} inputs (asked {floor.least:g}; at least "
            f"{floor.lower_bound:.3f} with {done.spec.certificate.confidence:.0%} confidence)"
        )
    console.print(
        f"{done.path}: trained on {done.trained} inputs, calibrated on the {done.calibrated} last ones, "
        f"{done.seconds:.0f} s"
    )


def _candidates_table(done: "FilterTraining") -> Table:
    spec = done.spec
    table = Table("candidate", title=f"{spec.rule} at accuracy {spec.accuracy:g}: on the calibration part")
    for name in ("filtering rate", "accuracy", "threshold", "certified", "ms"):
        table.add_column(name, justify="right")
    for name, result in spec.candidates.items():
        row: list[Any] = [f"{result.rate:.3f}", f"{1 - result.error:.3f}", f"{result.threshold:.4g}"]
        style = "bold" if name == spec.kind else ""
        took = f"{done.decision_s[name] * 1000:.2f}" if name in done.decision_s else ""
        table.add_row(name, *row, "yes" if result.certified else "no", took, style=style)
    return table


def _certificate_text(spec: FilterSpec) -> str:
    found = spec.certificate
    proof = (
        f"error {found.error:.3f} on {found.inputs} inputs (worth {found.effective_inputs:.0f} independent ones), "
        f"at most {found.upper_bound:.3f} with {found.confidence:.0%} confidence"
    )
    if found.certified:
        return f"[green]certified[/]: winner {spec.kind}, filtering rate {found.rate:.3f}; {proof}"
    free = max((spec.candidates[name].rate for name in _FREE if name in spec.candidates), default=0.0)
    if found.rate <= free:
        proof += f"; [red]it drops no more than {free:.3f}, which costs nothing: do not use it[/]"
    more = f"record some {found.more_inputs} more inputs" if found.more_inputs else "record a longer trace"
    return f"[yellow]not certified[/]: winner {spec.kind}, filtering rate {found.rate:.3f}; {proof}; {more} for a proof"


def _baselines_table(found: FilterEvaluation) -> Table:
    table = Table("gate", title=f"{found.rule} on {found.inputs} inputs of {', '.join(found.models)}")
    for name in ("filtering rate", "accuracy"):
        table.add_column(name, justify="right")
    table.add_column("note")
    skipped = "" if found.accuracy_skipped is None else f"{found.accuracy_skipped:.3f} on what it did not keep"
    table.add_row(found.gate, f"{found.rate:.3f}", f"{found.accuracy:.3f}", skipped, style="bold")
    for baseline in found.baselines:
        table.add_row(baseline.name, f"{baseline.rate:.3f}", f"{baseline.accuracy:.3f}", baseline.note)
    return table
