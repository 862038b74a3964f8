"""What is counted as it happens: real series, and no more of them than a bound, whatever names come."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.metrics import MOST_MODELS, OTHER, Histogram, Metrics
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class Page(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics.families()


def series(metrics: Metrics) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Page(metrics))
    lines = generate_latest(registry).decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_every_event_is_counted_under_its_labels() -> None:
    metrics = Metrics()
    metrics.stage("decode", 0.003)
    metrics.ran("boxes", waits_s=[0.05] * 4, took_s=0.04)
    metrics.answered("boxes", "linked")
    metrics.refused("deadline")
    metrics.request("grpc", "ModelInfer", "OK")
    metrics.received("edge", 100)
    metrics.sent("edge", 30)
    metrics.loaded("boxes", "schedule", 1.5)
    metrics.load_failed("boxes")
    metrics.unloaded("boxes", "room")
    metrics.event("trust_revoked")
    for agreement in (1.0, 0.5):
        metrics.audited("boxes", agreement)
    found = series(metrics)
    for name, value in {
        'infilink_stage_seconds_bucket{le="0.002",stage="decode"}': 0.0,
        'infilink_stage_seconds_bucket{le="0.005",stage="decode"}': 1.0,
        'infilink_stage_seconds_sum{stage="decode"}': 0.003,
        'infilink_stage_seconds_sum{stage="queue"}': 0.2,
        'infilink_stage_seconds_count{stage="infer"}': 1.0,
        'infilink_infer_seconds_count{model="boxes"}': 1.0,
        'infilink_batch_inputs_sum{model="boxes"}': 4.0,
        'infilink_answers_total{model="boxes",origin="linked"}': 1.0,
        'infilink_refused_total{reason="deadline"}': 1.0,
        'infilink_requests_total{code="OK",face="grpc",method="ModelInfer"}': 1.0,
        'infilink_received_bytes_total{face="edge"}': 100.0,
        'infilink_sent_bytes_total{face="edge"}': 30.0,
        'infilink_load_seconds_count{model="boxes",reason="schedule"}': 1.0,
        'infilink_load_failures_total{model="boxes"}': 1.0,
        'infilink_unloads_total{model="boxes",reason="room"}': 1.0,
        'infilink_events_total{kind="trust_revoked"}': 1.0,
        'infilink_audits_total{model="boxes"}': 2.0,
        'infilink_audit_agreement_total{model="boxes"}': 1.5,
    }.items():
        assert found[name] == pytest.approx(value), name


def test_names_that_come_and_go_do_not_grow_the_series() -> None:
    metrics, names = Metrics(), [f"model-{number}" for number in range(MOST_MODELS + 60)]
    for name in names:
        metrics.answered(name, "executed")
        metrics.ran(name, waits_s=[0.0], took_s=0.0)
    counted = {name: value for name, value in series(metrics).items() if name.startswith("infilink_answers_total")}
    assert len(counted) <= MOST_MODELS + 1 and sum(counted.values()) == len(names)
    assert counted[f'infilink_answers_total{{model="{OTHER}",origin="executed"}}'] == 60


def test_two_coordinators_in_one_process_are_counted_apart() -> None:
    one, other = Metrics(), Metrics()
    one.answered("boxes", "executed")
    assert not any(series(other).values())


@given(st.lists(st.floats(0.0, 1e6), max_size=50))
def test_a_histogram_counts_what_is_at_most_each_bound(values: list[float]) -> None:
    histogram = Histogram((0.1, 1.0, 10.0))
    for value in values:
        histogram.observe(value)
    expected = [sum(value <= bound for value in values) for bound in (0.1, 1.0, 10.0, float("inf"))]
    assert histogram.cumulated() == list(zip(("0.1", "1.0", "10.0", "+Inf"), expected, strict=True))
    assert histogram.total == pytest.approx(sum(values))
