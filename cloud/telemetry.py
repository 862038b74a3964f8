"""The coordinator's figures, as the GetStatus reply."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import __version__
from ..protos import edge_pb2

if TYPE_CHECKING:
    from .coordinator import Coordinator
    from .runtime.memory import MemoryBudget

_TROUBLES = {"full": "its disk is full", "away": "its database is away"}


def status_reply(coordinator: "Coordinator") -> edge_pb2.StatusReply:
    """The status: the plan, the memory, and all counters."""
    plan, memory, scheduler = coordinator.initial.plan, coordinator.memory.stats(), coordinator.scheduler
    running, queued = scheduler.pool.queue.running, scheduler.pool.queue.waiting()
    schedule = None if scheduler.schedule is None else scheduler.schedule.stats()
    models = [
        edge_pb2.ModelStatus(
            name=name,
            why=scheduler.why.get(name, ""),
            running=name in running,
            waiting=0.0 if schedule is None else schedule.waiting[name],
            keeping=0.0 if schedule is None else schedule.keeping[name],
            queue=queued.get(name, 0),
            **asdict(worker.stats()),
        )
        for name, worker in coordinator.workers.items()
    ]
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
        expected_agreement=plan.expected_agreement,
        devices=[
            edge_pb2.DeviceStatus(
                name=session.key.name,
                modality=session.form.modality,
                connected=session.connection is not None,
                inputs=session.inputs,
                report=session.report,
                revoked=session.serving.live.revoked(),
                audited=session.serving.live.audited,
                local=sorted(session.local),
                answers={name: edge_pb2.AnswerCounts(**counts) for name, counts in session.answered.items()},
                version=session.version,
                wire=session.wire,
                queue=0 if session.connection is None else session.connection.waiting,
            )
            for session in coordinator.sessions.values()
        ],
        uptime_s=time.monotonic() - coordinator.started,
        compute_cores=0.0 if schedule is None else schedule.compute_cores,
        spent_s=0.0 if schedule is None else schedule.spent_s,
        price=0.0 if schedule is None else schedule.price,
        late=scheduler.late,
        stages=[
            edge_pb2.StageStatus(stage=stage, bounds_s=each.bounds, counts=each.counts, total_s=each.total)
            for stage, each in coordinator.metrics.stages.items()
        ],
        refusals=coordinator.metrics.refusals,
        ledger_trouble=_TROUBLES.get(coordinator.ledger.stats().trouble, ""),
        places=[_place(budget) for budget in coordinator.pool.budgets],
    )


def _place(budget: "MemoryBudget") -> edge_pb2.PlaceStatus:
    stats = budget.stats()
    return edge_pb2.PlaceStatus(
        name=budget.place,
        budget_bytes=stats.limit_bytes or 0,
        memory_bytes=stats.memory_bytes,
        peak_bytes=stats.peak_bytes,
        budget_violations=stats.violations,
        memory_samples=stats.samples,
    )
