"""What `infilink evaluate links` shows: tables for the terminal, and the same on a page."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...reporting import table_html, write_html
from ...traces.events import EventScore
from ..trust.certificate import ALPHA
from .evaluate import LinksEvaluation
from .events import OURS, WAYS, verdict

_EVENT_COLUMNS = ("model", "way", "found", "95 %", "p50", "p95", "<= 2 s", "<= 10 s", "false")
_EVENT_NOTE = "95 %: of the recall; p50, p95: delay in seconds, a miss is never; false: minutes per camera and day"


@dataclass(frozen=True)
class _Shown:
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


def print_evaluation(console: Console, done: LinksEvaluation) -> None:
    """The tables on the terminal."""
    for shown in _tables(done):
        table = Table(title=shown.title, caption=shown.note or None)
        for index, column in enumerate(shown.head):
            text = not index or column in ("way", "answers")
            table.add_column(column, justify="left" if text else "right", no_wrap=column in ("way", "found"))
        for row in shown.rows:
            table.add_row(*row)
        console.print(table)
    console.print(verdict(done.events), highlight=False)


def write_evaluation_page(path: Path, done: LinksEvaluation) -> None:
    """The same as a self-contained page."""
    tables = "".join(
        f"<h2>{escape(shown.title)}</h2>{table_html(shown.rows, head=shown.head)}<p>{escape(shown.note)}</p>"
        for shown in _tables(done)
    )
    ways = "".join(f"<li><b>{escape(way)}</b>: {escape(text)}</li>" for way, text in WAYS.items())
    write_html(
        path,
        "Links",
        f"<h1>Links on a recording</h1><p class=verdict>{escape(verdict(done.events))}</p>{tables}<ul>{ways}</ul>",
    )


def _tables(done: LinksEvaluation) -> list[_Shown]:
    left_out = f"; {done.left_out} that the links learnt from are left out" if done.left_out else ""
    of = f" of {len(done.cameras)} cameras" if len(done.cameras) > 1 else ""
    own = f"; links of their own: {', '.join(done.known)}" if done.known else ""
    title = f"{done.inputs} inputs{of}{own}{left_out}"
    audits = f"{done.audited} answers audited: trust revoked {done.revocations}, gained {done.regained} times"
    if done.left_out:
        audits += "; what is trusted was certified on these very inputs, so its figures say little here"
    return [
        _Shown(title, ("agreement with the exact models", ""), _agreement_rows(done), audits),
        _Shown("by model", ("model", "agreement", "not executed", "certified on", "answers"), _model_rows(done)),
        _Shown("events, at the same number of executions", _EVENT_COLUMNS, _event_rows(done), _EVENT_NOTE),
    ]


def _agreement_rows(done: LinksEvaluation) -> list[tuple[str, ...]]:
    rows = [
        ("links: all answers", done.agreement),
        ("links: answers that were not executed", done.predicted_agreement),
        ("holding and constants on those same answers", done.free_agreement),
        ("skill of links over that", done.skill),
        ("executions saved", done.executions_saved),
        (
            f"processors' seconds, loads included ({done.spent_s:.1f}), of running everything",
            done.spent_s / done.full_s,
        ),
        ("answers not executed that are trusted", done.trusted_share),
        ("disagreement of the trusted", None if done.trusted_agreement is None else 1.0 - done.trusted_agreement),
        (f"... 95 % upper bound, {done.trusted_runs} runs (promised: {ALPHA:g})", done.trusted_bound),
        ("answers not executed that have a region", done.region_share),
        (f"coverage of the regions (promised: {1.0 - ALPHA:g})", done.region_coverage),
        ("all answers: expected by the plan", done.plan.expected_agreement),
        *((f"all answers: {name}", value) for name, value in done.baselines.items()),
        *((f"camera {name}", value) for name, value in done.cameras.items() if len(done.cameras) > 1),
    ]
    return [(name, "-" if value is None else f"{value:.3f}") for name, value in rows]


def _model_rows(done: LinksEvaluation) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{tally.agreement:.3f}",
            "-" if tally.predicted_agreement is None else f"{tally.predicted_agreement:.3f}",
            f"{done.certified_runs[name]} runs" if done.certified_runs[name] else "-",
            ", ".join(f"{count} {origin}" for origin, count in sorted(tally.origins.items())),
        )
        for name, tally in done.models.items()
    ]


def _event_rows(done: LinksEvaluation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, target in done.events.items():
        for way, score in target.ways.items():
            first = {OURS: name, "held": f"run on {target.executed}"}.get(way, "")
            rows.append((first, way, *_event_cells(score)))
    return rows


def _event_cells(score: EventScore) -> tuple[str, ...]:
    low, high = score.interval
    shares = [f"{share:.2f}" for share in score.within.values()]
    return (
        f"{score.found} of {score.events}",
        f"{low:.2f}-{high:.2f}",
        _delay(score.delay_p50_s),
        _delay(score.delay_p95_s),
        *shares,
        f"{score.false_minutes:.1f}",
    )


def _delay(delay_s: float) -> str:
    return f"{delay_s:.1f}" if math.isfinite(delay_s) else "never"
