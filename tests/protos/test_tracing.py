"""A trace goes on over a process's border by its traceparent; what is none is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.protos import tracing
from infilink.protos.tracing import Tracing, part, within
from infilink.settings import checked
from pydantic import BaseModel

pytest.importorskip("opentelemetry.sdk", reason="no tracing extra")


class Where(BaseModel):
    trace_to: tracing.TraceEndpoint


@pytest.fixture(scope="module")
def traced():
    one = Tracing("http://127.0.0.1:1", service="test", share=1.0)
    yield one
    one._provider.shutdown()


def test_the_other_side_goes_on_with_the_same_trace(traced) -> None:
    begun = traced.begin("frame")
    followed = traced.follow(begun.traceparent, "input")
    own, theirs = begun.span.get_span_context(), followed.span.get_span_context()
    assert own.trace_id == theirs.trace_id and own.span_id != theirs.span_id
    assert traced.follow(begun.traceparent[:-2] + "00", "input") is None, "it was decided there not to look at it"


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_what_is_no_traceparent_belongs_to_no_trace(traced, text: str) -> None:
    assert traced.follow(text, "input") is None


def test_a_part_outside_of_any_trace_costs_and_does_nothing() -> None:
    assert part("decode") is part("ledger", model="x") is within(None)


def test_an_error_inside_a_part_goes_on(traced) -> None:
    with within(traced.begin("frame")), pytest.raises(ValueError, match="broken"), part("decode"):
        raise ValueError("broken")
    assert part("decode") is within(None), "nothing is left behind"


@pytest.mark.parametrize("address", ["127.0.0.1:4317", "http://127.0.0.1", "ftp://a:1", "http://:4317", "http://a:b"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(InvalidInput, match="OTLP collector's address"):
        checked(Where, {"trace_to": address}, where="the settings")
