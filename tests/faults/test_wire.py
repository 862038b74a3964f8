"""Fault kinds M, S and T: strangers on the wire, against a coordinator behind real gRPC."""

import asyncio
import gc
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import psutil
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.security.guard import Guard
from infilink.cloud.security.message_size import CHECKS, check_device_message, check_infer_request
from infilink.cloud.security.tokens import add_token
from infilink.cloud.services.edge import EdgeService
from infilink.cloud.sessions.session import SessionKey
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.fields import varint

from ..cloud.conftest import run_async, serve  # noqa: F401
from ..cloud.messages import an_input, hello, local_output

Story = Callable[[Coordinator, EdgeService, edge_pb2_grpc.EdgeStub], Awaitable[None]]
CONNECT = "/infilink.v1.Edge/Connect"


@pytest.fixture
def connect(serve: Callable, make_model, tmp_path: Path) -> Callable:  # noqa: F811
    """Runs a story with a coordinator behind a guarded server, its service, and a client's stub (or channel)."""
    models = make_model(tmp_path / "models", "bright").parent

    def run(story: Story, *, raw: bool = False, **settings) -> None:
        async def whole(coordinator: Coordinator) -> None:
            guard = Guard.of(coordinator.config, CHECKS)
            server = grpc.aio.server(interceptors=[guard], options=[("grpc.max_receive_message_length", 2**25)])
            service = EdgeService(coordinator)
            edge_pb2_grpc.add_EdgeServicer_to_server(service, server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                    await story(coordinator, service, channel if raw else edge_pb2_grpc.EdgeStub(channel))
            finally:
                await server.stop(None)

        serve(whole, models=models, **settings)

    return run


def greeting(**fields) -> edge_pb2.DeviceMessage:
    return edge_pb2.DeviceMessage(hello=hello(**fields))


async def each(*messages: edge_pb2.DeviceMessage) -> AsyncIterator[edge_pb2.DeviceMessage]:
    for message in messages:
        yield message


async def ended(stub, *messages, metadata: tuple = ()) -> tuple[grpc.StatusCode, str]:
    """How a stream ends after these messages; its answers are read.

    Nothing is sent behind them: who still writes to a stream that the other side ends does not always hear how.
    """
    call = stub.Connect(metadata=metadata)
    try:
        for message in messages:
            await call.write(message)
        while await call.read() is not grpc.aio.EOF:
            pass
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass
    return await call.code(), await call.details()


LONG = "x" * 10_000
PICTURE = an_input(0).input.payload
TEXT = {"modality": "text"}
FORGED = "camera\n12:00:00 WARNING all is well\x1b[2J"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"device": LONG}, "`device`"),
        ({"device": FORGED}, "`device`"),
        ({"device": "../../etc"}, "`device`"),
        ({"session": "x" * 2**17}, "`session`"),
        ({"session": "a\x00b"}, "`session`"),
        ({"models": [LONG]}, "`models`"),
        ({"models": ["bright"] * 2000}, "`models`"),
        ({"local": {LONG: "0"}}, "`local`"),
        ({"local": {"bright": LONG}}, "`local`"),
        ({"device_class": LONG}, "`device_class`"),
        ({"stem": FORGED}, "`stem`"),
        ({"version": LONG}, "`version`"),
        ({"stream": LONG}, "`stream`"),
        ({"stream": "a/b"}, "`stream`"),
        ({"form": "{"}, "`form`"),
        ({"form": "[]"}, "`form`"),
        ({"form": '{"parts":' * 400 + "1" + "}" * 400}, "`form`"),
        ({"form": '{"modality": "video", "window": 1e400}'}, "`form`"),
        ({"form": '{"modality": "video", "window": 99999999999, "stride": 1}'}, "`form`: at most 2147483648"),
        ({"form": '{"modality": "audio", "rate_hz": 1e300}'}, "`form`: at most"),
        ({"form": '{"modality": "audio", "rate_hz": NaN}'}, "`form`"),
        ({"form": json.dumps({"modality": "signal", "channels": [FORGED]})}, "`form.channels`"),
        ({"form": json.dumps({"modality": "text+text", "parts": {"a": TEXT, FORGED: TEXT}})}, "`form.parts`"),
        ({"form": json.dumps({"modality": FORGED})}, "`form`"),
    ],
)
def test_a_hello_that_can_not_be_kept_is_refused_by_field_and_shown_short(
    connect: Callable, caplog, fields: dict, field: str
) -> None:
    async def story(coordinator: Coordinator, _, stub) -> None:
        code, details = await ended(stub, greeting(**fields))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and field in details and len(details) < 400
        assert details.isprintable() and not coordinator.sessions

    with caplog.at_level(logging.DEBUG):
        connect(story)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("infilink")]
    assert all(text.isprintable() and len(text) < 1000 for text in ours)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (an_input(2**63, captured_ns=0), "`sequence`: at most 9223372036854775807"),
        (an_input(2**64 - 1, captured_ns=0), "`sequence`"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(rate_far=LONG)), "a report of 10"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(rate_far=FORGED)), "`rate_far`"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(audit_error=float("nan"))), "`audit_error`"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(filter={"number": 2**62})), "`filter.number`"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(filter={"since_us": -1})), "`filter.since_us`"),
        (edge_pb2.DeviceMessage(report=edge_pb2.Report(clock_behind_s=float("inf"))), "`clock_behind_s`"),
        (edge_pb2.DeviceMessage(), "after Hello come Input"),
    ],
    ids=["2^63", "2^64", "a long report", "a forging report", "NaN", "a wish", "a time", "infinity", "nothing"],
)
def test_a_message_that_can_not_be_kept_ends_the_stream_by_field_and_without_a_traceback(
    connect: Callable, caplog, message: edge_pb2.DeviceMessage, text: str
) -> None:
    async def story(_, __, stub) -> None:
        code, details = await ended(stub, greeting(), message)
        assert code == grpc.StatusCode.INVALID_ARGUMENT and text in details

    connect(story)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"payload": b""}, "INVALID", "no JPEG"),
        ({"payload": b"\x89PNG\r\n\x1a\n"}, "INVALID", "no JPEG"),
        ({"payload": PICTURE[:-40]}, "INVALID", "cut off or damaged"),
        ({"payload": PICTURE[:9] + bytes(300)}, "INVALID", "cut off or damaged"),
        ({"payload": bytes(2**20)}, "INVALID", "1048576 bytes; at most 65536"),
        ({"encoding": edge_pb2.ENCODING_MAP}, "INVALID", "encoding 2"),
        ({"encoding": 99}, "INVALID", "encoding 99"),
        ({"models": ["dark"]}, "INVALID", "no model is called 'dark'"),
        ({"models": [LONG]}, "INVALID", "no model is called 'xxx"),
        ({"features": edge_pb2.Features(values=bytes(8))}, "INVALID", "no features are taken here"),
        ({"deadline_ns": 1}, "DEADLINE", "the deadline passed"),
        ({"deadline_ns": -(2**63)}, "DEADLINE", "the deadline passed"),
    ],
)
def test_a_bad_input_is_refused_with_its_reason_and_the_next_one_is_answered(
    connect: Callable, fields: dict, code: str, text: str
) -> None:
    async def story(_, __, stub) -> None:
        _, refused, answered = [
            message async for message in stub.Connect(each(greeting(), an_input(0, **fields), an_input(1)))
        ]
        assert refused.refused.code == edge_pb2.RefusedCode.Value(f"REFUSED_CODE_{code}")
        assert text in refused.refused.message and len(refused.refused.message) < 1100
        assert answered.result.sequence == 1 and answered.result.outputs

    connect(story, max_input_bytes=2**16)


