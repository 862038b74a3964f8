"""The stream as any client may use it, well or badly: raw messages against a real coordinator."""

import threading
from contextlib import contextmanager

import cv2
import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from infilink import __version__
from infilink.protos import edge_pb2, edge_pb2_grpc

from .conftest import METADATA, TIMEOUT_S


def picture(level=100, width=64, height=48):
    return cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))[1].tobytes()


def hello(device="raw", session="1", **fields):
    return edge_pb2.DeviceMessage(hello=edge_pb2.Hello(device=device, session=session, version=__version__, **fields))


def an_input(sequence, payload=None, **fields):
    values = {"encoding": edge_pb2.ENCODING_JPEG, "policy": edge_pb2.POLICY_ALL, **fields}
    payload = picture() if payload is None else payload
    return edge_pb2.DeviceMessage(input=edge_pb2.Input(sequence=sequence, payload=payload, **values))


@contextmanager
def stub(daemon):
    with grpc.insecure_channel(daemon.address) as channel:
        yield edge_pb2_grpc.EdgeStub(channel)


def talk(daemon, *messages):
    """Says these messages and returns everything that is answered."""
    with stub(daemon) as edge:
        return list(edge.Connect(iter(messages), metadata=METADATA, timeout=TIMEOUT_S))


def refusal(daemon, *messages):
    with pytest.raises(grpc.RpcError) as raised:
        talk(daemon, *messages)
    return raised.value.code(), raised.value.details()


def test_welcome_says_what_there_is(daemon):
    (answer,) = talk(daemon, hello())
    assert sorted(answer.welcome.specs) == ["bright", "double", "third"]
    assert answer.welcome.version == __version__ and answer.welcome.max_in_flight == 16


def test_a_repeated_input_gets_the_same_answer_and_runs_nothing(daemon):
    first = talk(daemon, hello(session="again"), an_input(1, picture(50)), an_input(2, picture(60)))
    before = daemon.executions()
    # Other pictures: an answer from the ledger is the one from before.
    second = talk(daemon, hello(session="again"), an_input(1, picture(200)), an_input(2, picture(200)))
    assert [m.result for m in first[1:]] == [m.result for m in second[1:]]
    assert daemon.executions() == before
    other = talk(daemon, hello(session="another"), an_input(1, picture(200)))
    assert other[1].result != first[1].result


@pytest.mark.parametrize(
    ("payload", "fields", "code", "text"),
    [
        (b"", {}, edge_pb2.REFUSED_CODE_INVALID, "no JPEG"),
        (b"\xff\xd8 not a jpeg", {}, edge_pb2.REFUSED_CODE_INVALID, "cut off or damaged"),
        (None, {"encoding": 77}, edge_pb2.REFUSED_CODE_INVALID, "encoding 77"),
        (b"\xff\xd8" + bytes(9 * 2**20), {}, edge_pb2.REFUSED_CODE_INVALID, "at most 8388608"),
        (None, {"deadline_ns": 1}, edge_pb2.REFUSED_CODE_DEADLINE, "deadline"),
    ],
    ids=["empty", "damaged", "unknown encoding", "too large", "too late"],
)
def test_a_bad_input_is_refused_and_the_stream_goes_on(daemon, payload, fields, code, text):
    session = f"bad {text}"
    answers = talk(daemon, hello(session=session), an_input(1), an_input(2, payload, **fields), an_input(3))[1:]
    assert [message.WhichOneof("message") for message in answers] == ["result", "refused", "result"]
    assert answers[1].refused.sequence == 2 and answers[1].refused.code == code and text in answers[1].refused.message


def test_latest_answers_every_input_once_in_order(daemon):
    inputs = [an_input(i, policy=edge_pb2.POLICY_LATEST) for i in range(40)]
    answers = talk(daemon, hello(session="latest"), *inputs)[1:]
    kinds = [message.WhichOneof("message") for message in answers]
    assert [getattr(m, kind).sequence for m, kind in zip(answers, kinds, strict=True)] == list(range(40))
    refused = {m.refused.code for m in answers if m.HasField("refused")}
    assert refused <= {edge_pb2.REFUSED_CODE_SUPERSEDED} and kinds[-1] == "result"


def test_a_device_may_want_some_models_only(daemon):
    answers = talk(daemon, hello(session="some", models=["double"]), an_input(1))
    assert [output.model for output in answers[1].result.outputs] == ["double"]
    code, text = refusal(daemon, hello(models=["triple"]))
    assert code == grpc.StatusCode.NOT_FOUND and "bright, double, third" in text


@pytest.mark.parametrize(
    ("messages", "code", "text"),
    [
        ([], grpc.StatusCode.INVALID_ARGUMENT, "begins with Hello"),
        ([an_input(1)], grpc.StatusCode.INVALID_ARGUMENT, "begins with Hello"),
        ([hello(device="")], grpc.StatusCode.INVALID_ARGUMENT, "naming `device`"),
        ([hello(wire=99)], grpc.StatusCode.FAILED_PRECONDITION, "(infilink 0.1.0) speaks version 99 of the wire"),
        ([hello(), hello()], grpc.StatusCode.INVALID_ARGUMENT, "after Hello"),
    ],
    ids=["nothing", "no hello", "no name", "other wire", "two hellos"],
)
def test_a_stream_out_of_order_ends_with_a_reason(daemon, messages, code, text):
    ended, details = refusal(daemon, *messages)
    assert ended == code and text in details


def test_a_second_connection_of_a_session_takes_the_place_of_the_first(daemon):
    over = threading.Event()

    def open_ended():
        yield hello(session="twice")
        over.wait(TIMEOUT_S)

    with stub(daemon) as edge:
        first = edge.Connect(open_ended(), metadata=METADATA, timeout=TIMEOUT_S)
        assert next(first).HasField("welcome")
        assert len(talk(daemon, hello(session="twice"), an_input(1))) == 2
        with pytest.raises(grpc.RpcError):
            next(first)
        over.set()


def test_health_is_serving_and_asks_for_no_token(daemon):
    with grpc.insecure_channel(daemon.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "infilink.v1.Edge"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_status_needs_the_token(daemon):
    with stub(daemon) as edge, pytest.raises(grpc.RpcError) as raised:
        edge.GetStatus(edge_pb2.StatusRequest(), timeout=TIMEOUT_S)
    assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
