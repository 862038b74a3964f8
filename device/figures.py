"""The figures of a stream's run: as its coordinator is sent them while it runs, and as they are shown at its end."""

from dataclasses import asdict

from ..protos import edge_pb2
from .deciding import Decider
from .exchange import Exchange
from .governor.sensors import Readings
from .governor.stream_level import StreamLevel
from .promise import Promise
from .spooling import spool_report
from .summary import PacketReport, Summary, peak_rss_bytes


def report_of(
    exchange: Exchange,
    decider: Decider,
    promise: Promise,
    *,
    memory_bytes: int,
    level: StreamLevel | None,
    readings: Readings,
    gate: tuple[str, str],
    packets: PacketReport | None,
    filters: edge_pb2.FilterState,
) -> edge_pb2.Report:
    """A stream's counts.

    Args:
        exchange: what was sent and answered.
        decider: what was decided.
        promise: of the gate.
        memory_bytes: what the stream takes of the agent's memory.
        level: how much the governor leaves out; None: it has none.
        readings: what the device says of itself.
        gate: what decides, as the settings name it, and the digest of its file.
        packets: what the packet gate saved and lost; None: there is none.
        filters: what became of the filter that the coordinator wanted.
    """
    audit = promise.report()
    loss = packets.audit if packets is not None else None
    return edge_pb2.Report(
        frames=decider.inputs,
        kept=exchange.counts["kept"],
        dropped=exchange.counts["dropped"],
        sent_bytes=exchange.uplink.sent_bytes,
        received_bytes=exchange.uplink.received_bytes,
        memory_bytes=memory_bytes,
        uncertified=promise.uncertified,
        audited=audit.audited if audit is not None else 0,
        audit_blocks=audit.blocks if audit is not None else 0,
        audit_error=audit.error if audit is not None else None,
        audit_bound=audit.upper_bound if audit is not None and audit.blocks else None,
        promised=promise.terms.accuracy if promise.terms is not None else None,
        audit_broken=audit is not None and audit.broken,
        rate_far=audit.rate_far if audit is not None else "",
        clock_behind_s=exchange.uplink.clock_behind_s,
        level=level.level.text if level is not None and level.level else "",
        level_reason=level.reason if level is not None else "",
        left_out=level.left_out if level is not None else 0,
        temperature_c=readings.temperature_c,
        disk_free_bytes=readings.disk_free_bytes,
        memory_free_share=readings.memory_free_share,
        cpu_share=readings.cpu_share,
        throttled=", ".join(readings.throttled),
        lost_share=readings.lost_share,
        round_trip_s=exchange.round_trip_s or None,
        gate_name=gate[0].rpartition("/")[2],
        gate_digest=gate[1],
        filter=filters,
        undecoded=packets.undecoded if packets is not None else 0,
        decode_saved=packets.saved if packets is not None else 0.0,
        packets_error=loss.error if loss is not None else None,
        packets_broken=loss is not None and loss.broken,
        **spool_report(exchange.spool, exchange.replies.late),
        **decider.reported(),
        **asdict(exchange.travelled),
    )


def summary_of(
    exchange: Exchange,
    decider: Decider,
    promise: Promise,
    *,
    wall_s: float,
    left_out: int,
    packets: PacketReport | None,
) -> Summary:
    """What came of a run; the arguments are those of `report_of`, `left_out` how many inputs nobody decided on."""
    audit, learnt = promise.report(), promise.learnt()
    p50_ms, p99_ms = decider.times_ms(50, 99)
    exchange.local.memory_bytes()
    return Summary(
        frames=decider.inputs,
        **exchange.counts,
        sent_bytes=exchange.uplink.sent_bytes,
        received_bytes=exchange.uplink.received_bytes,
        connections=exchange.uplink.connections,
        travelled=exchange.travelled,
        late=exchange.replies.late,
        spooled=exchange.waiting().count,
        wall_s=wall_s,
        fps=decider.inputs / max(wall_s, 1e-9),
        decide_p50_ms=p50_ms,
        decide_p99_ms=p99_ms,
        peak_rss_bytes=peak_rss_bytes(),
        local=exchange.local.stats(),
        certified=promise.terms.certified if promise.terms is not None else None,
        audited=audit.audited if audit is not None else 0,
        audit_blocks=audit.blocks if audit is not None else 0,
        audit_error=audit.error if audit is not None else None,
        audit_upper_bound=audit.upper_bound if audit is not None and audit.blocks else None,
        alarms=audit.alarms if audit is not None else 0,
        rate_far=audit.rate_far if audit is not None else "",
        parts=audit.parts if audit is not None else (),
        events=audit.events if audit is not None else None,
        light_answers=decider.light_answers,
        **decider.counts(),
        left_out=left_out,
        learnt=learnt.inputs,
        better=learnt.better,
        worse=learnt.worse,
        packets=packets,
    )