@pytest.mark.parametrize(
    "output",
    [
        {"shape": [1] * 100, "value": bytes(4)},
        {"shape": [0] * 100, "value": b""},
        {"shape": [2**32 - 1] * 9, "value": bytes(4)},
        {"shape": [0, 2**32 - 1, 2**32 - 1], "value": b""},
        {"dtype": "object", "value": bytes(8)},
        {"dtype": LONG},
        {"model": FORGED},
        {"digest": LONG},
    ],
    ids=["100 axes", "100 empty axes", "huge", "huge and empty", "objects", "a long type", "a forged name", "a digest"],
)
def test_an_output_that_no_model_gives_is_refused_and_the_next_input_is_answered(
    connect: Callable, output: dict
) -> None:
    async def story(coordinator: Coordinator, _, stub) -> None:
        digest = coordinator.repository.digests["bright"]
        made = local_output("bright", digest, np.asarray([1.0], np.float32))
        made.MergeFrom(edge_pb2.Output(**{key: value for key, value in output.items() if key != "shape"}))
        made.shape[:] = output.get("shape", made.shape)
        messages = each(greeting(local={"bright": digest}), an_input(0, outputs=[made]), an_input(1))
        _, refused, answered = [message async for message in stub.Connect(messages)]
        assert refused.refused.code == edge_pb2.REFUSED_CODE_INVALID and len(refused.refused.message) < 1100
        assert refused.refused.message.isprintable()
        assert answered.result.sequence == 1

    connect(story)


