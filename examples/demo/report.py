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
from ...units import format_bytes
from .pipeline import Demo
from .plots import (
    agreement_over_time,
    budgets_over_time,
    bytes_over_time,
    what_it_costs,
    when_models_ran,
)
from .policies import FREE, WITHOUT
from .score import Score
from .served import ORIGINS

COLUMNS = (
    "agreement",
    "linked",
    "held",
    "events",
    "in 2 s",
    "delay s",
    "false min",
    "MiB sent",
    "of JPEGs",
    "runs",
    "of runs",
    "CPU s",
    "of CPU",
)
# Two policies that differ by less are level.
_LEVEL = 0.0005
_EMBEDDED_BYTES = 24 << 20


def row(score: Score, full_bytes: int) -> tuple[str, ...]:
    """A policy's cells, in the order of `COLUMNS`."""
    return (
        f"{score.agreement:.3f}",
        _share(score.agreement_linked),
        _share(score.agreement_held),
        f"{score.events_found}/{score.events}",
        _share(score.found_within_2s, places=2),
        _share(score.delay_p50_s, places=2),
        f"{score.false_minutes:.0f}",
        f"{score.sent_bytes / 2**20:.2f}",
        f"{score.sent_bytes / max(1, full_bytes):.1%}",
        str(score.executions),
        f"{score.executions_share:.1%}",
        f"{score.cpu_s:.1f}",
        f"{score.cpu_share:.1%}",
    )


def rows(demo: Demo) -> list[tuple[str, ...]]:
    """Every policy's cells."""
    full_bytes = demo.served["full"].sent_bytes
    return [row(demo.compared[policy.name].score, full_bytes) for policy in demo.policies]


def print_table(demo: Demo, console: Console) -> None:
    """Prints the result in words, and the table."""
    shown = (0, 3, 4, 7, 9, 11)
    table = Table(title=_title(demo))
    table.add_column("")
    for column in shown:
        table.add_column(COLUMNS[column], justify="right")
    for policy, cells in zip(demo.policies, rows(demo), strict=True):
        table.add_row(policy.title, *(cells[i] for i in shown), style="bold" if policy.name == "infilink" else None)
    console.print(table)
    for line in (*headline(demo), *settings_lines(demo)):
        console.print(line, highlight=False)


def _title(demo: Demo) -> str:
    site = demo.site
    return (
        f"{len(site.cameras)} cameras, {len(site.specs)} models, the later {site.seconds:.0f} s; budgets "
        f"{format_bytes(site.budget_bytes)} of {format_bytes(site.full_bytes)} and {site.compute_cores:.2g} of "
        f"{site.full_cores:.2g} cores"
    )


def headline(demo: Demo) -> list[str]:
    """The result in words: what was right, what was seen, what it cost; who does better; what does not pay."""
    scores = {name: each.score for name, each in demo.compared.items()}
    ours, full = scores["infilink"], scores["full"]
    stream = demo.site.stream_bytes
    lines = [
        f"{ours.agreement:.1%} agreement with running everything; {ours.events_found} of {ours.events} events found, "
        f"{_share(ours.found_within_2s, places=2)} of them within 2 s.",
        f"Models ran {ours.executions} times instead of {full.executions} ({ours.executions_share:.1%}), with "
        f"{ours.cpu_share:.1%} of the processors' time, in {format_bytes(ours.peak_bytes)} instead of "
        f"{format_bytes(full.peak_bytes)}.",
        f"Sent {format_bytes(ours.sent_bytes)}: {1 - ours.sent_bytes / max(1, full.sent_bytes):.1%} less than every "
        f"frame as a JPEG; {ours.sent_bytes / max(1, stream):.2f} times the cameras as H.264 streams "
        f"({format_bytes(stream)}).",
    ]
    best = max((policy for policy in FREE), key=lambda policy: scores[policy.name].agreement)
    free = scores[best.name]
    what = "Ahead of" if ours.agreement > free.agreement + _LEVEL else "NOT ahead of"
    lines.append(
        f"{what} the best that learns nothing, {best.title}: {free.agreement:.3f}, {free.events_found} events, "
        f"{free.executions} runs, {format_bytes(free.sent_bytes)}."
    )
    worth = [
        f"{policy.title.removeprefix('ours ')} {scores[policy.name].agreement - scores['replayed'].agreement:+.3f} "
        f"({format_bytes(scores[policy.name].sent_bytes)})"
        for policy in WITHOUT
    ]
    lines.append(f"Replayed {scores['replayed'].agreement:.3f}; {', '.join(worth)}.")
    lines += [
        f"{title}: {live:.3f} over daemons, {replayed:.3f} replayed on the same inputs."
        for title, (live, replayed) in demo.checked.items()
    ]
    if not demo.filter_spec.certificate.certified:
        lines.append("The filter is NOT certified: too little was recorded to promise anything for other days.")
    return lines


def settings_lines(demo: Demo) -> list[str]:
    """What was learnt and what it was given, in words."""
    site, spec = demo.site, demo.filter_spec
    found = spec.certificate
    lines = [
        f"memory {format_bytes(site.budget_bytes)}: {site.budget_bytes / site.full_bytes:.0%} of what the models take",
        f"compute {site.compute_cores:.3f} cores: {site.compute_cores / site.full_cores:.0%} of what all models on all "
        f"inputs would take ({site.full_cores:.2f})",
        f"filter: {spec.kind} for {spec.rule!r} at accuracy {spec.accuracy:g}; on the last {found.inputs} recorded "
        f"inputs it skips {found.rate:.0%} at an error of {found.error:.3f}",
    ]
    if demo.stem is not None:
        width, height = demo.stem.size
        lines.append(
            f"stem: the first layers of {demo.stem.model} at {width}x{height}, {demo.stem.length} features; filter and "
            "links read them, and they travel instead of frames"
        )
    return lines


