"""The demo's results: a table for the terminal, report.json, and a page with plots."""

import base64
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from ... import __version__
from ...files import replacing
from ...models.stem.spec import StemSpec
from ...units import format_bytes
from .pipeline import Demo
from .plots import agreement_over_time, bytes_over_time, memory_over_time, when_models_ran
from .score import Score

TITLES = {
    "full": "full run",
    "infilink": "infilink",
    "hold": "run what fits, hold the last value",
    "random": "random skipping",
    "every": "every K-th frame",
    "difference": "frame difference",
}
SHORT = {
    "full": "full\nrun",
    "infilink": "infilink",
    "hold": "fit and\nhold",
    "random": "random\nskips",
    "every": "every\nK-th",
    "difference": "frame\ndiff.",
}
NOTES = {
    "full": "every frame sent, every model resident and run, no budget: the reference",
    "infilink": "learned filter, planned models, links, within the budget",
    "hold": "every frame sent; models that fit run, the others take turns where they fit and their last value is held",
    "random": "the filter replaced by random skipping at the same rate; then run what fits, hold the last value",
    "every": "the filter replaced by every K-th frame at the same rate; then run what fits, hold the last value",
    "difference": "the filter replaced by frame difference, its threshold set on this very stretch to the same rate; "
    "then run what fits, hold the last value",
}
COLUMNS = (
    "agreement",
    "of linked",
    "of skipped",
    "events found",
    "within 2 s",
    "false min/day",
    "skipped",
    "MiB sent",
    "x H.264",
    "executions",
    "CPU s",
    "peak MiB",
    "over budget",
    "frames/s",
)
# Two runs that differ by less are level.
_LEVEL = 0.0005
FREE = ("hold", "random", "every", "difference")
_EMBEDDED_BYTES = 24 << 20


def row(score: Score, stream_bytes: int) -> tuple[str, ...]:
    """A run's cells, in the order of `COLUMNS`; `stream_bytes` is what the same stretch takes as H.264."""
    return (
        f"{score.agreement:.3f}",
        _share(score.agreement_linked),
        _share(score.agreement_skipped),
        f"{score.events_found}/{score.events}",
        _share(score.found_within_2s, places=2),
        f"{score.false_minutes:.0f}",
        f"{score.filtering_rate:.0%}",
        f"{score.sent_bytes / 2**20:.1f}",
        f"{score.sent_bytes / max(1, stream_bytes):.1f}",
        str(score.executions),
        f"{score.cpu_s:.1f}",
        f"{score.peak_bytes / 2**20:.0f}",
        str(score.budget_violations),
        f"{score.throughput_fps:.1f}",
    )


def print_table(demo: Demo, console: Console) -> None:
    """Prints the table and the plan."""
    budget = demo.compared["infilink"].score.budget_bytes
    table = Table(
        title=f"the later {demo.stretch.seconds:.0f} s of {demo.source}: {len(demo.specs)} models, "
        f"budget {format_bytes(budget)}"
    )
    table.add_column("")
    for name in demo.compared:
        table.add_column(SHORT[name], justify="right", style="bold" if name == "infilink" else None)
    # A row per figure, not per run, so that it fits a terminal of 80 columns.
    for cells in zip(COLUMNS, *rows(demo), strict=True):
        table.add_row(*cells)
    console.print(table)
    for line in headline(demo):
        console.print(line, highlight=False)
    console.print(f"filter: {demo.filter_text}", highlight=False)
    for line in plan_lines(demo):
        console.print(line, highlight=False)


def rows(demo: Demo) -> list[tuple[str, ...]]:
    """Every run's cells."""
    return [row(compared.score, stream_bytes(demo)) for compared in demo.compared.values()]


def stream_bytes(demo: Demo) -> int:
    """What the served stretch takes as an H.264 stream."""
    return int(demo.stream_sizes.sum())


def plan_lines(demo: Demo) -> list[str]:
    """What runs and what is predicted, in words."""
    lines = [] if demo.stem is None else [_stem_line(demo.stem)]
    lines.append(f"always run: {', '.join(demo.plan.resident) or 'none'}")
    if demo.plan.refresh_s:
        turns = (f"{name} every {refresh_s:g} s" for name, refresh_s in demo.plan.refresh_s.items())
        lines.append(f"in turn: {', '.join(turns)}")
    lines += [f"{name}: {served.why}" for name, served in demo.plan.served.items() if name not in demo.plan.resident]
    return lines


def _stem_line(stem: StemSpec) -> str:
    width, height = stem.size
    return (
        f"stem: the first layers of {stem.model} at {width}x{height}, {stem.length} features; "
        "filter and links read them"
    )


def write_report(demo: Demo) -> dict[str, Any]:
    """Writes report.json and report.html; returns what report.json holds."""
    report = to_json(demo)
    _write(demo.options.out / "report.json", json.dumps(report, indent=2) + "\n")
    _write(demo.options.out / "report.html", _page(demo, report))
    return report


