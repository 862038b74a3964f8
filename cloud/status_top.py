"""A running coordinator on one screen: what it does now, from two looks at its status."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..protos import edge_pb2
from ..units import format_bytes
from .security.text import printable
from .status_text import ORIGINS, cores_spent, origin_counts, time_text

STAGES = ("total", "queue", "decode", "infer", "ledger")
_BAR = 24
_HIGH, _FULL = 0.75, 0.95


class Change:
    """What a coordinator did between two looks.

    Args:
        now: the later one.
        before: the earlier one; None, or of a coordinator that was started again since: all that it did so far.
    """

    def __init__(self, now: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None = None) -> None:
        if before is None or before.uptime_s > now.uptime_s:
            before = edge_pb2.StatusReply()
        self.now = now
        self.before = before
        self.seconds = max(now.uptime_s - before.uptime_s, 1e-3)
        self._models = {model.name: model for model in before.models}
        self._devices = {device.name: device for device in before.devices}
        self._stages = {stage.stage: stage for stage in before.stages}

    def model(self, name: str) -> edge_pb2.ModelStatus:
        """A model as it was before."""
        before: edge_pb2.ModelStatus = self._models.get(name, edge_pb2.ModelStatus())
        return before

    def device(self, device: edge_pb2.DeviceStatus) -> edge_pb2.DeviceStatus:
        """A device as it was before; one that began a new session counts from 0."""
        before = self._devices.get(device.name, edge_pb2.DeviceStatus())
        return before if before.inputs <= device.inputs else edge_pb2.DeviceStatus()

    def rate(self, field: str) -> float:
        """How much a counter of the status rose in a second."""
        return float(getattr(self.now, field) - getattr(self.before, field)) / self.seconds

    def quantiles(self, stage: edge_pb2.StageStatus, shares: Sequence[float]) -> list[float] | None:
        """The times that these shares of the inputs took at most; None: there were none."""
        before = self._stages.get(stage.stage)
        old = (
            before.counts if before is not None and len(before.counts) == len(stage.counts) else [0] * len(stage.counts)
        )
        counts = [new - was for new, was in zip(stage.counts, old, strict=True)]
        if sum(counts) <= 0:
            return None
        return [quantile(stage.bounds_s, counts, share) for share in shares]


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The value that this share of what was counted is below: evenly spread within a bucket; at most the last bound."""
    cumulated = list(accumulate(counts))
    wanted = share * cumulated[-1]
    place = bisect_left(cumulated, wanted)
    if place >= len(bounds):
        return float(bounds[-1])
    lower = bounds[place - 1] if place else 0.0
    below = cumulated[place] - counts[place]
    return float(lower + (bounds[place] - lower) * (wanted - below) / counts[place]) if counts[place] else float(lower)


def as_line(change: Change, *, clock: str) -> str:
    """The most important of it in one line, for what is no terminal."""
    now = change.now
    told = [
        f"{change.rate('inputs'):.1f} inputs/s",
        f"{change.rate('refused'):.1f} refused/s",
        f"{sum(device.queue for device in now.devices)} waiting",
        f"memory {_memory(now)}",
        *(f"{card.name} {_memory(card)}" for card in _cards(now)),
        f"compute {_compute(change)}",
    ]
    told += [f"{stage} {times}" for stage, times in _latencies(change) if stage == "total"]
    running = [printable(model.name) for model in now.models if model.running]
    told.append(f"runs now: {', '.join(running) or 'nothing'}")
    return f"{clock} {'; '.join(told)}"


