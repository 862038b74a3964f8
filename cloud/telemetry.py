"""The coordinator's figures, as the GetStatus reply."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import __version__
from ..protos import edge_pb2

if TYPE_CHECKING:
    from .coordinator import Coordinator


def status_reply(coordinator: "Coordinator") -> edge_pb2.StatusReply:
    """The status: the plan, the memory, and all counters."""
    plan, memory = coordinator.active.current.plan, coordinator.memory.stats()
    models = []
    for name, worker in coordinator.workers.items():
        models.append(edge_pb2.ModelStatus(name=name, **asdict(worker.stats())))
    return edge_pb2.StatusReply(
        version=__version__,
        models=models,
        budget_bytes=memory.limit_bytes or 0,
        memory_bytes=memory.memory_bytes,
        peak_bytes=memory.peak_bytes,
        budget_violations=memory.violations,
        memory_samples=memory.samples,
        inputs=coordinator.counts.results,
        refused=coordinator.counts.refused,
        repeated=coordinator.counts.repeated,
        resident=plan.resident,
        refresh_s=plan.refresh_s,
        expected_agreement=plan.expected_agreement,
        devices=[
            edge_pb2.DeviceStatus(
                name=session.key.device,
                connected=session.connection is not None,
                inputs=session.inputs,
                report=session.report,
                revoked=session.serving.live.revoked(),
                audited=session.serving.live.audited,
                local=sorted(session.local),
            )
            for session in coordinator.sessions.values()
        ],
        uptime_s=time.monotonic() - coordinator.started,
        escalated=coordinator.scheduler.escalation.runs if coordinator.scheduler.escalation is not None else 0,
        switches=coordinator.active.switches,
        profiled=coordinator.reselection.profiled if coordinator.reselection is not None else 0,
    )
