"""The demo's results: a table for the terminal, report.json, and a page with plots."""

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
    "frames/s",
    "gain",
    "agreement",
    "of linked",
    "of skipped",
    "skipped",
    "MiB sent",
    "executions",
    "peak MiB",
    "over budget",
)


def row(score: Score) -> tuple[str, ...]:
    """A run's cells, in the order of `COLUMNS`."""
    return (
        f"{score.throughput_fps:.1f}",
        f"{score.throughput_gain:.1f}x",
        f"{score.agreement:.3f}",
        _share(score.agreement_linked),
        _share(score.agreement_skipped),
        f"{score.filtering_rate:.0%}",
        f"{score.sent_bytes / 2**20:.1f}",
        str(score.executions),
        f"{score.peak_bytes / 2**20:.0f}",
        str(score.budget_violations),
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
    for cells in zip(COLUMNS, *(row(compared.score) for compared in demo.compared.values()), strict=True):
        table.add_row(*cells)
    console.print(table)
    console.print(f"filter: {demo.filter_text}", highlight=False)
    for line in plan_lines(demo):
        console.print(line, highlight=False)


def plan_lines(demo: Demo) -> list[str]:
    """What runs and what is predicted, in words."""
    lines = [f"always run: {', '.join(demo.plan.resident) or 'none'}"]
    if demo.plan.refresh_s:
        turns = (f"{name} every {refresh_s:g} s" for name, refresh_s in demo.plan.refresh_s.items())
        lines.append(f"in turn: {', '.join(turns)}")
    lines += [f"{name}: {served.why}" for name, served in demo.plan.served.items() if name not in demo.plan.resident]
    return lines


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
        "filter": demo.filter_text,
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
        rows=[(name, TITLES[name], NOTES[name], row(c.score)) for name, c in demo.compared.items()],
        by_model=_by_model(demo),
        plan_lines=plan_lines(demo),
        plots=plots,
        budget=format_bytes(report["budget_bytes"]),
        headline=headline(report),
    )


def headline(report: dict[str, Any]) -> str:
    """The result in one sentence."""
    return (
        f"{report['throughput_gain']:.1f} times the frames per second, {report['bandwidth_saved']:.0%} less sent and "
        f"{report['compute_saved']:.1%} less computed, at {report['agreement']:.1%} agreement with running everything."
    )


def _by_model(demo: Demo) -> list[tuple[str, str, str, list[str]]]:
    """Per model: its name, its kind, where its answers come from, and its agreement in each run but the full one."""
    lines: list[tuple[str, str, str, list[str]]] = []
    for index, (name, spec) in enumerate(demo.specs.items()):
        values = [f"{np.mean(c.agreement[index]):.3f}" for run, c in demo.compared.items() if run != "full"]
        origin: str = "executed" if name in demo.plan.resident else demo.plan.served[name].origin
        lines.append((name, spec.output.kind, origin, values))
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