def as_screen(change: Change, *, height: int, note: str = "") -> RenderableType:
    """All of it, for a terminal.

    Args:
        change: what to show.
        height: the lines that there are: the models and streams that do most are shown, and how many are left out.
        note: what went wrong at the last look.
    """
    now = change.now
    connected = sum(device.connected for device in now.devices)
    head = Text.assemble(
        (f"infilink {now.version}", "bold"),
        f"  up {time_text(now.uptime_s)}  ",
        (f"{change.rate('inputs'):.1f} inputs/s", "bold green"),
        f"  {change.rate('refused'):.1f} refused/s{_refusals(change)}",
        f"  {sum(device.queue for device in now.devices)} waiting  {connected} streams",
    )
    running = [printable(model.name) for model in now.models if model.running]
    if now.ledger_trouble:
        note = note or f"the ledger can't be written: {now.ledger_trouble}"
    latencies = "   ".join(f"{stage} {times}" for stage, times in _latencies(change))
    lines: list[RenderableType] = [
        head,
        _bar("memory", now.memory_bytes, now.budget_bytes, _memory(now)),
        *(_bar(card.name, card.memory_bytes, card.budget_bytes, _memory(card)) for card in _cards(now)),
        _bar("compute", cores_spent(now, change.before), now.compute_cores, _compute(change)),
        Text(f"latency p50 / p99   {latencies or 'nothing yet'}"),
        Text(f"runs now  {', '.join(running) or 'nothing'}"),
    ]
    room = max(4, height - len(lines) - 8)
    models = _models(change, most=max(2, room // 2))
    rest = room - min(len(now.models), max(2, room // 2))
    lines += [models, _streams(change, most=max(2, rest))]
    lines.append(Text(note or "q: quit", style="red" if note else "dim"))
    return Group(*lines)


def _cards(now: edge_pb2.StatusReply) -> list[edge_pb2.PlaceStatus]:
    return [place for place in now.places if place.name != "host"]


def _latencies(change: Change) -> Iterator[tuple[str, str]]:
    by_name = {stage.stage: stage for stage in change.now.stages}
    for name in STAGES:
        found = change.quantiles(by_name[name], (0.5, 0.99)) if name in by_name else None
        if found is not None:
            yield name, f"{_milliseconds(found[0])} / {_milliseconds(found[1])}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1.0 else f"{1000 * seconds:.3g} ms"


def _memory(now: edge_pb2.StatusReply | edge_pb2.PlaceStatus) -> str:
    of = f" of {format_bytes(now.budget_bytes)}" if now.budget_bytes else ", no limit"
    return f"{format_bytes(now.memory_bytes)}{of}"


def _compute(change: Change) -> str:
    now = change.now
    of = f" of {now.compute_cores:g}" if now.compute_cores else ""
    price = f", a second has to prevent {now.price:.3g} losses" if now.price > 0.0 else ""
    return f"{cores_spent(now, change.before):.2f}{of} cores{price}"


def _refusals(change: Change) -> str:
    rates = {
        why: (count - change.before.refusals.get(why, 0)) / change.seconds for why, count in change.now.refusals.items()
    }
    told = ", ".join(f"{why} {rate:.1f}" for why, rate in sorted(rates.items()) if rate > 0.0)
    return f" ({told})" if told else ""


def _bar(name: str, used: float, limit: float, text: str) -> RenderableType:
    share = used / limit if limit else 0.0
    style = "red" if share >= _FULL else "yellow" if share >= _HIGH else "green"
    row = Table.grid(padding=(0, 1))
    row.add_column(width=8)
    row.add_column(width=_BAR)
    row.add_column()
    bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=_BAR, complete_style=style, finished_style=style)
    row.add_row(name, bar, Text(text))
    return row


def _models(change: Change, *, most: int) -> Table:
    now, seconds = change.now, change.seconds

    def runs(model: edge_pb2.ModelStatus) -> float:
        return (model.executions - change.model(model.name).executions) / seconds

    table = _table(("model", "state", "why"), "model", "state", "memory", "runs/s", "a run", "cores", "waiting", "why")
    for model in sorted(now.models, key=lambda each: (-runs(each), each.state != "loaded", each.name))[:most]:
        before = change.model(model.name)
        times = model.executions - before.executions
        table.add_row(
            Text(printable(model.name)),
            Text("running", style="green") if model.running else model.state,
            format_bytes(model.memory_bytes) if model.memory_bytes else "-",
            f"{runs(model):.1f}",
            _milliseconds((model.infer_s - before.infer_s) / times) if times > 0 else "-",
            f"{(model.cpu_s - before.cpu_s) / seconds:.2f}",
            str(model.queue),
            Text(printable(model.why), overflow="ellipsis", no_wrap=True),
        )
    return _and_more(table, len(now.models) - most)


def _streams(change: Change, *, most: int) -> Table:
    now, seconds = change.now, change.seconds
    newest = {device.name: device for device in now.devices}

    def rate(device: edge_pb2.DeviceStatus) -> float:
        return (device.inputs - change.device(device).inputs) / seconds

    table = _table(
        ("stream", "state"), "stream", "state", "inputs/s", "waiting", *ORIGINS, "filtered", "sent/s", "audit"
    )
    for device in sorted(newest.values(), key=lambda each: (not each.connected, -rate(each), each.name))[:most]:
        before, report = change.device(device), device.report
        old, counts = origin_counts(before), origin_counts(device)
        recent = [new - was for new, was in zip(counts, old, strict=True)]
        sent = max(0, report.sent_bytes - before.report.sent_bytes) / seconds
        table.add_row(
            Text(printable(device.name)),
            # How much its governor leaves out, if it does.
            Text(printable(report.level)) if device.connected else "gone",
            f"{rate(device):.1f}",
            str(device.queue),
            *(f"{count / sum(recent):.0%}" if sum(recent) > 0 else "-" for count in recent),
            f"{1.0 - report.kept / report.frames:.0%}" if report.frames else "-",
            format_bytes(round(sent)) if report.frames else "-",
            _audit(report),
        )
    return _and_more(table, len(newest) - most)


def _audit(report: edge_pb2.Report) -> RenderableType:
    if report.audit_broken:
        return Text("promise broken", style="red")
    return f"loses {report.audit_error:.3f}" if report.HasField("audit_error") else "-"


def _table(texts: Sequence[str], *columns: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold reverse", expand="why" in columns)
    for column in columns:
        table.add_column(
            column, justify="left" if column in texts else "right", no_wrap=True, ratio=1 if column == "why" else None
        )
    return table


def _and_more(table: Table, count: int) -> Table:
    if count > 0:
        table.add_row(Text(f"and {count} more", style="dim"))
    return table
