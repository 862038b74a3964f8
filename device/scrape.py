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
    "frames": "Inputs that the source gave",
    "kept": "Inputs that the gate kept",
    "dropped": "Kept inputs that were not sent, as newer ones came",
    "sent_bytes": "Bytes that were sent",
    "received_bytes": "Bytes that were received",
    "features": "Inputs that were sent as features",
    "wanted": "Frames that the coordinator asked for",
    "gone": "Of these, those that were gone",
    "audited": "Inputs that the audit looked at",
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
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"infilink_agent_{name}", text, labels=labels)
            for values, (report, _) in named.items():
                counter.add_metric(values, getattr(report, name))
            yield counter
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"infilink_agent_{name}", text, labels=labels)
            for values, (report, up) in named.items():
                known = value(report, up)
                if known is not None:
                    gauge.add_metric(values, known)
            yield gauge


def _filtering(report: edge_pb2.Report, up: bool) -> float | None:
    return 1.0 - report.kept / report.frames if report.frames else None


def _audit_loss(report: edge_pb2.Report, up: bool) -> float | None:
    return report.audit_error if report.HasField("audit_error") else None


_GAUGES: dict[str, tuple[str, Callable[[edge_pb2.Report, bool], float | None]]] = {
    "up": ("1 if the stream runs, 0 while it waits to be tried again or has ended", lambda report, up: float(up)),
    "memory_bytes": ("What the agent and the models on it took at most", lambda report, up: report.memory_bytes),
    "clock_behind_seconds": (
        "How far its clock is behind the coordinator's",
        lambda report, up: report.clock_behind_s,
    ),
    "promise_broken": (
        "1 if the audit has shown that the gate loses too much",
        lambda report, up: float(report.audit_broken),
    ),
    "filtering_ratio": ("The share of the inputs that the gate did not keep", _filtering),
    "audit_loss_ratio": ("What the gate loses, by the audit", _audit_loss),
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