@pytest.mark.parametrize("field", [8, 9], ids=["models", "outputs"])
def test_a_message_that_would_grow_a_hundredfold_when_it_is_parsed_is_refused_unparsed(field: int) -> None:
    content = bytes([field << 3 | 2, 0]) * 2**21
    with pytest.raises(InvalidInput, match="more than 4096 fields"):
        check_device_message(b"\x12" + varint(len(content)) + content)


def test_a_stream_that_was_refused_leaves_nothing_of_what_it_sent(connect: Callable) -> None:
    large = greeting(session="s" * 2**20).SerializeToString()

    async def story(_, __, channel: grpc.aio.Channel) -> None:
        raw = channel.stream_stream(CONNECT)

        async def refused() -> None:
            code, details = await ended(SimpleNamespace(Connect=raw), large)
            assert code == grpc.StatusCode.INVALID_ARGUMENT and "a hello of 10485" in details

        await refused()
        tracemalloc.start()
        try:
            before_bytes = tracemalloc.get_traced_memory()[0]
            for _attempt in range(20):
                await refused()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - before_bytes < 2 * len(large)
        finally:
            tracemalloc.stop()

    connect(story, raw=True)


@pytest.mark.parametrize("field", [4, 5, 6, 7], ids=["parameters", "inputs", "outputs", "contents"])
def test_a_request_that_would_grow_a_hundredfold_is_refused_unparsed(field: int) -> None:
    with pytest.raises(InvalidInput, match="more than 32768 fields"):
        check_infer_request(bytes([field << 3 | 2, 0]) * 2**21)


def test_a_request_with_many_numbers_or_words_may_be_parsed() -> None:
    numbers, words = pb.InferTensorContents(fp32_contents=[0.5] * 10**6), [b"word"] * 10_000
    tensors = [numbers, pb.InferTensorContents(bytes_contents=words)]
    inputs = [pb.ModelInferRequest.InferInputTensor(name="x", shape=[1], contents=each) for each in tensors]
    request = pb.ModelInferRequest(model_name="m", inputs=inputs, raw_input_contents=[bytes(10**6)])
    check_infer_request(request.SerializeToString())


@pytest.mark.parametrize("message", [greeting(models=["bright"] * 100), an_input(0), edge_pb2.DeviceMessage()])
def test_a_message_that_devices_send_may_be_parsed(message: edge_pb2.DeviceMessage) -> None:
    check_device_message(message.SerializeToString())


def test_streams_that_only_say_hello_give_way_to_who_comes(connect: Callable, caplog) -> None:
    async def story(coordinator: Coordinator, service: EdgeService, stub) -> None:
        now = 0.0
        service.places.clock = lambda: now
        calls = []
        for number in range(3):
            call = stub.Connect()
            await call.write(greeting(device=f"squatter-{number}"))
            assert (await call.read()).HasField("welcome")
            calls.append(call)
        code, text = await ended(stub, greeting(device="newcomer"))
        assert code == grpc.StatusCode.UNAVAILABLE and "`max_devices`" in text, "they came just now"
        now = 11.0
        await calls[1].write(edge_pb2.DeviceMessage(report=edge_pb2.Report(frames=1)))
        await calls[2].write(an_input(0))
        assert (await calls[2].read()).result.sequence == 0
        answers = [each async for each in stub.Connect(each(greeting(device="newcomer"), an_input(0)))]
        assert answers[-1].result.sequence == 0
        assert await calls[0].code() == grpc.StatusCode.UNAVAILABLE
        assert {key.device for key, session in coordinator.sessions.items() if session.connection} == {
            "squatter-1",
            "squatter-2",
        }
        for call in calls[1:]:
            call.cancel()

    connect(story, max_devices=3)
    assert "squatter-0: gives its place to newcomer" in caplog.text


