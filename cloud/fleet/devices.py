"""What is known of each device of a site: said by its streams' reports, by their connections, and by an operator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...protos import edge_pb2
from ..security.text import shown
from ..sessions.session import REQUESTS, Session
from .entries import FleetEntry

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_LITTLE_DISK_BYTES, _LITTLE_MEMORY = 256 * 2**20, 0.05
_MUCH_LOST, _FULL_CPU, _HOT_C = 0.05, 0.97, 85.0


@dataclass(frozen=True)
class Device:
    """One device.

    Attributes:
        name: its name.
        entry: what an operator has said of it.
        streams: the newest run of each of its streams.
    """

    name: str
    entry: FleetEntry
    streams: tuple[Session, ...] = ()

    @property
    def connected(self) -> tuple[Session, ...]:
        """The streams that are connected now."""
        return tuple(each for each in self.streams if each.connection is not None)

    @property
    def connected_us(self) -> int:
        """Since when the oldest of its connections stands; 0: there is none."""
        return min((each.connected_us for each in self.connected), default=0)

    @property
    def heard_us(self) -> int:
        """When something was heard of it last; 0: not since the coordinator began."""
        return max((each.heard_us for each in self.streams), default=0)

    @property
    def version(self) -> str:
        """infilink's, of the stream that was heard last."""
        return max(self.streams, key=lambda each: each.heard_us).version if self.streams else ""

    def faults(self) -> list[str]:
        """What is not as it should be, in words, the worst first; with the stream's name where it is one of several."""
        found = []
        if not self.connected and self.entry.state not in ("drained", "revoked"):
            found.append("not connected")
        for session in self.streams:
            named = f"{session.key.stream}: " if session.key.stream else ""
            found += [f"{named}{text}" for text in stream_faults(session)]
        # What is the whole device's is said by each of its streams.
        newest = max(self.streams, key=lambda each: each.heard_us, default=None)
        return found if newest is None else [*found, *device_faults(newest.report)]


def devices_of(coordinator: "Coordinator") -> list[Device]:
    """Every device that was connected since the coordinator began, or of which an operator has said something."""
    newest: dict[str, dict[str, Session]] = {}
    for session in coordinator.sessions.values():
        if session.key.session == REQUESTS:
            continue
        streams = newest.setdefault(session.key.device, {})
        other = streams.get(session.key.stream)
        if other is None or (session.connection is not None, session.heard_us) >= (
            other.connection is not None,
            other.heard_us,
        ):
            streams[session.key.stream] = session
    entries = coordinator.fleet.entries
    return [
        Device(name, entries.of(name), tuple(session for _, session in sorted(newest.get(name, {}).items())))
        for name in sorted({*newest, *entries.all})
    ]


def stream_faults(session: Session) -> list[str]:
    """What is not as it should be with one stream."""
    report, found = session.report, []
    if report.audit_broken:
        found.append("its gate loses more than it promised: everything is sent")
    if report.packets_broken:
        found.append("its packet gate loses more than it promised: everything is decoded")
    if report.gate_failing:
        found.append("its gate fails on every input")
    if report.camera:
        found.append(f"its camera: {shown(report.camera)}")
    if report.spool_state not in ("", "ready"):
        state = "is full" if report.spool_state == "full" else f"can't be written: {shown(report.spool_state)}"
        found.append(f"its spool {state}")
    if report.spool_dropped:
        found.append(f"its spool gave up {report.spool_dropped} inputs")
    if report.dropped:
        found.append(f"{report.dropped} inputs were dropped on the way")
    if report.rate_far:
        found.append(
            f"its gate drops far {'more' if report.rate_far == 'above' else 'less'} than when it was calibrated"
        )
    if revoked := session.serving.live.revoked():
        found.append(f"answers no longer trusted: {', '.join(revoked)}")
    return found


def device_faults(report: edge_pb2.Report) -> list[str]:
    """What is not as it should be with the device itself."""
    found = []
    if report.clock_behind_s:
        way = "behind" if report.clock_behind_s > 0 else "ahead"
        found.append(f"its clock is {abs(report.clock_behind_s):.1f} s {way}")
    if report.throttled:
        found.append(f"slowed down by its firmware: {shown(report.throttled)}")
    if report.HasField("temperature_c") and report.temperature_c >= _HOT_C:
        found.append(f"hot: {report.temperature_c:.0f} °C")
    if report.HasField("disk_free_bytes") and report.disk_free_bytes < _LITTLE_DISK_BYTES:
        found.append(f"{report.disk_free_bytes // 2**20} MiB of disk are free")
    if report.HasField("memory_free_share") and report.memory_free_share < _LITTLE_MEMORY:
        found.append(f"{report.memory_free_share:.0%} of its memory is free")
    if report.HasField("cpu_share") and report.cpu_share >= _FULL_CPU:
        found.append("its processors are busy all the time")
    if report.HasField("lost_share") and report.lost_share >= _MUCH_LOST:
        found.append(f"its link loses {report.lost_share:.0%} of what is kept")
    return found
