"""What Prometheus reads of an agent: what it reports to its coordinator, where it asks for it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..errors import InvalidInput
from ..protos import edge_pb2
from ..settings import is_loopback

logger = logging.getLogger(__name__)

_COUNTERS = {
    "inputs": ("frames", "Inputs that the source gave"),
    # What they were called before there were others than pictures.
    "frames": ("frames", "The same as inputs"),
    "kept": ("kept", "Inputs that the gate kept"),
    "dropped": ("dropped", "Kept inputs that were not sent, as newer ones came"),
    "sent_bytes": ("sent_bytes", "Bytes that were sent"),
    "received_bytes": ("received_bytes", "Bytes that were received"),
    "features": ("features", "Inputs that were sent as features"),
    "wanted": ("wanted", "Frames that the coordinator asked for"),
    "gone": ("gone", "Of these, those that were gone"),
    "taken": ("taken", "Inputs that were synced in the spool, or answered before that"),
    "spool_dropped": ("spool_dropped", "Inputs that the spool gave up"),
    "late": ("late", "Results that came late"),
    "audited": ("audited", "Inputs that the audit looked at"),
    "undecoded": ("undecoded", "Inputs that the packet gate left undecoded"),
    "left_out": ("left_out", "Inputs that nobody decided on, as the governor left them out"),
}


Reports = Callable[[], Mapping[str, tuple[edge_pb2.Report, bool]]]
"""Gives each stream's report, and whether it runs, by its name; that of a device's only stream is empty."""


class ReportCollector(Collector):
    """An agent's own counts as metrics; those of a stream that has a name are labelled with it.

    Args:
        reports: gives them; called in any thread.
    """

    def __init__(self, reports: Reports) -> None:
        self.reports = reports

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        found = dict(self.reports())
        # Without a name there is no label, as there was none before streams had names.
        named = {(name,) if name else (): each for name, each in found.items()}
        labels = ["stream"] if any(found) else []
        for name, (field, text) in _COUNTERS.items():
            counter = CounterMetricFamily(f"infilink_agent_{name}", text, labels=labels)
            for values, (report, _) in named.items():
                counter.add_metric(values, getattr(report, field))
            yield counter
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"infilink_agent_{name}", text, labels=labels)
            for values, (report, up) in named.items():
                known = value(report, up)
                if known is not None:
                    gauge.add_metric(values, known)
            yield gauge
        level = GaugeMetricFamily(
            "infilink_agent_level", "1 for how much the governor leaves out: full is nothing", labels=[*labels, "level"]
        )
        for values, (report, _) in named.items():
            level.add_metric([*values, report.level or "full"], 1.0)
        yield level


def _filtering(report: edge_pb2.Report, up: bool) -> float | None:
    return 1.0 - report.kept / report.frames if report.frames else None


def _audit_loss(report: edge_pb2.Report, up: bool) -> float | None:
    return report.audit_error if report.HasField("audit_error") else None


_GAUGES: dict[str, tuple[str, Callable[[edge_pb2.Report, bool], float | None]]] = {
    "up": ("1 if the stream runs, 0 while it waits to be tried again or has ended", lambda report, up: float(up)),
    "memory_bytes": (
        "The stream's part of what all of the agent's processes take (proportional set size): the sum is the agent's",
        lambda report, up: report.memory_bytes,
    ),
    "spooled": ("Inputs that wait in the spool", lambda report, up: report.spooled),
    "spooled_bytes": ("What they take", lambda report, up: report.spooled_bytes),
    "spool_oldest_seconds": ("How long the oldest of them has waited", lambda report, up: report.spool_oldest_s),
    "spool_trouble": (
        "1 while the spool is full, or can't be written",
        lambda report, up: float(report.spool_state not in ("", "ready")),
    ),
    "temperature_celsius": (
        "The device's",
        lambda report, up: report.temperature_c if report.HasField("temperature_c") else None,
    ),
    "clock_behind_seconds": (
        "How far its clock is behind the coordinator's",
        lambda report, up: report.clock_behind_s,
    ),
    "promise_broken": (
        "1 if the audit has shown that the gate loses too much",
        lambda report, up: float(report.audit_broken),
    ),
    "camera_unsure": (
        "1 while the camera does not see what it saw: moved, or blinded",
        lambda report, up: float(bool(report.camera)),
    ),
    "gate_failing": ("1 while the gate fails on every input", lambda report, up: float(report.gate_failing)),
    "filtering_ratio": ("The share of the inputs that the gate did not keep", _filtering),
    "audit_loss_ratio": ("What the gate loses, by the audit", _audit_loss),
    "decode_saved_ratio": (
        "The share of the time of decoding that the packet gate saved",
        lambda report, up: report.decode_saved,
    ),
}


@contextmanager
def serve_metrics(reports: Reports, listen: str) -> Iterator[None]:
    """Answers Prometheus while the body runs.

    Raises:
        InvalidInput: the address can't be listened on.
    """
    registry = CollectorRegistry()
    registry.register(ReportCollector(reports))
    ProcessCollector(registry=registry)
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise InvalidInput(f"can't listen on {listen} (`metrics_listen`): {error.strerror}") from error
    logger.info("metrics at http://%s:%d/metrics", host, server.server_port)
    if not is_loopback(listen):
        logger.warning("whoever reaches %s can read this agent's figures: no token is asked for there", listen)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
