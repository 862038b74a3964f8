"""Who may ask how much, by the Open Inference Protocol as by a device's stream."""

import asyncio
import math
from collections.abc import Callable

import grpc
import httpx
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.inference.request import InferRequest
from infilink.cloud.security.caller import ANYONE, Caller, called_by
from infilink.cloud.security.guard import Guard
from infilink.cloud.services.http_server import serve_http
from infilink.cloud.services.inference import InferenceService
from infilink.cloud.services.rest import RestService
from infilink.errors import InvalidInput, NotAllowed, QueueFull

from ..asking import asking, fed, origin, picture, refusal

RARE = 1e-3
"""So few a second that one input is all there is in a test, however long it takes."""


def test_a_stream_s_requests_are_under_its_quota_and_others_under_their_sender_s(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for stream in ({"stream": "door"}, {"stream": "gate"}, {}):
            assert origin(await stub.ModelInfer(asking("bright", picture(), parameters=stream))) == "executed"
            code, text = await refusal(stub.ModelInfer(asking("bright", {"image": fed()}, parameters=stream)))
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "`device_inputs_per_s`" in text and "try again in" in text
        assert set(coordinator.quotas._by_device) == {"door", "gate", "host ipv4:127.0.0.1"}
        (told,) = [each async for each in stub.ModelStreamInfer(iter([asking("bright", picture(), id="7")]))]
        assert "`device_inputs_per_s`" in told.error_message and told.infer_response.id == "7"
        assert 0 < told.infer_response.parameters["retry_after_ms"].int64_param <= 1000 / RARE

    call(story, device_inputs_per_s=RARE)


def test_a_device_s_stream_and_its_requests_have_one_quota(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        coordinator.quotas.of("door").take(10**9)
        code, _ = await refusal(stub.ModelInfer(asking("bright", picture(), parameters={"stream": "door"})))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert origin(await stub.ModelInfer(asking("bright", picture()))) == "executed"

    call(story, device_bytes_per_s=1000.0)


def test_whoever_is_known_has_a_quota_and_may_not_use_up_that_of_another_s_stream(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        answering = InferenceService(coordinator).answering
        asked = InferRequest("bright", parameters={"stream": "door"}, tensors=picture())
        with called_by(ANYONE.bound_to(["gate-*"])), pytest.raises(NotAllowed, match="not as 'door'"):
            await answering.answer(asked)
        assert not coordinator.quotas._by_device
        for name in ("ann", "ben"):
            alone = InferRequest("bright", tensors=picture())
            with called_by(Caller(name, frozenset({"device"}))):
                await answering.answer(alone, host="10.0.0.1")
                with pytest.raises(QueueFull) as raised:
                    await answering.answer(alone, host="10.0.0.2")
                assert 0 < raised.value.retry_after_s <= 1 / RARE

    serve(story, device_inputs_per_s=RARE)


def test_over_http_too_much_says_when_to_try_again(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 16, 16], "data": [0.5] * 768}]}
        service = InferenceService(coordinator)
        async with (
            serve_http(
                RestService(service, Guard.of(coordinator.config), coordinator).routes(),
                coordinator.config.http_listen,
                coordinator.config,
                setting="http_listen",
            ) as address,
            httpx.AsyncClient(base_url=f"http://{address}", verify=False) as client,
        ):
            assert (await client.post("/v2/models/bright/infer", json=body)).status_code == 200
            refused = await client.post("/v2/models/bright/infer", json=body)
        assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 1 / RARE
        assert 0 < int(refused.headers["retry-after-ms"]) <= 1000 / RARE

    serve(story, http_listen="127.0.0.1:0", device_inputs_per_s=RARE)


def test_too_much_says_in_the_call_s_metadata_when_to_try_again(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        request = asking("bright", picture())
        await stub.ModelInfer(request)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ModelInfer(request)
        told = dict(raised.value.trailing_metadata())
        assert 0 < int(told["retry-after-ms"]) <= 1000 / RARE
        assert told["grpc-retry-pushback-ms"] == told["retry-after-ms"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.ModelInfer(asking("nobody", picture()))
        assert not dict(raised.value.trailing_metadata()), "to try that again would not help"

    call(story, device_inputs_per_s=RARE)


def test_a_stream_s_name_is_one_that_a_device_may_have(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for name in ("a b", "-", "x" * 101, "\n", "a/", "/a", "a/b/c", "a/b c"):
            code, text = await refusal(stub.ModelInfer(asking("bright", picture(), parameters={"stream": name})))
            assert code == grpc.StatusCode.INVALID_ARGUMENT and "parameter `stream` must be 1 to 100 letters" in text

    call(story)


def test_a_lower_priority_goes_after_all_that_waits(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        queue, order = coordinator.pool.queue, []
        queue.at_once = 0

        async def ask(priority: int | None, tensors: dict) -> None:
            parameters = {} if priority is None else {"priority": priority}
            await stub.ModelInfer(asking("bright", tensors, parameters=parameters))
            order.append(priority)

        asked, waiting = [3, 2, None, 1, 0], []
        for n, priority in enumerate(asked):
            waiting.append(asyncio.create_task(ask(priority, picture() if n % 2 else {"image": fed()})))
            while queue.waiting()["bright"] <= n:
                await asyncio.sleep(0)
        assert [-run.order[0] for run in queue._waiting.of("bright")] == [math.inf, math.inf, math.inf, -2.0, -3.0]
        queue.at_once = 1
        queue.wake()
        await asyncio.gather(*waiting)
        assert set(order) == set(asked)

    call(story)


@pytest.mark.parametrize("priority", [-1, 2**32, "high", True, 1.5])
def test_a_priority_is_a_number(priority: object) -> None:
    with pytest.raises(InvalidInput, match="`priority` must be a whole number from 0"):
        assert InferRequest("bright", parameters={"priority": priority}).worth


def test_sequences_are_refused_by_name(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for told in ({"sequence_id": 7}, {"sequence_id": "a"}, {"sequence_start": True}, {"sequence_end": True}):
            for tensors in (picture(), {"image": fed()}):
                code, text = await refusal(stub.ModelInfer(asking("bright", tensors, parameters=told)))
                assert code == grpc.StatusCode.INVALID_ARGUMENT
                assert f"parameter `{next(iter(told))}`: there are no sequences" in text and "`stream`" in text
        none = {"sequence_id": 0, "sequence_start": False, "sequence_end": False}
        assert origin(await stub.ModelInfer(asking("bright", picture(), parameters=none))) == "executed"

    call(story)


def test_a_sender_invents_no_more_streams_than_a_site_has(call: Callable) -> None:
    async def story(_, stub) -> None:
        for stream in ("door", "gate"):
            assert origin(await stub.ModelInfer(asking("bright", picture(), parameters={"stream": stream})))
        code, text = await refusal(stub.ModelInfer(asking("bright", picture(), parameters={"stream": "door/new"})))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "named 2 within a minute" in text
        assert origin(await stub.ModelInfer(asking("bright", picture(), parameters={"stream": "door"})))
        assert origin(await stub.ModelInfer(asking("bright", picture())))

    call(story, max_devices=2)
