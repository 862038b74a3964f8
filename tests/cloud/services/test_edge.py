"""The gRPC service: who may call it, and what becomes of a session's connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.security.guard import Guard
from infilink.cloud.services.edge import EdgeService
from infilink.protos import edge_pb2, edge_pb2_grpc

from ..messages import an_input, hello

TOKEN = (("authorization", "Bearer open sesame"),)


def greeting(**fields) -> edge_pb2.DeviceMessage:
    return edge_pb2.DeviceMessage(hello=hello(**fields))


@pytest.fixture
def connect(serve: Callable, make_model, tmp_path: Path) -> Callable:
    """Runs a story with a coordinator behind a real server, and a client's stub."""
    models = make_model(tmp_path / "models", "bright").parent

    def run(story: Callable[[Coordinator, edge_pb2_grpc.EdgeStub], Awaitable[None]], **settings) -> None:
        async def whole(coordinator: Coordinator) -> None:
            server = grpc.aio.server(interceptors=[Guard.of(coordinator.config)])
            edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    await story(coordinator, edge_pb2_grpc.EdgeStub(channel))
            finally:
                await server.stop(None)

        serve(whole, models=models, **settings)

    return run


async def each(*messages: edge_pb2.DeviceMessage) -> AsyncIterator[edge_pb2.DeviceMessage]:
    for message in messages:
        yield message


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    """How a call ended that was to fail; what it answered before is read."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in call:
            pass
    return raised.value.code(), raised.value.details()


def test_a_device_is_welcomed_and_its_inputs_are_answered(connect: Callable) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        welcome, *answers = [each async for each in stub.Connect(each(greeting(), an_input(0), an_input(1)))]
        assert list(welcome.welcome.specs) == ["bright"]
        assert [answer.result.sequence for answer in answers] == [0, 1]
        (session,) = coordinator.sessions.values()
        assert session.inputs == 2 and session.connection is None

    connect(story)


def test_whoever_lacks_the_token_is_refused(connect: Callable) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        assert await refusal(stub.Connect(each(greeting()))) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "the token is missing or wrong (`token`)",
        )
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.GetStatus(edge_pb2.StatusRequest(), metadata=(("authorization", "Bearer guess"),))
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert [each.HasField("welcome") async for each in stub.Connect(each(greeting()), metadata=TOKEN)] == [True]
        assert (await stub.GetStatus(edge_pb2.StatusRequest(), metadata=TOKEN)).devices[0].name == "camera"

    connect(story, token="open sesame")


@pytest.mark.parametrize(
    ("messages", "code", "text"),
    [
        ([], grpc.StatusCode.INVALID_ARGUMENT, "begins with Hello"),
        ([an_input(0)], grpc.StatusCode.INVALID_ARGUMENT, "begins with Hello"),
        ([greeting(session="")], grpc.StatusCode.INVALID_ARGUMENT, "naming `device` and `session`"),
        ([greeting(wire=99, wire_oldest=98)], grpc.StatusCode.FAILED_PRECONDITION, "speaks version 98 to 99"),
        ([greeting(models=["dark"])], grpc.StatusCode.NOT_FOUND, "bright"),
        ([greeting(), greeting()], grpc.StatusCode.INVALID_ARGUMENT, "after Hello"),
    ],
    ids=["nothing", "no hello", "no session", "another wire", "an unknown model", "two hellos"],
)
def test_a_stream_that_can_not_be_served_ends_with_the_reason(connect: Callable, messages, code, text) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        ended, details = await refusal(stub.Connect(each(*messages)))
        assert ended == code and text in details

    connect(story)


def test_a_second_connection_of_a_session_takes_over_from_the_first(connect: Callable) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        over = asyncio.Event()

        async def open_ended() -> AsyncIterator[edge_pb2.DeviceMessage]:
            yield greeting()
            yield an_input(0)
            await over.wait()

        first = stub.Connect(open_ended())
        assert (await anext(aiter(first))).HasField("welcome") and (await anext(aiter(first))).result.sequence == 0
        answers = [each async for each in stub.Connect(each(greeting(), an_input(0), an_input(1)))]
        assert [answer.result.sequence for answer in answers[1:]] == [0, 1]
        assert coordinator.counts.repeated == 1 and len(coordinator.sessions) == 1
        code, text = await refusal(first)
        assert code == grpc.StatusCode.UNAVAILABLE and "another connection" in text
        over.set()

    connect(story)


def test_a_device_too_many_is_refused_while_the_others_go_on(connect: Callable, caplog) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        go_on = asyncio.Event()

        async def patient() -> AsyncIterator[edge_pb2.DeviceMessage]:
            yield greeting(device="first")
            await go_on.wait()
            yield an_input(0)

        first = stub.Connect(patient())
        assert (await anext(aiter(first))).HasField("welcome")
        call = stub.Connect(each(greeting(device="second")))
        code, text = await refusal(call)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert text.startswith("places taken: 1 of 1") and "raise `max_devices`" in text
        assert ("retry-after-ms", "5000") in tuple(await call.trailing_metadata())
        assert f"second: refused: {text}" in caplog.messages
        go_on.set()
        assert (await anext(aiter(first))).result.sequence == 0

    connect(story, max_devices=1)


def test_a_coordinator_that_stops_answers_what_was_read_and_lets_nobody_in(connect: Callable) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        over = asyncio.Event()

        async def open_ended() -> AsyncIterator[edge_pb2.DeviceMessage]:
            yield greeting()
            yield an_input(0)
            await over.wait()

        call = stub.Connect(open_ended())
        assert (await anext(aiter(call))).HasField("welcome")
        assert (await anext(aiter(call))).result.sequence == 0
        coordinator.stop()
        for ended in (call, stub.Connect(each(greeting(session="2")))):
            code, text = await refusal(ended)
            assert code == grpc.StatusCode.UNAVAILABLE and "stopping" in text
        over.set()

    connect(story)


def test_two_devices_of_one_name_are_said_to_both_and_logged(connect: Callable, caplog) -> None:
    async def story(coordinator: Coordinator, stub: edge_pb2_grpc.EdgeStub) -> None:
        calls = []
        for session in ("one", "other"):
            call = stub.Connect()
            await call.write(greeting(session=session))
            assert (await call.read()).HasField("welcome")
            calls.append(call)
        for call in calls:
            await call.write(an_input(0))
            told, answer = await call.read(), await call.read()
            assert "camera: two agents of this name" in told.notice.text and answer.result.sequence == 0
            await call.done_writing()
            assert await call.read() == grpc.aio.EOF
        # A run that connects anew is no second one, nor is one that comes after it.
        again = [each async for each in stub.Connect(each(greeting(session="other"), an_input(1)))]
        assert not any(each.HasField("notice") for each in again)

    connect(story)
    assert sum("two agents of this name" in record.message for record in caplog.records) == 1
