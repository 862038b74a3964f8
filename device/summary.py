"""The figures of one run of a stream."""

import resource
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..filters.gates.audit import AuditReport
from ..filters.gates.event_watch import EventReport
from ..filters.gates.parts import PartReport


@dataclass(frozen=True)
class LocalStats:
    """The figures of the models on the device.

    Attributes:
        executions: how often any of them ran on a frame.
        infer_s: the time inside them, over all executions.
        peak_bytes: the most memory that their processes were seen to take together.
    """

    executions: int = 0
    infer_s: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Travelled:
    """What travelled instead of frames as JPEGs.

    Attributes:
        features: how many inputs were sent as features.
        features_bytes: the size of their messages.
        wanted: how many of their frames the coordinator asked for.
        gone: how many of those were gone, or too late.
        wanted_bytes: the size of the others.
        video: how many inputs were sent as H.264.
        video_bytes: the size of their pictures.
    """

    features: int = 0
    features_bytes: int = 0
    wanted: int = 0
    gone: int = 0
    wanted_bytes: int = 0
    video: int = 0
    video_bytes: int = 0

    def plus(self, **more: int) -> Self:
        """With so many more of each."""
        return replace(self, **{name: getattr(self, name) + count for name, count in more.items()})


@dataclass(frozen=True)
class PacketReport:
    """What a packet gate has saved and lost.

    Attributes:
        undecoded: how many inputs were not decoded.
        decode_s: the processor's time that decoding took.
        whole_decode_s: what decoding everything would have taken.
        threshold: its threshold now.
        audit: what was found in groups that were decoded whole; None: none is.
    """

    undecoded: int = 0
    decode_s: float = 0.0
    whole_decode_s: float = 0.0
    threshold: float = 0.0
    audit: AuditReport | None = None

    @property
    def saved(self) -> float:
        """The share of the time of decoding that was saved."""
        return 1.0 - self.decode_s / self.whole_decode_s if self.whole_decode_s else 0.0


@dataclass(frozen=True)
class Summary:
    """The figures of one run of a stream.

    Attributes:
        frames: how many inputs the source gave.
        kept: how many of them were kept, to be sent.
        answered: how many of those got results.
        dropped: kept, and replaced by a newer one before they were sent (queue "latest").
        refused: kept, and refused by the coordinator, or a model here failed on them.
        sent_bytes: the size of all messages sent.
        received_bytes: the size of all messages received.
        connections: how often it connected.
        late: how many results came long after their input, or in another run (with a spool).
        spooled: how many inputs wait in the spool at the end.
        wall_s: from the first input to the last answer.
        fps: inputs over wall_s.
        decide_p50_ms: the gate's time for an input, median.
        decide_p99_ms: the gate's time for an input, 99th percentile.
        peak_rss_bytes: the most memory that this process ever held.
        local: the models on the device, whose processes are not in peak_rss_bytes.
        travelled: what travelled instead of frames.
        certified: whether what the gate promises is proven; None: it promises nothing.
        audited: how many inputs the filter would not have kept but were sent, to measure what it loses.
        audit_blocks: how many blocks of inputs were judged by that, each longer than the runs that errors come in.
        audit_error: the mean loss over all inputs by that; None without an audit.
        audit_upper_bound: the upper bound of that loss, with 95 % confidence; None before the first block.
        alarms: how often the filter was shown to lose more than it promised.
        rate_far: whether the share that it drops is shown to be far "above" or "below" that in calibration.
        parts: what was shown of the classes and slices that something is promised of.
        events: what was shown of events; None: nothing is promised of them.
        light_answers: how many results were heads' answers, given on the device.
        left_out: how many inputs nobody decided on, as the governor left them out.
        gate_failed: on how many inputs the gate failed, which were kept, or passed up to a share.
        camera_changes: how often the camera no longer saw what it saw.
        camera_unsure: how many inputs were decided on meanwhile.
        learnt: how many inputs the gate has learnt from at work.
        better: how often what it had learnt was shown to be better than what it came from, and took its place.
        worse: how often it was shown to be worse, and was given up.
        packets: what the packet gate has saved and lost; None: there is none.
    """

    frames: int
    kept: int
    answered: int
    dropped: int
    refused: int
    sent_bytes: int
    received_bytes: int
    connections: int
    wall_s: float
    fps: float
    decide_p50_ms: float
    decide_p99_ms: float
    peak_rss_bytes: int
    local: LocalStats = LocalStats()
    travelled: Travelled = Travelled()
    certified: bool | None = None
    audited: int = 0
    audit_blocks: int = 0
    audit_error: float | None = None
    audit_upper_bound: float | None = None
    alarms: int = 0
    rate_far: str = ""
    parts: tuple[PartReport, ...] = ()
    events: EventReport | None = None
    light_answers: int = 0
    left_out: int = 0
    late: int = 0
    spooled: int = 0
    gate_failed: int = 0
    camera_changes: int = 0
    camera_unsure: int = 0
    learnt: int = 0
    better: int = 0
    worse: int = 0
    packets: PacketReport | None = None


def peak_rss_bytes() -> int:
    """The most memory that this process ever held."""
    try:
        # Linux's ru_maxrss is inherited from whatever process started this one, however large that was.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
