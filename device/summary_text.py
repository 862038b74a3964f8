"""A run's figures for people."""

from rich.table import Table

from ..units import format_bytes
from .summary import PacketReport, Summary, Travelled

_BOUND_OF_USE = 0.5
"""A bound above it says nothing: the first block alone could not show less than 0.95."""


def as_table(summary: Summary) -> Table:
    """The figures, a line each, as far as there are any."""
    table = Table(show_header=False)
    kept = summary.kept / max(1, summary.frames)
    rows = {
        "inputs": f"{summary.frames} in {summary.wall_s:.1f} s ({summary.fps:.1f} per second)",
        "kept": f"{summary.kept} ({kept:.0%}); dropped {summary.dropped}, refused {summary.refused}",
        "answered": f"{summary.answered}{_spooled(summary)}",
        "sent, received": f"{format_bytes(summary.sent_bytes)}, {format_bytes(summary.received_bytes)}",
        "deciding": f"{summary.decide_p50_ms:.2f} ms median, {summary.decide_p99_ms:.2f} ms 99th percentile",
        "memory": f"{format_bytes(summary.peak_rss_bytes)} at most, all streams of this process together",
    }
    if summary.left_out:
        rows["left out"] = f"{summary.left_out} by the governor"
    if summary.local.executions:
        mean_ms = 1000 * summary.local.infer_s / summary.local.executions
        rows["models here"] = (
            f"ran {summary.local.executions} times, {mean_ms:.1f} ms each, in {format_bytes(summary.local.peak_bytes)}"
        )
    rows |= _travelled(summary.travelled)
    if summary.certified is not None:
        rows["its promise"] = "certified" if summary.certified else "NOT certified"
    if summary.packets is not None:
        rows["packet gate"] = _packets_text(summary.packets)
    if summary.audit_error is not None:
        rows["audit"] = _audit_text(summary)
    if summary.rate_far:
        rows["drops"] = f"far {'more' if summary.rate_far == 'above' else 'less'} than in calibration"
    rows |= _trouble(summary)
    for part in summary.parts:
        shown = "nothing seen" if part.accuracy is None else f"{part.accuracy:.3f} in {part.runs} blocks"
        rows[part.name] = f"{shown}, at least {part.least:g} promised: {part.verdict}"
    if summary.events is not None:
        found = summary.events
        unknown = f" ({found.unknown} nobody knows of)" if found.unknown else ""
        rows["events"] = (
            f"{found.found} of {found.events} seen were found{unknown}, {found.recall:g} promised: {found.verdict}"
        )
    if summary.light_answers:
        rows["light answers"] = str(summary.light_answers)
    if summary.learnt:
        rows["learnt from"] = (
            f"{summary.learnt} inputs; by the audit {summary.better} times better than before, {summary.worse} worse"
        )
    for key, value in rows.items():
        table.add_row(key, value)
    return table


def _travelled(went: Travelled) -> dict[str, str]:
    """What travelled instead of frames as JPEGs."""
    rows = {}
    if went.features:
        rows["as features"] = (
            f"{went.features} inputs, {format_bytes(went.features_bytes)}; {went.wanted} frames were asked for, "
            f"{format_bytes(went.wanted_bytes)} ({went.gone} were gone)"
        )
    if went.video:
        rows["as H.264"] = f"{went.video} inputs, {format_bytes(went.video_bytes)}"
    return rows


def _trouble(summary: Summary) -> dict[str, str]:
    """What kept the gate from deciding."""
    rows = {}
    if summary.gate_failed:
        rows["the gate failed"] = f"on {summary.gate_failed} inputs"
    if summary.camera_changes:
        times = "once" if summary.camera_changes == 1 else f"{summary.camera_changes} times"
        rows["the camera"] = f"did not see what it saw {times}, on {summary.camera_unsure} inputs in all"
    return rows


def _audit_text(summary: Summary) -> str:
    if not summary.audited:
        return "nothing that was not sent was looked at yet"
    text = f"{summary.audited} looked at; loses {summary.audit_error:.3f}"
    if summary.audit_upper_bound is not None and summary.audit_upper_bound > _BOUND_OF_USE:
        text += f" by {summary.audit_blocks} blocks of inputs, too few to say at most how much"
    elif summary.audit_upper_bound is not None:
        text += f", at most {summary.audit_upper_bound:.3f}, by {summary.audit_blocks} blocks of inputs"
    return f"{text}; {summary.alarms} alarms"


def _packets_text(found: PacketReport) -> str:
    text = f"{found.undecoded} inputs not decoded: {found.saved:.0%} of {found.whole_decode_s:.1f} s of decoding saved"
    if found.audit is None or found.audit.error is None:
        return text
    bound = f", at most {found.audit.upper_bound:.3f}" if found.audit.blocks else ""
    return f"{text}; loses {found.audit.error:.3f}{bound} on {found.audit.audited} that were looked at all the same"


def _spooled(summary: Summary) -> str:
    if not summary.late and not summary.spooled:
        return ""
    return f", {summary.late} of them late; {summary.spooled} inputs wait in the spool for the next run"
