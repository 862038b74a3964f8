"""The Open Inference Protocol over HTTP: JSON and raw bytes behind it, by the same handlers as over gRPC."""

import base64
import json
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.scrape import read_status
from infilink.cloud.security.guard import Guard
from infilink.cloud.services import rest
from infilink.cloud.services.http_server import serve_http
from infilink.cloud.services.inference import InferenceService
from infilink.cloud.services.rest import RestService
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput, QueueFull
from starlette.requests import Request

from ..messages import grey

LENGTH = "inference-header-content-length"


@pytest.fixture
def ask(serve: Callable) -> Callable:
    """Runs a story with a coordinator behind a real server, and a client."""

    def run(story: Callable[[Coordinator, httpx.AsyncClient], Awaitable[None]], **settings) -> None:
        async def whole(coordinator: Coordinator) -> None:
            read_status(coordinator)
            async with (
                serve_http(
                    RestService(InferenceService(coordinator), Guard.of(coordinator.config), coordinator).routes(),
                    coordinator.config.http_listen,
                    coordinator.config,
                    setting="http_listen",
                ) as address,
                httpx.AsyncClient(base_url=f"http://{address}", verify=False) as client,
            ):
                await story(coordinator, client)

        serve(whole, http_listen="127.0.0.1:0", **settings)

    return run


def given(level: float = 100.0, **fields: Any) -> dict[str, Any]:
    data = np.full((1, 3, 16, 16), level).tolist()
    return {"name": "image", "datatype": "FP32", "shape": [1, 3, 16, 16], "data": data, **fields}


async def infer(client: httpx.AsyncClient, model: str, *inputs: dict[str, Any], **fields: Any) -> httpx.Response:
    return await client.post(f"/v2/models/{model}/infer", json={"inputs": inputs, **fields})


def test_tensors_travel_as_json(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        found = (await infer(client, "bright", given(7.5), id="9")).json()
        assert found["outputs"] == [{"name": "out", "datatype": "FP32", "shape": [1], "data": [7.5]}]
        assert (found["model_name"], found["model_version"], found["id"]) == ("bright", "1", "9")
        digest = coordinator.repository.digests["bright"]
        told = {"origin": "executed", "confidence": 1.0, "trusted": True, "sources": "", "digest": digest}
        assert found["parameters"] == told
        answer = await client.post("/v2/models/bright/versions/1/infer", json={"inputs": [given()]})
        assert answer.json()["outputs"][0]["data"] == [100.0]

    ask(story)


def test_tensors_travel_as_bytes_behind_the_json(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        raw = np.full(768, 30, np.float32).tobytes()
        told = given(parameters={"binary_data_size": len(raw)})
        del told["data"]
        head = json.dumps({"inputs": [told], "parameters": {"binary_data_output": True}}).encode()
        sent = {"content": head + raw, "headers": {LENGTH: str(len(head))}}
        answer = await client.post("/v2/models/light/infer", **sent)
        size = int(answer.headers[LENGTH])
        (output,) = json.loads(answer.content[:size])["outputs"]
        assert output["parameters"] == {"binary_data_size": 8} and "data" not in output
        assert np.frombuffer(answer.content[size:], np.float32).tolist() == [100.0, 30.0]
        for body, length, text in (
            (head + raw, len(head) + 10**6, "the body has"),
            (head + raw, "x", "must be a whole number"),
            (head + raw[:-4], len(head), "bytes are left"),
            (head + raw + b"1", len(head), "1 bytes stand behind the last tensor"),
        ):
            answer = await client.post("/v2/models/light/infer", content=body, headers={LENGTH: str(length)})
            assert answer.status_code == 400 and text in answer.json()["error"]

    ask(story)


def test_a_picture_may_be_base64(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        text = base64.b64encode(encode_jpeg(grey(80), quality=100)).decode()
        picture = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"content_type": "base64"}}
        found = (await infer(client, "bright", {**picture, "data": [text]})).json()
        assert found["outputs"] == [{"name": "answer", "datatype": "FP32", "shape": [1], "data": [80.0]}]
        for data in (["?"], [1], [text, text]):
            assert (await infer(client, "bright", {**picture, "data": data})).status_code == 400

    ask(story)


def test_what_is_wrong_is_told_by_its_name(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        for model, inputs, status, text in (
            ("nobody", [given()], 404, "'nobody'"),
            ("bright", [given(shape=[1, 3, 16])], 400, "takes 48"),
            ("bright", [given(shape="all")], 400, "`shape` must be a list"),
            ("bright", [given(datatype="FP64")], 400, "(`datatype`)"),
            ("bright", [given(name="in")], 400, "no input 'in'"),
            ("bright", [given(data=7)], 400, "`data` must be a list"),
            ("bright", [given(), given()], 400, "two inputs"),
            ("bright", [given()] * 65, 400, "at most 64"),
            ("bright", ["image"], 400, "must be a JSON object"),
            ("bright", [given(parameters={"binary_data_size": 9})], 400, "`data` beside"),
        ):
            answer = await infer(client, model, *inputs)
            assert answer.status_code == status and text in answer.json()["error"], answer.text
        answer = await infer(client, "bright", given(), parameters={str(n): 1 for n in range(300)})
        assert answer.status_code == 400 and "more than 256" in answer.json()["error"]
        answer = await client.post("/v2/repository/index", content=bytes(2**17))
        assert answer.status_code == 400 and "more than 65536 bytes" in answer.json()["error"]
        for body in (b"", b"[1]", b"{", b"[" * 100_000, b"\xff"):
            answer = await client.post("/v2/models/bright/infer", content=body)
            assert answer.status_code == 400 and answer.json()["error"]
        answer = await client.post("/v2/models/bright/infer", content=b'{"inputs": [' + b"[]," * 300_000 + b"[]]}")
        assert answer.status_code == 400 and "lists and objects" in answer.json()["error"]
        answer = await client.post("/v2/models/bright/infer", content=bytes(2**21))
        assert answer.status_code == 400 and "`max_input_bytes`" in answer.json()["error"]
        answer = await client.post("/v2/models/bright/infer", content=b"x", headers={"content-encoding": "gzip"})
        assert answer.status_code == 400 and "`content-encoding`" in answer.json()["error"]
        assert (await client.get("/v2/models/bright/infer")).status_code == 405
        assert (await client.get("/v3")).status_code == 404

    ask(story, max_input_bytes=2**20)


def test_all_bodies_together_hold_no_more_than_so_much_until_they_are_answered(serve: Callable) -> None:
    async def received() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(60_000), "more_body": False}

    def a_request() -> Request:
        return Request({"type": "http", "headers": []}, received)

    async def story(coordinator: Coordinator) -> None:
        service = RestService(InferenceService(coordinator), Guard.of(coordinator.config), coordinator)
        async with AsyncExitStack() as answered:
            # 64 of the largest are taken: 4 KiB, and 64 KiB for what says what they are.
            for _ in range(74):
                body = await answered.enter_async_context(service._body(a_request(), most=2**17))
                assert len(body) == 60_000
            with pytest.raises(QueueFull, match="4500000 bytes of bodies are here already"):
                await answered.enter_async_context(service._body(a_request(), most=2**17))
        async with service._body(a_request(), most=2**17):
            pass
        with pytest.raises(InvalidInput, match="more than 100 bytes"):
            await service._body(a_request(), most=100).__aenter__()
        assert service._body_bytes == 0

    serve(story, max_input_bytes=4096)


def test_what_is_ready_and_known_is_told(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        async def found(path: str) -> Any:
            answer = await client.get(path)
            assert answer.status_code == 200
            return answer.json()

        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.get("/v2/models/bright/ready")).status_code == 200
        assert (await client.get("/v2/models/nobody/ready")).status_code == 400
        assert (await found("/v2"))["name"] == "infilink"
        told = await found("/v2/models/bright")
        assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [1, 3, 16, 16]}]
        assert told["versions"] == ["1"] and told["platform"] == "onnxruntime_onnx"
        assert (await found("/v2/models/light/config"))["output"][0]["data_type"] == "TYPE_FP32"
        await infer(client, "bright", given())
        (told,) = (await found("/v2/models/bright/stats"))["model_stats"]
        assert told["inference_count"] == 1 and told["inference_stats"]["success"]["count"] == 1
        assert len((await found("/v2/models/stats"))["model_stats"]) == 3
        page = await client.get("/metrics")
        for line in ('infilink_requests_total{code="200",face="rest",method="infer"} 1.0', "infilink_uptime_seconds"):
            assert line in page.text
        assert page.headers["content-type"].startswith("text/plain")

    ask(story)


