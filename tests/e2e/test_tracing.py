"""Traces of real daemons, at a real OTLP collector: from a frame's capture to its result, on both sides."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from infilink.protos import open_inference_pb2 as pb
from infilink.protos import open_inference_pb2_grpc as pb_grpc

from .conftest import TIMEOUT_S, wait_until

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="no tracing extra"
)
trace_service_grpc = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")


class Collector(trace_service_grpc.TraceServiceServicer):
    """Keeps what is sent to it: of each trace its spans, each with its service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        trace_service_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._lock:
            for resource in request.resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                self.spans += [(named["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return trace_service.ExportTraceServiceResponse()

    def traces(self) -> dict[str, dict[str, tuple[str, Any]]]:
        """By trace: each span's service and itself, by its name."""
        found: dict[str, dict[str, tuple[str, Any]]] = defaultdict(dict)
        with self._lock:
            for service, span in self.spans:
                name = span.name
                if name == "model":
                    name = next(each.value.string_value for each in span.attributes if each.key == "model")
                found[span.trace_id.hex()][name] = (service, span)
        return found

    def close(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.close()


def test_a_frames_way_is_one_trace_over_both_sides(collector, start_daemon, start_agent):
    daemon = start_daemon(trace_to=collector.endpoint)
    told = {"trace_to": collector.endpoint, "trace_share": 1.0}
    summary = start_agent(daemon.address, seconds=0.4, gate="every:2", **told).finish()
    assert daemon.stop() == 0
    assert summary["frames"] == 10 and summary["answered"] == 5
    traces = wait_until(lambda: found if len(found := collector.traces()) == 10 else None, "ten traces")
    sent = [trace for trace in traces.values() if "input" in trace]
    assert len(sent) == 5
    for trace in sent:
        services = {name: service for name, (service, _) in trace.items()}
        device, cloud = dict.fromkeys(("frame", "gate", "build"), "infilink-device"), "infilink-cloud"
        assert services == device | dict.fromkeys(("input", "decode", "bright", "double", "third", "ledger"), cloud)
        spans = {name: span for name, (_, span) in trace.items()}
        parents = {name: span.parent_span_id for name, span in spans.items()}
        assert parents["frame"] == b"" and parents["input"] == parents["gate"] == spans["frame"].span_id
        assert {parents[name] for name in ("decode", "bright", "ledger")} == {spans["input"].span_id}
        order = ["frame", "gate", "build", "input", "decode", "bright", "ledger"]
        starts = [spans[name].start_time_unix_nano for name in order]
        assert starts == sorted(starts)
        assert spans["ledger"].end_time_unix_nano <= spans["input"].end_time_unix_nano
    for trace in traces.values():
        if "input" not in trace:
            assert set(trace) == {"frame", "gate"}


def test_a_collector_that_is_away_holds_nothing_up(start_daemon, start_agent):
    away = {"trace_to": "http://127.0.0.1:1"}
    daemon = start_daemon(**away)
    summary = start_agent(daemon.address, seconds=0.4, trace_share=1.0, **away).finish()
    assert summary["answered"] == summary["frames"] == 10
    assert daemon.stop() == 0


def test_a_request_goes_on_with_its_trace_and_what_has_none_is_not_traced(collector, start_daemon, start_agent):
    daemon = start_daemon(trace_to=collector.endpoint)
    start_agent(daemon.address, seconds=0.2, trace_to=collector.endpoint, trace_share=0.0).finish()
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=[1, 3, 32, 32])
    request = pb.ModelInferRequest(model_name="bright", inputs=[tensor], raw_input_contents=[bytes(4 * 3 * 32 * 32)])
    trace_id, parent_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with grpc.insecure_channel(daemon.address) as channel:
        infer = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        infer(request, metadata=[("traceparent", f"00-{trace_id}-{parent_id}-01")], timeout=TIMEOUT_S)
        infer(request, timeout=TIMEOUT_S)
    assert daemon.stop() == 0
    (trace,) = collector.traces().items()
    assert trace[0] == trace_id and set(trace[1]) == {"ModelInfer", "bright"}
    (_, outer), (_, inner) = trace[1]["ModelInfer"], trace[1]["bright"]
    assert outer.parent_span_id.hex() == parent_id and inner.parent_span_id == outer.span_id


def test_each_request_of_a_stream_goes_on_with_its_own_trace_or_the_calls(collector, start_daemon):
    daemon = start_daemon(trace_to=collector.endpoint)
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=[1, 3, 32, 32])
    own, of_call = (f"{number:032x}" for number in (1, 2))
    requests = []
    for traceparent in ("", f"00-{own}-b7ad6b7169203331-01", ""):
        request = pb.ModelInferRequest(
            model_name="bright", inputs=[tensor], raw_input_contents=[bytes(4 * 3 * 32 * 32)]
        )
        if traceparent:
            request.parameters["traceparent"].string_param = traceparent
        requests.append(request)
    with grpc.insecure_channel(daemon.address) as channel:
        infer = pb_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer
        metadata = [("traceparent", f"00-{of_call}-00f067aa0ba902b7-01")]
        assert len(list(infer(iter(requests), metadata=metadata, timeout=TIMEOUT_S))) == 3
    assert daemon.stop() == 0
    names = [(span.trace_id.hex(), span.name) for _, span in collector.spans]
    assert sorted(names) == sorted(
        [(own, "ModelStreamInfer"), (own, "model"), *2 * [(of_call, "ModelStreamInfer"), (of_call, "model")]]
    )
