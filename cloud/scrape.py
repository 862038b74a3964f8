"""What Prometheus reads: what was counted as it happened, and the figures that are read when it asks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..errors import InvalidInput
from ..protos import edge_pb2
from .metrics import MOST_MODELS
from .runtime.memory import MemoryStats
from .telemetry import status_reply

if TYPE_CHECKING:
    from .coordinator import Coordinator

logger = logging.getLogger(__name__)

MOST_DEVICES = 500
"""Devices that have series of their own: those that were connected last."""
_READS_WITHIN_S = 5.0


class StatusCollector(Collector):
    """A coordinator's figures when they are asked for.

    Prometheus is answered in a thread of its own; the coordinator's state is read on the event loop, where alone it
    changes.

    Args:
        coordinator: whose.
        loop: the event loop that it runs on.
    """

    def __init__(self, coordinator: "Coordinator", loop: asyncio.AbstractEventLoop) -> None:
        self.coordinator = coordinator
        self.loop = loop

    def collect(self) -> Iterable[Metric]:
        """The figures now; called in any thread but the event loop's."""

        async def read() -> list[Metric]:
            return list(families(self.coordinator))

        return asyncio.run_coroutine_threadsafe(read(), self.loop).result(_READS_WITHIN_S)


def read_status(coordinator: "Coordinator") -> None:
    """Lets a coordinator that has started be read by its registry; call it on the event loop."""
    registry = coordinator.metrics.registry
    registry.register(StatusCollector(coordinator, asyncio.get_running_loop()))
    ProcessCollector(registry=registry)


async def render(coordinator: "Coordinator", accept: str = "") -> tuple[bytes, str]:
    """What `/metrics` answers, and its content type, in the format that `accept` (the HTTP header) asks for."""
    encode, content_type = choose_encoder(accept)
    return await asyncio.to_thread(encode, coordinator.metrics.registry), content_type


@asynccontextmanager
async def serve_metrics(coordinator: "Coordinator", listen: str) -> AsyncIterator[None]:
    """Answers Prometheus on an address of its own while the body runs.

    Raises:
        InvalidInput: the address can't be listened on.
    """
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), coordinator.metrics.registry)
    except OSError as error:
        raise InvalidInput(f"can't listen on {listen} (`metrics_listen`): {error.strerror}") from error

    logger.info("metrics at http://%s:%d/metrics", host, server.server_port)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


def families(coordinator: "Coordinator") -> Iterator[Metric]:
    """The figures of a coordinator now; on the event loop."""
    status = status_reply(coordinator)
    yield _gauge("infilink_info", "The release that runs", {"version": __version__}, 1.0)
    yield _gauge("infilink_uptime_seconds", "Time since the coordinator began", {}, status.uptime_s)
    inputs = CounterMetricFamily("infilink_inputs", "Inputs that were dealt with, by outcome", labels=["outcome"])
    for outcome, count in (("answered", status.inputs), ("refused", status.refused), ("repeated", status.repeated)):
        inputs.add_metric([outcome], count)
    yield inputs
    yield from coordinator.metrics.families()
    yield from _memory({budget.place: budget.stats() for budget in coordinator.pool.budgets})
    yield from _compute(status)
    yield from _models(status)
    yield from _queues(coordinator)
    yield from _ledger(coordinator)
    yield from _publishers(coordinator)
    yield from _devices(status)


def _memory(by_place: Mapping[str, MemoryStats]) -> Iterator[Metric]:
    place = ["place"]
    taken = GaugeMetricFamily("infilink_memory_bytes", "What the models take: on the host, on each card", labels=place)
    buffers = GaugeMetricFamily("infilink_buffers_bytes", "What inputs on their way take", labels=place)
    peak = GaugeMetricFamily("infilink_memory_peak_bytes", "The most that the models took at any sample", labels=place)
    budget = GaugeMetricFamily("infilink_memory_budget_bytes", "What the models may take; 0: no limit", labels=place)
    samples = CounterMetricFamily("infilink_memory_samples", "How often it was measured", labels=place)
    above = CounterMetricFamily("infilink_memory_budget_violations", "Samples above the budget", labels=place)
    for name, stats in by_place.items():
        taken.add_metric([name], stats.memory_bytes)
        buffers.add_metric([name], stats.buffers_bytes)
        peak.add_metric([name], stats.peak_bytes)
        budget.add_metric([name], stats.limit_bytes or 0)
        samples.add_metric([name], stats.samples)
        above.add_metric([name], stats.violations)
    yield from (taken, buffers, peak, budget, samples, above)