def test_models_are_loaded_and_unloaded(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        assert (await client.post("/v2/repository/models/bright/unload")).status_code == 200
        assert (await client.get("/v2/models/bright/ready")).status_code == 400
        answer = await client.post("/v2/repository/index", json={"ready": True})
        assert [each["name"] for each in answer.json()] == ["corner", "light"]
        assert (await client.post("/v2/repository/models/bright/load", json={"parameters": {}})).status_code == 200
        answer = await client.post("/v2/repository/index")
        assert {each["state"] for each in answer.json()} == {"READY"}
        assert (await client.post("/v2/repository/models/nobody/load")).status_code == 404
        answer = await client.post("/v2/repository/models/bright/load", json={"parameters": {"config": "{}"}})
        assert answer.status_code == 400

    ask(story)


def test_whoever_lacks_the_token_is_refused(ask: Callable) -> None:
    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.get("/v2")).status_code == 401
        assert (await infer(client, "bright", given())).status_code == 401
        client.headers["authorization"] = "Bearer open sesame"
        assert (await infer(client, "bright", given())).status_code == 200

    ask(story, token="open sesame")


@pytest.mark.parametrize("header", [False, True], ids=["JSON alone", "JSON before raw bytes"])
def test_long_json_is_read_and_written_beside_the_event_loop(ask: Callable, header: bool, monkeypatch) -> None:
    threads = {}

    def noted(name: str) -> None:
        call = getattr(rest, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            threads[name] = threading.current_thread()
            return call(*arguments, **named)

        monkeypatch.setattr(rest, name, wrapped)

    async def story(coordinator: Coordinator, client: httpx.AsyncClient) -> None:
        for text, is_beside in (("[1.0]", False), (f"[{' ' * 2**16}1.0]", True)):
            body = f'{{"inputs": [{{"name": "image", "datatype": "FP32", "shape": [1], "data": {text}}}]}}'.encode()
            headers = {LENGTH: str(len(body))} if header else {}
            answer = await client.post("/v2/models/bright/infer", content=body, headers=headers)
            assert answer.status_code == 400 and "(`shape`)" in answer.json()["error"]
            assert (threads["read_request"] is not threading.current_thread()) == is_beside
        small = {"name": "image", "datatype": "FP32", "shape": [1, 3, 16, 16], "data": [0.0] * 768}
        monkeypatch.setattr(rest, "is_long_response", lambda *_: True)
        assert (await infer(client, "bright", small)).status_code == 200
        assert threads["write_response"] is not threading.current_thread()

    noted("read_request")
    noted("write_response")
    ask(story)
