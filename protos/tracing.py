"""Where one input's time goes, from capture to result: spans of device and coordinator in one trace, sent by OTLP.

Off unless a daemon is told where to send them; what measures a part of an input then finds no input and does nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import AfterValidator

from .. import __version__
from ..errors import InfilinkError

_CLOSES_WITHIN_MS = 2000
_Value = str | bool | int | float
_NOTHING = nullcontext()
_HERE: ContextVar["InputTrace | None"] = ContextVar("infilink_input", default=None)


def _check_endpoint(value: str) -> str:
    scheme, _, rest = value.partition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("http", "https") or not host or not port.rstrip("/").isdecimal():
        raise ValueError(
            f'must be an OTLP collector\'s address for gRPC, such as "http://127.0.0.1:4317", not {value!r}'
        )
    return value


TraceEndpoint = Annotated[str, AfterValidator(_check_endpoint)]
"""Where spans are sent; https: by TLS."""


class InputTrace:
    """One input's span on this side; its parts are its children.

    Args:
        tracer: makes spans.
        span: the input's own.
        context: what its children are made in.
    """

    def __init__(self, tracer: Any, span: Any, context: Any) -> None:
        self.tracer = tracer
        self.span = span
        self.context = context

    @property
    def traceparent(self) -> str:
        """What the other side goes on from, as W3C Trace Context writes it."""
        own = self.span.get_span_context()
        return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"

    @contextmanager
    def part(self, name: str, attributes: Mapping[str, _Value]) -> Iterator[None]:
        """Measures a part of the input's way."""
        span = self.tracer.start_span(name, context=self.context, attributes=attributes)
        try:
            yield
        except Exception as error:
            span.record_exception(error)
            raise
        finally:
            span.end()

    def end(self, **attributes: _Value) -> None:
        """The input is answered, or given up."""
        self.span.set_attributes(attributes)
        self.span.end()


class Tracing:
    """Sends the spans of one daemon, in a thread of its own; what can't be sent in time is dropped.

    Args:
        endpoint: the OTLP collector.
        service: what the daemon is called there.
        share: of the inputs that begin here; those that come from elsewhere are followed as was decided there.

    Raises:
        InfilinkError: the packages for it are not installed.
    """

    def __init__(self, endpoint: str, *, service: str, share: float = 1.0) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ModuleNotFoundError as error:
            raise InfilinkError("`trace_to` needs more packages: pip install 'infilink[tracing]'") from error
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.version": __version__}),
            sampler=ParentBased(TraceIdRatioBased(share)),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=2)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("infilink", __version__)

    def begin(self, name: str, *, start_ns: int | None = None, **attributes: _Value) -> InputTrace | None:
        """An input's trace; None: it is none of those that are looked at.

        Args:
            name: what its span is called.
            start_ns: Unix time of its beginning; None: now.
            attributes: what is known of it.
        """
        return self._started(name, None, start_ns, attributes)

    def follow(self, traceparent: str, name: str, **attributes: _Value) -> InputTrace | None:
        """The trace that an input from elsewhere belongs to, gone on with here; None: it belongs to none."""
        from opentelemetry.trace import get_current_span
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if not traceparent:
            return None
        parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent[:100]})
        if not get_current_span(parent).get_span_context().is_valid:
            return None
        return self._started(name, parent, None, attributes)

    def _started(
        self, name: str, parent: Any, start_ns: int | None, attributes: Mapping[str, _Value]
    ) -> InputTrace | None:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        begun_ns = time.time_ns() if start_ns is None else start_ns
        within = Context() if parent is None else parent
        span = self._tracer.start_span(name, context=within, start_time=begun_ns, attributes=attributes)
        if not span.is_recording():
            return None
        return InputTrace(self._tracer, span, set_span_in_context(span, within))

    def close(self) -> None:
        """Sends what is there, for two seconds at most; closing twice is fine."""
        self._provider.force_flush(_CLOSES_WITHIN_MS)
        self._provider.shutdown()


@contextmanager
def _within(trace: InputTrace) -> Iterator[None]:
    token = _HERE.set(trace)
    try:
        yield
    finally:
        _HERE.reset(token)


def within(trace: InputTrace | None) -> AbstractContextManager[None]:
    """Has what is called, or started as a task, in the body belong to an input's trace; None: to none."""
    return _NOTHING if trace is None else _within(trace)


@contextmanager
def _followed(trace: InputTrace) -> Iterator[None]:
    try:
        with _within(trace):
            yield
    finally:
        trace.end()


def following(
    tracing: Tracing | None, traceparent: Callable[[], str], name: str, **attributes: _Value
) -> AbstractContextManager[None]:
    """Has a request that the body answers belong to the trace that it came with, if it did.

    Args:
        tracing: sends spans; None: nobody looks at them.
        traceparent: what the request came with; not asked where nobody looks.
        name: what its span is called.
        attributes: what is known of it.
    """
    trace = None if tracing is None else tracing.follow(traceparent(), name, **attributes)
    return _NOTHING if trace is None else _followed(trace)


def part(name: str, **attributes: _Value) -> AbstractContextManager[None]:
    """Measures a part of the input's way that this is called for; of none: does nothing."""
    trace = _HERE.get()
    return _NOTHING if trace is None else trace.part(name, attributes)
