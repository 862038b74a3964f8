"""`infilink train filter` and `infilink train tasks`."""

import json
import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InvalidInput
from ..models.session import check_out
from ..reporting import show_progress
from ..traces.site import Site
from ..traces.trace import Trace
from ..units import parse_seconds
from .event_promise import EventPromise
from .rules.parser import Unchanged, parse_rule
from .rules.zones import read_zones
from .spec import METADATA_KEY, TASKS_KEY, FilterSpec

if TYPE_CHECKING:
    from .training.event_selection import EventTarget
    from .training.train import FilterTraining

_FREE = ("random", "every K-th")


def train_filter_command(
    rule: Annotated[str, typer.Option("--rule", help="What is redundant, e.g. 'count(car) == 0' or 'unchanged'.")],
    out: Annotated[Path, typer.Option("--out", help="The filter's file, .onnx.")],
    traces: Annotated[
        list[Path] | None, typer.Argument(help="What `infilink record` wrote; or a folder: a trace of each camera.")
    ] = None,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", help="NAME=TRACE: a camera of the site and its trace (repeat).")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model the rule is on (repeat); `unchanged`: default all.")
    ] = None,
    zones: Annotated[Path | None, typer.Option("--zones", help="A TOML file: the zones that the rule names.")] = None,
    accuracy: Annotated[
        float | None, typer.Option("--accuracy", help="The least agreement with the models; default 0.9.")
    ] = None,
    event_recall: Annotated[
        float | None, typer.Option("--event-recall", help="Instead: the least share of the events to find, e.g. 0.95.")
    ] = None,
    within: Annotated[str, typer.Option("--within", help="How soon after an event began, e.g. 2s; any time.")] = "",
    heartbeat: Annotated[str, typer.Option("--heartbeat", help="The longest time without an input, e.g. 10s.")] = "",
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Events: the share of the inputs to send; the most is found with it."),
    ] = None,
    window: Annotated[
        str, typer.Option("--window", help="With a budget: over so long at most twice of it is sent; default 10m.")
    ] = "",
    modality: Annotated[
        str, typer.Option("--modality", help="How inputs are seen that are no pictures; default: as the trace says.")
    ] = "",
    stem: Annotated[
        str, typer.Option("--stem", help="What `train stem` wrote, or none; default: stem.onnx beside the trace.")
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

    With --event-recall it finds events with as few inputs as it can, in place of agreeing with the models. From several
    cameras it is one filter with a threshold and a certificate for each; a device picks its own by its `name`.

    Without a certificate nothing is written and the exit code is 3, unless --uncertified is given.
    """
    parsed = parse_rule(rule, zones=read_zones(zones), typed=True)
    if not model and not isinstance(parsed, Unchanged):
        raise InvalidInput(f"rule {parsed.text!r} judges one model's output: say which with --model NAME")
    check_out(out, (METADATA_KEY, TASKS_KEY), what="a filter")
    asked_else = accuracy is not None or bool(recall) or bool(slices)
    target = _event_target(event_recall, within, heartbeat, budget, window, asked_else=asked_else)
    from .training.floors import Floor, Slices, parse_recall
    from .training.train import train_filter
    from .training.train_events import train_event_filter

    accuracy = 0.9 if accuracy is None else accuracy
    floors: list[Floor] = [parse_recall(text) for text in recall or ()]
    if slices:
        floors.append(Slices(slices, accuracy if slice_accuracy is None else slice_accuracy))
    from ..models.stem.beside import stem_beside

    with Site.open(traces or (), camera or ()) as site, show_progress("training the filter", quiet=as_json) as told:
        if target is None:
            train = partial(train_filter, site, accuracy=accuracy, floors=floors)
        elif len(site) > 1:
            raise InvalidInput("a filter that finds events is learnt from one camera: give one trace")
        else:
            train = partial(train_event_filter, site.first, target=target)
        used = stem_beside(site.first.path, stem)
        done = train(
            models=model or (),
            rule=parsed,
            out=out,
            modality=modality,
            candidates=candidate or (),
            stem=used,
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
    console = Console()
    print_training(done, console)
    if used is None and done.spec.modality is None:
        console.print("a stem would probably drop more at the same accuracy: make one with `infilink train stem`")


def train_tasks_command(
    trace: Annotated[Path, typer.Argument(help="What `infilink record` wrote.")],
    task: Annotated[list[str], typer.Option("--task", help="MODEL: RULE (repeat), e.g. 'yolox: count(car) == 0'.")],
    out: Annotated[Path, typer.Option("--out", help="The filter's file, .onnx.")],
    zones: Annotated[Path | None, typer.Option("--zones", help="A TOML file: the zones that the rules name.")] = None,
    accuracy: Annotated[float, typer.Option("--accuracy", help="The least agreement with each model.")] = 0.9,
    modality: Annotated[str, typer.Option("--modality", help="Of pictures: image (default) or video.")] = "",
    stem: Annotated[
        str, typer.Option("--stem", help="What `train stem` wrote, or none; default: stem.onnx beside the trace.")
    ] = "",
    int8: Annotated[bool, typer.Option("--int8", help="Weights as int8: a quarter of the size.")] = False,
    uncertified: Annotated[
        bool, typer.Option("--uncertified", help="Write the filter although nothing is proven of it.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same filter.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Learn one filter for several models: one encoder, a decision for each; an input is kept if any needs it."""
    check_out(out, (METADATA_KEY, TASKS_KEY), what="a filter")
    from ..models.stem.beside import stem_beside
    from .training.train_tasks import parse_tasks, train_tasks

    rules = parse_tasks(task, zones=read_zones(zones), typed=True)
    with Trace(trace) as recorded, show_progress("training the filter", quiet=as_json) as told:
        done = train_tasks(
            recorded,
            rules=rules,
            accuracy=accuracy,
            out=out,
            modality=modality,
            stem=stem_beside(trace, stem),
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
        table.add_row(escape(model), escape(each.rule), *row)
    console = Console()
    console.print(table)
    console.print(
        f"{done.path}: judge one task with `infilink evaluate filter {done.path}#{done.spec.models[0]} TRACE`"
    )


def _event_target(
    recall: float | None, within: str, heartbeat: str, budget: float | None, window: str, *, asked_else: bool
) -> "EventTarget | None":
    """What is asked of events, if anything is."""
    if window and budget is None:
        raise InvalidInput("--window says over how long a budget is held: give --budget SHARE, too")
    if recall is None and budget is None:
        if within or heartbeat:
            raise InvalidInput(
                "--within and --heartbeat say how events are to be found: ask with --event-recall SHARE or --budget "
                "SHARE"
            )
        return None
    if asked_else:
        asked = "--budget asks" if recall is None else "--event-recall asks"
        raise InvalidInput(f"{asked} for events: give it without --accuracy, --recall and --slices")
    from .budget import WINDOW_S
    from .training.event_selection import EventTarget

    return EventTarget(
        recall or 0.0,
        parse_seconds(within) if within else math.inf,
        parse_seconds(heartbeat) if heartbeat else None,
        budget,
        parse_seconds(window) if window else WINDOW_S,
    )


def print_training(done: "FilterTraining", console: Console) -> None:
    """Shows what came of a training: the candidates, the certificate, the file."""
    console.print(_candidates_table(done))
    if done.spec.cameras:
        console.print(_cameras_table(done.spec))
    else:
        console.print(_certificate_text(done.spec))
    for floor in done.spec.floors:
        console.print(
            f"{escape(floor.name)}: {floor.accuracy:.3f} kept on {floor.inputs} inputs (asked {floor.least:g}; at "
            f"least {floor.lower_bound:.3f} with {done.spec.certificate.confidence:.0%} confidence)"
        )
    console.print(
        f"{done.path}: trained on {done.trained} inputs, calibrated on the {done.calibrated} last ones, "
        f"{done.seconds:.0f} s"
    )


def _candidates_table(done: "FilterTraining") -> Table:
    spec = done.spec
    what, share = spec.asked
    table = Table("candidate", title=f"{escape(spec.rule)} at {what} {share:g}: on the calibration part")
    for name in ("filtering rate", what, "threshold", "certified", "ms"):
        table.add_column(name, justify="right")
    for name, result in spec.candidates.items():
        row: list[Any] = [f"{result.rate:.3f}", f"{1 - result.error:.3f}", f"{result.threshold:.4g}"]
        style = "bold" if name == spec.kind else ""
        took = f"{done.decision_s[name] * 1000:.2f}" if name in done.decision_s else ""
        table.add_row(name, *row, "yes" if result.certified else "no", took, style=style)
    return table


def _cameras_table(spec: FilterSpec) -> Table:
    """What the winner does at each camera, and what is proven of it there."""
    table = Table("camera", title=f"{escape(spec.kind)}: each camera's calibration part; nothing is proven for others")
    for name in ("filtering rate", "accuracy", "threshold", "certified"):
        table.add_column(name, justify="right")
    for name, each in spec.cameras.items():
        found = each.certificate
        more = f"{found.more_runs} more runs needed" if found.more_runs else "no"
        row = (f"{found.rate:.3f}", f"{1 - found.error:.3f}", f"{each.threshold:.4g}")
        table.add_row(name, *row, f"at least {1 - found.upper_bound:.3f}" if found.certified else more)
    return table


def _certificate_text(spec: FilterSpec) -> str:
    if spec.events is not None:
        return _events_text(spec, spec.events)
    found = spec.certificate
    proof = found.proof
    if found.certified:
        return f"[green]certified[/]: winner {spec.kind}, filtering rate {found.rate:.3f}; {proof}"
    free = max((spec.candidates[name].rate for name in _FREE if name in spec.candidates), default=0.0)
    if found.rate <= free:
        proof += f"; [red]it drops no more than {free:.3f}, which costs nothing: do not use it[/]"
    more = f"record some {found.more_runs} more runs" if found.more_runs else "record a longer trace"
    return f"[yellow]not certified[/]: winner {spec.kind}, filtering rate {found.rate:.3f}; {proof}; {more} for a proof"


def _events_text(spec: FilterSpec, found: EventPromise) -> str:
    in_time = "" if found.within_s is None else f" within {found.within_s:g} s"
    worth = "" if found.clusters > found.events - 0.5 else f" (worth {found.clusters:.0f} independent ones)"
    proof = (
        f"winner {spec.kind}, sends {1 - found.rate:.3f} of the inputs and finds {found.found} of {found.events} "
        f"events{worth}{in_time}, at least {found.lower_bound:.3f} with {spec.certificate.confidence:.0%} confidence; "
        f"{found.agreement:.3f} of the answers in between state what is there"
    )
    if spec.budget is not None:
        proof += (
            f"; its threshold moves so that {spec.budget.share:g} of the inputs are sent, and in no stretch more than "
            f"{spec.budget.reserve:.0f} beyond"
        )
    if found.certified:
        return f"[green]certified[/]: {proof}"
    return f"[yellow]not certified[/]: {proof}; record some {found.more_events} more events for a proof"
