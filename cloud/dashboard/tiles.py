"""What a page says of a stream, of the models and of the whole site: plain values, to be written as JSON."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidInput
from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ..ledger.said import said_by
from ..sessions.session import Session
from ..status_text import cores_spent, time_text
from .shown import Answer

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_MOST_BOXES = 40
_BUSY = 0.9
_FULL = 0.95


def stream_tile(
    session: Session, answer: Answer | None, picture: Answer | None, events: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a stream's tile shows.

    Args:
        session: the stream's newest run.
        answer: its newest answer; None: there was none.
        picture: its newest answer with a picture; None: there was none.
        events: how many it had lately; None: not known yet.
    """
    report = session.report
    tile: dict[str, Any] = {
        "name": session.key.name,
        "kind": session.form.modality,
        "connected": session.connection is not None,
        # What a device says of itself is some seconds old.
        "inputs": max(report.frames, session.inputs),
        "sent": session.inputs,
        "answered_us": 0 if answer is None else answer.at_us,
        "said": [] if answer is None else said_lines(answer),
        "picture": 0 if picture is None else picture.at_us,
        "boxes": [] if picture is None else boxes_on(picture),
        "troubles": troubles(session),
    }
    if events is not None:
        tile["events"] = events
    if report.frames:
        tile["contract"] = contract(report)
    return tile


def contract(report: edge_pb2.Report) -> dict[str, Any]:
    """What the stream's gate promises, and what its audit has measured; without an audit that is over, nothing."""
    is_measured = report.audit_blocks > 0
    return {
        "promised": round(report.promised, 4) if report.HasField("promised") else None,
        "measured": round(1.0 - report.audit_error, 4) if is_measured and report.HasField("audit_error") else None,
        "least": round(1.0 - report.audit_bound, 4) if is_measured and report.HasField("audit_bound") else None,
        "blocks": report.audit_blocks,
        "audited": report.audited,
        "broken": report.audit_broken,
        "uncertified": report.uncertified,
    }


def troubles(session: Session) -> list[str]:
    """What is not as it should be with a stream, in words; the worst first."""
    report, found = session.report, []
    if session.connection is None:
        found.append("not connected")
    if report.audit_broken:
        found.append("its gate loses more than it promised: everything is sent")
    if report.dropped:
        found.append(f"{report.dropped} inputs were dropped on the way")
    if report.rate_far:
        way = "more" if report.rate_far == "above" else "less"
        found.append(f"its gate drops far {way} than when it was calibrated")
    if report.clock_behind_s:
        way = "behind" if report.clock_behind_s > 0 else "ahead"
        found.append(f"its clock is {abs(report.clock_behind_s):.1f} s {way}")
    if revoked := session.serving.live.revoked():
        found.append(f"no longer trusted: {', '.join(revoked)}")
    return found


def site_state(
    coordinator: "Coordinator", status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None
) -> dict[str, Any]:
    """What the head of the site page shows.

    Args:
        coordinator: whose site.
        status: how it is.
        before: how it was a while ago; None: not known.
    """
    since = before if before is not None and before.uptime_s < status.uptime_s else edge_pb2.StatusReply()
    seconds = max(status.uptime_s - since.uptime_s, 1e-3)
    cores = cores_spent(status, since)
    budget = status.budget_bytes
    # A stream has a run for each time that its device began anew.
    streams = {device.name: False for device in status.devices}
    streams |= {device.name: True for device in status.devices if device.connected}
    return {
        "version": status.version,
        "uptime": time_text(status.uptime_s),
        "streams": len(streams),
        "connected": sum(streams.values()),
        "inputs_per_s": round((status.inputs - since.inputs) / seconds, 1),
        "refused_per_s": round((status.refused - since.refused) / seconds, 1),
        "memory": [status.memory_bytes, budget, status.peak_bytes],
        "compute": [round(cores, 2), status.compute_cores],
        "running": [model.name for model in status.models if model.running],
        "loaded": [model.name for model in status.models if model.state == "loaded"],
        "models": len(status.models),
        "faults": _faults(coordinator, status, cores),
    }


def _faults(coordinator: "Coordinator", status: edge_pb2.StatusReply, cores: float) -> list[str]:
    found = []
    if coordinator.stopping:
        found.append("the coordinator is stopping")
    if status.ledger_trouble:
        found.append(f"the ledger can't be written: {status.ledger_trouble}")
    if status.budget_violations:
        found.append(f"memory was above its budget in {status.budget_violations} of {status.memory_samples} samples")
    if status.budget_bytes and status.memory_bytes >= _FULL * status.budget_bytes:
        found.append("the memory budget is nearly full")
    if status.compute_cores and cores >= _BUSY * status.compute_cores:
        found.append("overload: more is worth running than there is compute for; what tells least does not run")
    found += [f"model {model.name} failed: {model.why}" for model in status.models if model.state == "failed"]
    return found


def said_lines(answer: Answer) -> list[dict[str, Any]]:
    """What each model said of an input, and how that came to be."""
    answered = answer.answered
    own = [_line(output, answered.specs.get(output.model)) for output in answered.message.result.outputs]
    given = [_line(output, answered.specs.get(output.model), local=True) for output in answered.given]
    return own + given


def _line(output: edge_pb2.Output, spec: ModelSpec | None, *, local: bool = False) -> dict[str, Any]:
    origin = "local" if local else edge_pb2.Origin.Name(output.origin).removeprefix("ORIGIN_").lower()
    return {
        "model": output.model,
        "text": said_by(output, spec),
        "origin": origin,
        "confidence": 1.0 if local else round(output.confidence, 2),
        "trust": "exact" if local else output.trust or ("certified" if output.trusted else "uncalibrated"),
        "age_s": round(output.age_s, 1),
        "sources": list(output.sources),
    }


def boxes_on(picture: Answer) -> list[list[Any]]:
    """The boxes on a picture: left, top, right, bottom as shares of it, what it is, and the model."""
    found: list[list[Any]] = []
    answered = picture.answered
    for output in (*answered.message.result.outputs, *answered.given):
        spec = answered.specs.get(output.model)
        if output.kind != "boxes" or spec is None:
            continue
        try:
            value = read_array(output)
        except InvalidInput:
            continue
        corners = np.clip(value[:, :4], 0.0, 1.0).round(3)
        for box, row in zip(corners.tolist(), value[:, 4:].tolist(), strict=True):
            index = int(row[1])
            name = spec.output.classes[index] if 0 <= index < len(spec.output.classes) else f"class {index}"
            found.append([*box, f"{name} {row[0]:.2f}", output.model])
    return found[:_MOST_BOXES]


def now_us() -> int:
    """Unix time, as answers have it."""
    return time.time_ns() // 1000