def to_json(demo: Demo) -> dict[str, Any]:
    """Infilink's own figures at the top, the full run's and the free baselines' below, in the same fields."""
    scores = {name: compared.score.to_json() for name, compared in demo.compared.items()}
    return {
        **scores["infilink"],
        "source": demo.source,
        "rendered": demo.options.source is None,
        "models": list(demo.specs),
        "plan": {
            "resident": list(demo.plan.resident),
            "refresh_s": dict(demo.plan.refresh_s),
            "expected_agreement": demo.plan.expected_agreement,
            "served": {name: served.why for name, served in demo.plan.served.items()},
        },
        "stem": None if demo.stem is None else demo.stem.model_dump(mode="json"),
        "filter": demo.filter_text,
        "certified": demo.certified,
        "stream_bytes": stream_bytes(demo),
        "headline": headline(demo),
        "full": scores["full"],
        "baselines": {name: scores[name] for name in scores if name not in ("full", "infilink")},
        "agent": demo.runs["infilink"].agent,
        "seconds_by_step": demo.seconds_by_step,
        "versions": {
            "infilink": __version__,
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "torch": version("torch"),
            "machine": f"{platform.machine()}, {platform.system()}",
        },
    }


def _page(demo: Demo, report: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    plots = [
        ("Agreement with the full run, over time", agreement_over_time(demo)),
        ("Bytes sent", bytes_over_time(demo)),
        ("Memory the models hold, against the budget", memory_over_time(demo)),
        ("Which model ran when", when_models_ran(demo)),
    ]
    return environment.get_template("report.html.j2").render(
        demo=demo,
        report=report,
        columns=COLUMNS,
        rows=[(name, TITLES[name], NOTES[name], cells) for name, cells in zip(demo.compared, rows(demo), strict=True)],
        by_model=_by_model(demo),
        plan_lines=plan_lines(demo),
        plots=plots,
        budget=format_bytes(report["budget_bytes"]),
        headline=headline(demo),
        stream_mib=f"{stream_bytes(demo) / 2**20:.2f}",
        video=_video(demo.options.out / "annotated.mp4"),
    )


def headline(demo: Demo) -> list[str]:
    """The result in words: what was right, what was seen, what it cost; and who does better without learning."""
    ours, full = demo.compared["infilink"].score, demo.compared["full"].score
    stream = stream_bytes(demo)
    seen = f"{ours.events_found} of {ours.events} events found"
    low, high = ours.event_interval
    if high - low < 0.8:
        seen += f" (with 95 % confidence {low:.2f} to {high:.2f} of such events)"
    elif ours.events:
        seen += " (they come too close together to say more)"
    lines = [
        f"{ours.agreement:.1%} agreement with running everything, {seen}.",
        f"Models ran {ours.executions} times instead of {full.executions}, with {1 - ours.cpu_saved:.1%} of the "
        f"processor time.",
        f"Sent {format_bytes(ours.sent_bytes)}: {1 - ours.bandwidth_saved:.0%} of every frame as a JPEG, and "
        f"{ours.sent_bytes / max(1, stream):.1f} times the same frames as an H.264 stream ({format_bytes(stream)}).",
    ]
    ahead = [
        f"{TITLES[name]} ({score.agreement:.3f}, {score.events_found} events, {score.executions} executions, "
        f"{format_bytes(score.sent_bytes)})"
        for name, score in ((name, compared.score) for name, compared in demo.compared.items() if name in FREE)
        if score.agreement > ours.agreement + _LEVEL or score.events_found > ours.events_found
    ]
    if ahead:
        lines.append(f"Ahead of infilink ({ours.agreement:.3f}) without learning anything: {'; '.join(ahead)}.")
    else:
        lines.append("No gate that learns nothing agrees more or finds more events.")
    if not demo.certified:
        lines.append("The filter is NOT certified: too little was recorded to promise anything for other days.")
    return lines


def _video(path: Path) -> str:
    """The video as it goes into the page; beside the page, where it is large."""
    if path.stat().st_size > _EMBEDDED_BYTES:
        return path.name
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _by_model(demo: Demo) -> list[tuple[str, str, str, list[str]]]:
    """Per model: its name, its kind, where its answers come from, and its agreement in each run but the full one."""
    lines: list[tuple[str, str, str, list[str]]] = []
    for index, (name, spec) in enumerate(demo.specs.items()):
        values = [f"{np.mean(c.agreement[index]):.3f}" for run, c in demo.compared.items() if run != "full"]
        origin: str = "executed" if name in demo.plan.resident else demo.plan.served[name].origin
        lines.append((name, spec.output.kind, origin, values))
    return lines


def _share(value: float | None, *, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