def _compute(status: edge_pb2.StatusReply) -> Iterator[Metric]:
    yield _counter(
        "infilink_compute_seconds", "Processors' time that was spent on models, loads included", _spent_s(status)
    )
    yield _gauge("infilink_compute_budget_cores", "What may be spent a second; 0: no limit", {}, status.compute_cores)
    yield _gauge("infilink_compute_price_losses", "Losses that a second of a core has to prevent now", {}, status.price)
    yield _counter("infilink_late_runs", "Runs that were left out, as their turn did not come in time", status.late)
    yield _gauge("infilink_expected_agreement_ratio", "What the plan expects", {}, status.expected_agreement)


def _spent_s(status: edge_pb2.StatusReply) -> float:
    """What the schedule counts; without one, what the models took."""
    return status.spent_s if status.compute_cores else sum(model.cpu_s for model in status.models)


def _models(status: edge_pb2.StatusReply) -> Iterator[Metric]:
    loaded = GaugeMetricFamily("infilink_model_loaded", "1 if the model is loaded", labels=["model"])
    memory = GaugeMetricFamily("infilink_model_memory_bytes", "What its processes take", labels=["model"])
    seconds = CounterMetricFamily("infilink_model_compute_seconds", "Processors' time inside it", labels=["model"])
    starts = CounterMetricFamily(
        "infilink_model_starts", "Processes started for it: loads, and restarts of those that died", labels=["model"]
    )
    for model in status.models[:MOST_MODELS]:
        loaded.add_metric([model.name], model.state == "loaded")
        memory.add_metric([model.name], model.memory_bytes)
        seconds.add_metric([model.name], model.cpu_s)
        starts.add_metric([model.name], model.loads)
    yield from (loaded, memory, seconds, starts)


def _queues(coordinator: "Coordinator") -> Iterator[Metric]:
    queue, pool = coordinator.pool.queue, coordinator.pool.queue.inputs.stats()
    held = GaugeMetricFamily("infilink_input_pool_bytes", "Memory of inputs on their way", labels=["state"])
    for state, size_bytes in (("held", pool.held_bytes), ("kept", pool.kept_bytes)):
        held.add_metric([state], size_bytes)
    yield held
    yield _gauge("infilink_input_pool_waiting", "Inputs that wait for memory to be decoded into", {}, pool.waiting)
    yield _counter("infilink_expired_runs", "Runs given up, as their deadline would have passed", queue.expired)
    waiting = GaugeMetricFamily("infilink_queue_runs", "Runs that wait for their turn on a model", labels=["model"])
    for name, count in list(queue.waiting().items())[:MOST_MODELS]:
        waiting.add_metric([name], count)
    yield waiting
    connections = [session.connection for session in coordinator.sessions.values() if session.connection is not None]
    yield _gauge(
        "infilink_queue_inputs", "Inputs that wait to be answered", {}, sum(each.waiting for each in connections)
    )
    yield _gauge("infilink_devices", "Devices that are connected", {}, len(connections))


def _ledger(coordinator: "Coordinator") -> Iterator[Metric]:
    stats = coordinator.ledger.stats()
    yield _counter("infilink_ledger_kept", "Answers that were written", stats.kept)
    yield _counter("infilink_ledger_commits", "Transactions that they were written in", stats.commits)
    yield _counter("infilink_ledger_commit_seconds", "What these took together", stats.commit_s)
    yield _gauge("infilink_ledger_waiting_bytes", "What waits in memory to be written", {}, stats.waiting_bytes)
    trouble = GaugeMetricFamily("infilink_ledger_trouble", "1 while nothing can be written, by why", labels=["why"])
    for why in ("full", "away"):
        trouble.add_metric([why], stats.trouble == why)
    yield trouble
    yield _counter("infilink_ledger_refused", "Answers that were refused as they could not be kept", stats.refused)
    yield _counter("infilink_ledger_unkept", "Answers that were given without being kept", stats.unkept)
    yield _counter("infilink_ledger_deleted", "Answers that were deleted, too old or too many", stats.deleted)


