"""A coordinator's status for people and for programs: tables that an operator reads, or JSON."""

import json
from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ..protos import edge_pb2
from ..units import format_bytes
from .security.text import printable

_BUSY = 0.9
"""From this share of the compute on that was spent, there is more to run than it is enough for."""
ORIGINS = ("executed", "linked", "held", "constant")


def as_json(status: edge_pb2.StatusReply) -> str:
    """The whole status, in one line."""
    return json.dumps(
        MessageToDict(status, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


def as_tables(status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None = None) -> RenderableType:
    """The budgets in words, the models and the devices.

    Args:
        status: what the coordinator said.
        before: what it said before: processors' time is told since then; None: since the coordinator began.
    """
    return Group(*_summary(status, before), _models(status), _devices(status))


def _summary(status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None) -> Iterator[str]:
    counts = f"{status.inputs} inputs answered, {status.refused} refused, {status.repeated} answered again"
    yield f"[bold]infilink {status.version}[/bold], up {time_text(status.uptime_s)}: {counts}"
    if status.compute_cores and status.expected_agreement:
        yield f"expected: an agreement of {status.expected_agreement:.3f}, if it goes as when the links were learnt"
    if status.ledger_trouble:
        yield f"[red]the ledger can't be written: {status.ledger_trouble}; it goes on by itself once that is over[/red]"
    yield _memory(status)
    yield from (f"{place.name}: {_memory(place)}" for place in status.places if place.name != "host")
    yield from _compute(status, before)


def _memory(status: edge_pb2.StatusReply | edge_pb2.PlaceStatus) -> str:
    used, most = format_bytes(status.memory_bytes), f"at most {format_bytes(status.peak_bytes)} so far"
    if not status.budget_bytes:
        return f"memory: {used}, no limit ({most})"
    above = (
        f"[red]above the budget in {status.budget_violations} of {status.memory_samples} samples[/red]"
        if status.budget_violations
        else f"never above it in {status.memory_samples} samples"
    )
    share = status.memory_bytes / status.budget_bytes
    return f"memory: {used} of {format_bytes(status.budget_bytes)} ({share:.0%}; {most}, {above})"


def _compute(status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None) -> Iterator[str]:
    cores, since = cores_spent(status, before), "since it began" if before is None else "since the last look"
    if not status.compute_cores:
        yield f"compute: {cores:.2f} cores {since}; every model runs on every input"
        return
    yield f"compute: {cores:.2f} of {status.compute_cores:g} cores ({cores / status.compute_cores:.0%}) {since}"
    if status.price > 0.0:
        yield f"price: a second of a core goes only to what prevents at least {status.price:.3g} losses"
    else:
        yield "price: none: there is enough for everything that tells anything"
    if cores >= _BUSY * status.compute_cores:
        yield "[yellow]overload: more is worth running than there is compute for: what tells least does not[/yellow]"
    if status.late:
        yield (
            f"[yellow]{status.late} runs were left out, as their turn did not come within `answer_within_s`: give "
            "`compute` no more than there is[/yellow]"
        )


def cores_spent(status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None) -> float:
    """Seconds of processors a second: what the schedule counts, loads included; without one, what models took.

    Args:
        status: what the coordinator said.
        before: what it said before; None: nothing, and it is since it began.
    """
    since = edge_pb2.StatusReply() if before is None else before

    def spent_s(each: edge_pb2.StatusReply) -> float:
        return each.spent_s if status.compute_cores else sum(model.cpu_s for model in each.models)

    return (spent_s(status) - spent_s(since)) / max(status.uptime_s - since.uptime_s, 1e-3)


def _models(status: edge_pb2.StatusReply) -> Table:
    table = _table("model", "state", "memory", "runs", "CPU", "loads", "a run\nprevents", "staying\nprevents", "why")
    for model in status.models:
        scheduled = status.compute_cores > 0.0
        table.add_row(
            escape(printable(model.name)),
            "running" if model.running else model.state,
            format_bytes(model.memory_bytes) if model.memory_bytes else "-",
            str(model.executions),
            f"{model.cpu_s:.1f} s",
            str(model.loads),
            f"{model.waiting:.2f}" if scheduled else "-",
            f"{model.keeping:.2f}/s" if scheduled else "-",
            escape(printable(model.why)),
        )
    return table


def _devices(status: edge_pb2.StatusReply) -> RenderableType:
    if not status.devices:
        return "no device has connected yet"
    table = _table("device", "kind", "", "inputs", *ORIGINS, "trust\nrevoked")
    gates = _table("device", "gate")
    for device in status.devices:
        table.add_row(
            escape(printable(device.name)),
            escape(printable(device.modality)) or "-",
            "" if device.connected else "gone",
            str(device.inputs),
            *_shares(device),
            escape(printable(", ".join(device.revoked))) or "-",
        )
        if device.report.frames:
            gates.add_row(escape(printable(device.name)), _gate(device.report))
    return Group(table, gates) if gates.row_count else table


def origin_counts(device: edge_pb2.DeviceStatus) -> list[int]:
    """How many of a device's answers, of all models, came to be in each of the ways of `ORIGINS`."""
    return [sum(getattr(each, origin) for each in device.answers.values()) for origin in ORIGINS]


def _shares(device: edge_pb2.DeviceStatus) -> list[str]:
    counts = origin_counts(device)
    total = sum(counts)
    return [f"{count / total:.0%}" if total else "-" for count in counts]


def _gate(report: edge_pb2.Report) -> str:
    said = [f"kept {report.kept / report.frames:.0%} of {report.frames}"]
    if report.level:
        said.append(f"[yellow]{escape(printable(report.level))}: {escape(printable(report.level_reason))}[/yellow]")
    if report.left_out:
        said.append(f"{report.left_out} left out")
    if report.undecoded:
        lost = f", loses {report.packets_error:.3f}" if report.HasField("packets_error") else ""
        said.append(f"{report.undecoded} not decoded: {report.decode_saved:.0%} of decoding saved{lost}")
    if report.packets_broken:
        said.append("[red]packet gate's promise broken: all is decoded[/red]")
    if report.dropped:
        said.append(f"{report.dropped} dropped on the way")
    said += _spool(report)
    if report.uncertified:
        said.append("not certified")
    if report.HasField("audit_error"):
        said.append(f"audit: loses {report.audit_error:.3f} ({report.audit_blocks} blocks)")
    if report.audit_broken:
        said.append("[red]promise broken: all is sent[/red]")
    if report.rate_far:
        said.append(f"drops far {'more' if report.rate_far == 'above' else 'less'} than when calibrated")
    if report.camera:
        said.append(f"camera {escape(printable(report.camera))}")
    if report.gate_failing:
        said.append("[red]the gate fails on every input: they pass[/red]")
    if report.clock_behind_s:
        said.append(f"clock {abs(report.clock_behind_s):.1f} s {'behind' if report.clock_behind_s > 0 else 'ahead'}")
    return ", ".join(said)


def _spool(report: edge_pb2.Report) -> list[str]:
    """What waits on the device, and what is wrong with that."""
    said = []
    if report.spooled:
        said.append(f"{report.spooled} wait on it, the oldest for {time_text(report.spool_oldest_s)}")
    if report.spool_dropped:
        said.append(f"{report.spool_dropped} given up there")
    if report.spool_state not in ("", "ready"):
        said.append(f"[yellow]its spool: {escape(printable(report.spool_state))}[/yellow]")
    return said


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        reason = column in ("why", "trust\nrevoked", "gate")
        text = reason or column in ("model", "device", "kind", "state", "")
        # A narrow terminal breaks reasons into lines before it takes from names: streams of a device begin alike.
        table.add_column(column, justify="left" if text else "right", no_wrap=not reason, overflow="fold")
    return table


def time_text(seconds: float) -> str:
    """A time since something, roughly."""
    for unit, size_s in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"
