"""What Prometheus reads of an agent: what it reports to its coordinator, where it asks for it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..errors import InvalidInput
from ..protos import edge_pb2
from ..settings import is_loopback

logger = logging.getLogger(__name__)

_COUNTERS = {
    "frames": "Frames that the source gave",
    "kept": "Frames that the gate kept",
    "dropped": "Kept frames that were not sent, as newer ones came",
    "sent_bytes": "Bytes that were sent",
    "received_bytes": "Bytes that were received",
    "features": "Inputs that were sent as features",
    "wanted": "Frames that the coordinator asked for",
    "gone": "Of these, those that were gone",
    "audited": "Frames that the audit looked at",
}


class ReportCollector(Collector):
    """An agent's own counts as metrics.

    Args:
        report: gives them; called in any thread.
    """

    def __init__(self, report: Callable[[], edge_pb2.Report]) -> None:
        self.report = report

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        report = self.report()
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"infilink_agent_{name}", text, value=getattr(report, name))
        yield _gauge("memory_bytes", "What the agent and the models on it took at most", report.memory_bytes)
        yield _gauge("clock_behind_seconds", "How far its clock is behind the coordinator's", report.clock_behind_s)
        yield _gauge("promise_broken", "1 if the audit has shown that the gate loses too much", report.audit_broken)
        if report.frames:
            share = 1.0 - report.kept / report.frames
            yield _gauge("filtering_ratio", "The share of the frames that the gate did not keep", share)
        if report.HasField("audit_error"):
            yield _gauge("audit_loss_ratio", "What the gate loses, by the audit", report.audit_error)


@contextmanager
def serve_metrics(report: Callable[[], edge_pb2.Report], listen: str) -> Iterator[None]:
    """Answers Prometheus while the body runs.

    Raises:
        InvalidInput: the address can't be listened on.
    """
    registry = CollectorRegistry()
    registry.register(ReportCollector(report))
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


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"infilink_agent_{name}", text, value=value)