def write_report(demo: Demo) -> dict[str, Any]:
    """Writes report.json and report.html; returns what the first holds."""
    report = _json(demo)
    _write(demo.options.out / "report.json", json.dumps(report, indent=1))
    _write(demo.options.out / "report.html", _page(demo, report))
    return report


def _json(demo: Demo) -> dict[str, Any]:
    """Infilink's own figures at the top, those of every other policy below, in the same fields."""
    scores = {name: each.score.to_json() for name, each in demo.compared.items()}
    site = demo.site
    return {
        **scores["infilink"],
        "rendered": not demo.options.sources,
        "seed": demo.options.seed,
        "cameras": {name: each.camera.source for name, each in site.cameras.items()},
        "models": list(site.specs),
        "budget_bytes": site.budget_bytes,
        "budget_share": site.budget_bytes / site.full_bytes,
        "compute_cores": site.compute_cores,
        "compute_share": site.compute_cores / site.full_cores,
        "stem": None if demo.stem is None else demo.stem.model_dump(mode="json"),
        "filter": f"{demo.filter_spec.kind}, {demo.filter_spec.rule}, {demo.filter_spec.accuracy:g}",
        "certified": demo.filter_spec.certificate.certified,
        "stream_bytes": site.stream_bytes,
        "headline": headline(demo),
        "full": scores["full"],
        "policies": {
            policy.name: scores[policy.name] for policy in demo.policies if policy.name not in ("infilink", "full")
        },
        "free": [policy.name for policy in FREE],
        "checked": {title: {"daemons": live, "replayed": again} for title, (live, again) in demo.checked.items()},
        "seconds_by_step": dict(demo.seconds_by_step),
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
        ("Which model ran where and when", when_models_ran(demo)),
        ("What it costs, and what it is worth", what_it_costs(demo)),
        ("Agreement with running everything", agreement_over_time(demo)),
        ("Memory and compute against their budgets", budgets_over_time(demo)),
        ("Bytes sent by all cameras", bytes_over_time(demo)),
    ]
    return environment.get_template("report.html.j2").render(
        demo=demo,
        report=report,
        columns=COLUMNS,
        rows=list(zip(demo.policies, rows(demo), strict=True)),
        tiles=_tiles(demo),
        by_model=_by_model(demo),
        by_camera=_by_camera(demo),
        compared=[policy for policy in demo.policies if policy.name != "full"],
        settings=settings_lines(demo),
        plots=plots,
        headline=headline(demo),
        title=_title(demo),
        video=_video(demo.options.out / "annotated.mp4"),
    )


def _tiles(demo: Demo) -> list[tuple[str, str, str]]:
    """The figures that matter most: value, what it is, beside what."""
    ours, full = demo.compared["infilink"].score, demo.compared["full"].score
    free = max(demo.compared[policy.name].score.agreement for policy in FREE)
    found = max(demo.compared[policy.name].score.events_found for policy in FREE)
    return [
        (f"{ours.agreement:.1%}", "agreement with running everything", f"best without learning: {free:.1%}"),
        (f"{ours.events_found}/{ours.events}", "events found", f"best without learning: {found}"),
        (f"{ours.executions_share:.1%}", "of the model runs", f"{ours.executions} of {full.executions}"),
        (f"{ours.cpu_share:.1%}", "of the processors' time", f"{ours.cpu_s:.1f} of {full.cpu_s:.1f} s"),
        (
            f"{ours.sent_bytes / max(1, full.sent_bytes):.1%}",
            "of the JPEGs' bytes",
            f"H.264: {demo.site.stream_bytes / max(1, full.sent_bytes):.1%}",
        ),
        (format_bytes(ours.peak_bytes), "memory of models", f"all of them: {format_bytes(full.peak_bytes)}"),
    ]


def _by_model(demo: Demo) -> list[tuple[str, str, list[str], list[str]]]:
    """Per model: its name, its kind, where its answers came from, and its agreement by every policy."""
    streams = demo.served["infilink"].streams.values()
    lines: list[tuple[str, str, list[str], list[str]]] = []
    for place, (name, spec) in enumerate(demo.site.specs.items()):
        origin = np.concatenate([each.origin[place] for each in streams])
        shares = [f"{(origin == at).mean():.0%}" for at in range(len(ORIGINS))]
        values = [f"{demo.compared[p.name].score.by_model[name]:.3f}" for p in demo.policies if p.name != "full"]
        lines.append((name, spec.output.kind, shares[:5], values))
    return lines


def _by_camera(demo: Demo) -> list[tuple[str, list[str], list[str]]]:
    """Per camera: its name, where its answers came from, and its agreement by every policy."""
    lines = []
    for name, stream in demo.served["infilink"].streams.items():
        shares = [f"{(stream.origin == at).mean():.0%}" for at in range(len(ORIGINS))]
        values = [f"{demo.compared[p.name].score.by_camera[name]:.3f}" for p in demo.policies if p.name != "full"]
        lines.append((name, shares[:5], values))
    return lines


def _video(path: Path) -> str:
    """The video as it goes into the page; beside the page, where it is large."""
    if path.stat().st_size > _EMBEDDED_BYTES:
        return path.name
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _share(value: float | None, *, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