def test_one_device_does_not_take_every_place(connect: Callable, caplog) -> None:
    async def story(coordinator: Coordinator, _, stub) -> None:
        calls = []
        for number in range(8):
            call = stub.Connect()
            await call.write(greeting(session=f"run-{number}"))
            assert (await call.read()).HasField("welcome")
            calls.append(call)
        connected = [key.session for key, session in coordinator.sessions.items() if session.connection]
        assert connected == ["run-4", "run-5", "run-6", "run-7"]
        assert {await call.code() for call in calls[:4]} == {grpc.StatusCode.UNAVAILABLE}
        for call in calls[4:]:
            call.cancel()

    connect(story, max_devices=6)
    assert caplog.text.count("has more streams than a device needs") == 4


def test_large_inputs_wait_on_the_device_s_side(connect: Callable) -> None:
    async def story(_, service: EdgeService, __) -> None:
        stream = SimpleNamespace(session=SimpleNamespace(key=SessionKey("camera", "1")), waiting=0)
        sent = each(*(an_input(index, payload=bytes(1000)) for index in range(5)))
        heard = service._heard(sent, stream, service.places.take(stream.session.key))
        for stream.waiting in (1, 2, 3):
            assert (await anext(heard)).HasField("input")
        reading = asyncio.ensure_future(anext(heard))
        for _step in range(20):
            await asyncio.sleep(0)
        assert not reading.done(), "three wait, and have more than twice the largest"
        stream.waiting = 2
        assert (await reading).input.sequence == 3

    connect(story, max_input_bytes=1024)


def test_who_sends_too_much_has_to_wait_and_is_told(connect: Callable) -> None:
    async def story(coordinator: Coordinator, service: EdgeService, stub) -> None:
        waited = []
        quota = coordinator.quotas.of("camera")
        quota._inputs.clock = lambda: 0.0
        take = quota.take
        quota.take = lambda size_bytes: waited.append(take(size_bytes)) or min(waited[-1], 1e-3)
        got = [message async for message in stub.Connect(each(greeting(), *(an_input(index) for index in range(4))))]
        assert [round(wait_s, 3) for wait_s in waited] == [0.0, 0.0, 0.5, 1.0]
        told = [message.notice.text for message in got if message.HasField("notice")]
        assert len(told) == 1 and "`device_inputs_per_s`" in told[0]
        assert [message.result.sequence for message in got if message.HasField("result")] == [0, 1, 2, 3]

    connect(story, device_inputs_per_s=2.0)


def test_whatever_field_it_is_in_all_that_a_device_sends_counts(connect: Callable) -> None:
    async def story(coordinator: Coordinator, service: EdgeService, _) -> None:
        taken = []

        async def wait(size_bytes: int, *, is_input: bool) -> bool:
            taken.append((size_bytes > 900, is_input))
            return False

        coordinator.quotas.of("camera").wait = wait
        stream = SimpleNamespace(session=SimpleNamespace(key=SessionKey("camera", "1")), waiting=0)
        frame = edge_pb2.DeviceMessage(frame=edge_pb2.Frame(payload=bytes(900)))
        sent = each(an_input(0), an_input(1, outputs=[edge_pb2.Output(value=bytes(900))]), frame)
        async for _message in service._heard(sent, stream, service.places.take(stream.session.key)):
            pass
        assert taken == [(False, True), (True, True), (True, False)]

    connect(story)


def test_a_device_can_not_send_as_another(connect: Callable, tmp_path: Path, caplog) -> None:
    tokens = tmp_path / "tokens.toml"
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)

    async def story(coordinator: Coordinator, _, stub) -> None:
        metadata = (("authorization", f"Bearer {door}"),)
        code, details = await ended(stub, greeting(device="yard"), metadata=metadata)
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert details == "door may send as door, not as 'yard' (`name`)"
        assert not coordinator.sessions
        (welcome,) = [message async for message in stub.Connect(each(greeting(device="door")), metadata=metadata)]
        assert welcome.HasField("welcome")

    connect(story, tokens=tokens)


def test_a_damaged_models_path_does_not_reach_the_device(connect: Callable) -> None:
    async def story(coordinator: Coordinator, _, stub) -> None:
        worker = coordinator.workers["bright"]
        for path in (worker.model.path, worker.model.optimized):
            if path is not None and path.exists():
                path.chmod(0o600)
                path.write_bytes(b"damaged")
        process = psutil.Process(worker.pid)
        process.kill()
        process.wait(30.0)
        _, *answers = [message async for message in stub.Connect(each(greeting(), an_input(0), an_input(1)))]
        told = [answer.refused.message for answer in answers if answer.HasField("refused")]
        assert any("bright" in text for text in told), answers
        assert not any(str(worker.model.path.parent) in text for text in told)

    connect(story)