def _publishers(coordinator: "Coordinator") -> Iterator[Metric]:
    counters = {
        "sent": CounterMetricFamily("infilink_published", "Results that were taken there", labels=["to"]),
        "failures": CounterMetricFamily("infilink_publish_failures", "Tries to publish that failed", labels=["to"]),
        "dropped": CounterMetricFamily(
            "infilink_publish_dropped", "Results that never were: given up, or too many waited", labels=["to"]
        ),
    }
    waiting = GaugeMetricFamily("infilink_publish_waiting", "Results that wait to be published", labels=["to"])
    connected = GaugeMetricFamily("infilink_publish_connected", "1 if the last try worked", labels=["to"])
    for name, publisher in coordinator.publishers.items():
        for key, counter in counters.items():
            counter.add_metric([name], getattr(publisher.deliveries, key))
        waiting.add_metric([name], publisher.deliveries.waiting)
        connected.add_metric([name], publisher.deliveries.connected)
    yield from (*counters.values(), waiting, connected)


def _devices(status: edge_pb2.StatusReply) -> Iterator[Metric]:
    """Of each device its last run: several of one name would be several series of one name."""
    newest = {device.name: device for device in status.devices}
    shown = list(newest.values())[-MOST_DEVICES:]
    counters = {
        "frames": CounterMetricFamily("infilink_device_frames", "Frames that its source gave", labels=["device"]),
        "kept": CounterMetricFamily("infilink_device_kept", "Frames that its gate kept", labels=["device"]),
        "dropped": CounterMetricFamily("infilink_device_dropped", "Kept frames that were not sent", labels=["device"]),
        "sent_bytes": CounterMetricFamily("infilink_device_sent_bytes", "Bytes that it sent", labels=["device"]),
        "audited": CounterMetricFamily("infilink_device_audited", "Frames that its audit looked at", labels=["device"]),
    }
    connected = GaugeMetricFamily("infilink_device_connected", "1 if it is connected", labels=["device"])
    info = GaugeMetricFamily(
        "infilink_device_info", "infilink's version there, and that of the wire", labels=["device", "version", "wire"]
    )
    filtering = GaugeMetricFamily(
        "infilink_device_filtering_ratio", "The share of its frames that the gate did not keep", labels=["device"]
    )
    loss = GaugeMetricFamily(
        "infilink_device_audit_loss_ratio",
        "What its gate loses, by its audit (accuracy is 1 less it)",
        labels=["device"],
    )
    broken = GaugeMetricFamily(
        "infilink_device_promise_broken", "1 if the audit has shown that the gate loses too much", labels=["device"]
    )
    revoked = GaugeMetricFamily(
        "infilink_device_trust_revoked", "Ways to answer that its stream has disproved", labels=["device"]
    )
    level = GaugeMetricFamily(
        "infilink_device_level", "1 for how much its governor leaves out: full is nothing", labels=["device", "level"]
    )
    heat = GaugeMetricFamily("infilink_device_temperature_celsius", "Its processor's", labels=["device"])
    left_out = CounterMetricFamily(
        "infilink_device_left_out", "Inputs that nobody decided on, as its governor left them out", labels=["device"]
    )
    for device in shown:
        name, report = [device.name], device.report
        connected.add_metric(name, device.connected)
        info.add_metric([device.name, device.version[:40], str(device.wire)], 1.0)
        revoked.add_metric(name, len(device.revoked))
        if not report.frames:
            continue
        for key, counter in counters.items():
            counter.add_metric(name, getattr(report, key))
        level.add_metric([device.name, report.level[:20] or "full"], 1.0)
        left_out.add_metric(name, report.left_out)
        if report.HasField("temperature_c"):
            heat.add_metric(name, report.temperature_c)
        filtering.add_metric(name, 1.0 - report.kept / report.frames)
        broken.add_metric(name, report.audit_broken)
        if report.HasField("audit_error"):
            loss.add_metric(name, report.audit_error)
    yield from (connected, info, *counters.values(), left_out, filtering, loss, broken, revoked, level, heat)
    audited = sum(device.audited for device in status.devices)
    yield _gauge(
        "infilink_answers_audited", "Answers of the sessions known now that a model's own was there for", {}, audited
    )


def _gauge(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    family = CounterMetricFamily(name, text)
    family.add_metric([], value)
    return family
