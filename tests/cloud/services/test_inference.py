"""The Open Inference Protocol over gRPC: what is answered, what is refused, and with which status."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.inference.request import InferRequest
from infilink.cloud.security.caller import ANYONE, called_by
from infilink.cloud.services.inference import SERVICE, InferenceService
from infilink.errors import NotAllowed
from infilink.models.cost import ModelCost
from infilink.protos import open_inference_pb2 as pb

from ...e2e.conftest import write_model
from ...e2e.links import write_links
from ...models.test_tensor_model import join
from ..asking import asking, fed, origin, outputs, picture, refusal


def test_tensors_go_to_the_graph_as_they_are(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for level in (-7.5, 300.0):
            response = await stub.ModelInfer(asking("bright", {"image": fed(level)}, id=str(level)))
            assert outputs(response) == {"out": [level]} and response.id == str(level)
            assert (response.model_name, response.model_version) == ("bright", "1")
            assert origin(response) == "executed" and response.parameters["trusted"].bool_param
            assert response.parameters["digest"].string_param == coordinator.repository.digests["bright"]

    call(story)


def test_elements_are_answered_by_elements(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        request = pb.ModelInferRequest(model_name="light")
        contents = pb.InferTensorContents(fp32_contents=fed().reshape(-1).tolist())
        request.inputs.add(name="image", datatype="FP32", shape=[1, 3, 16, 16], contents=contents)
        request.outputs.add(name="out")
        response = await stub.ModelInfer(request)
        assert not response.raw_output_contents
        assert list(response.outputs[0].contents.fp32_contents) == [100.0, 100.0]

    call(story)


def test_a_picture_goes_through_the_models_spec(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        response = await stub.ModelInfer(asking("bright", picture(100)))
        assert outputs(response) == {"answer": [100.0]} and origin(response) == "executed"
        boxes = outputs(await stub.ModelInfer(asking("corner", picture(200), outputs=[{"name": "answer"}])))["answer"]
        assert boxes[0][:4] == [0.0, 0.0, 0.5, 0.5]
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[..., 0] = 90
        for color in ("BGR", "RGB"):
            response = await stub.ModelInfer(asking("bright", {"image": pixels}, parameters={"color": color}))
            assert outputs(response) == {"answer": [30.0]}

    call(story)


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


WRONG = [
    (asking("nobody", {"image": fed()}), MISSING, "no model is called 'nobody'; known models: bright, corner"),
    (asking("bright", {"image": fed()}, model_version="7"), MISSING, "served in version '1', not '7'"),
    (asking("bright", {}), INVALID, "input 'image' of model 'bright' is missing"),
    (asking("bright", {"picture": fed()}), INVALID, "no input 'picture'; it takes image (float32 [1, 3, 16, 16])"),
    (asking("bright", {"image": fed(shape=(2, 3, 16, 16))}), INVALID, "not [2, 3, 16, 16] (`shape`)"),
    (asking("bright", {"image": fed(dtype=np.float64)}), INVALID, "is float32, not float64 (`datatype`)"),
    (asking("bright", {"image": fed()}, outputs=[{"name": "in"}]), INVALID, "no output 'in'; it gives out"),
    (asking("bright", picture(), outputs=[{"name": "out"}]), INVALID, "the one output is 'answer'"),
    (asking("bright", {**picture(), "more": fed()}), INVALID, "with 'image' there is no 'more'"),
    (asking("bright", {"image": np.zeros((4, 4, 3), np.uint8)}), INVALID, "`color` must be BGR or RGB"),
    (asking("bright", {"image": np.array([b"no JPEG"], object)}), INVALID, "JPEG"),
    (asking("bright", picture(), parameters={"fallback": "none"}), INVALID, "`fallback` must be exact, prefer_ex"),
    (asking("bright", picture(), parameters={"fallback": 1}), INVALID, "`fallback` must be text"),
    (asking("bright", picture(), parameters={"stream": "x" * 300}), INVALID, "must be 1 to 100 letters"),
    (asking("bright", picture(), parameters={"timeout": "soon"}), INVALID, "`timeout` must be a number of micro"),
    (pb.ModelInferRequest(model_name="bright", raw_input_contents=[b"1"]), INVALID, "has 1 tensors and `inputs` 0"),
    (pb.ModelInferRequest(model_name="bright", inputs=[{"name": "a"}] * 65), INVALID, "at most 64 inputs"),
    (asking("bright", {"image": fed(shape=(1, 3, 400, 400))}), INVALID, "(`max_input_bytes`)"),
]


def test_what_can_not_be_answered_is_refused_by_the_name_of_what_is_wrong(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for request, code, text in WRONG:
            found, details = await refusal(stub.ModelInfer(request))
            assert found == code and text in details, details
        assert outputs(await stub.ModelInfer(asking("bright", {"image": fed()}))) == {"out": [100.0]}

    call(story, max_input_bytes=2**20)


def test_two_inputs_of_one_name_and_contents_beside_raw_bytes_are_refused(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        request = asking("bright", {"image": fed()})
        request.inputs.append(request.inputs[0])
        request.raw_input_contents.append(request.raw_input_contents[0])
        assert "two inputs are called 'image'" in (await refusal(stub.ModelInfer(request)))[1]
        request = asking("bright", {"image": fed()})
        request.inputs[0].contents.fp32_contents.append(1.0)
        assert "`contents` beside `raw_input_contents`" in (await refusal(stub.ModelInfer(request)))[1]

    call(story)


def test_bytes_that_are_no_request_are_refused(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        stub.ModelInfer._request_serializer = None
        for data in (b"\xff" * 10, b"\xff" * 100_000):
            assert (await refusal(stub.ModelInfer(data)))[0] == INVALID

    call(story)


def test_a_call_whose_turn_does_not_come_ends_with_its_deadline(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        request = asking("bright", {"image": fed()}, parameters={"timeout": 1})
        coordinator.pool.queue.at_once = 0
        code, text = await refusal(stub.ModelInfer(request))
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED and "the deadline passed" in text

    call(story)


def test_whoever_is_bound_to_a_device_may_not_use_anothers_stream(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        asked = InferRequest("bright", parameters={"stream": "door"}, tensors=picture())
        answering = InferenceService(coordinator).answering
        with called_by(ANYONE.bound_to(["gate-*"])), pytest.raises(NotAllowed, match="not as 'door'"):
            await answering.answer(asked)
        with called_by(ANYONE.bound_to(["do*"])):
            assert (await answering.answer(asked)).parameters["origin"] == "executed"

    call(story)


def test_what_is_ready_and_known_is_told(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        assert (await stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
        assert (await stub.ModelReady(pb.ModelReadyRequest(name="bright"))).ready
        assert not (await stub.ModelReady(pb.ModelReadyRequest(name="nobody"))).ready
        told = await stub.ServerMetadata(pb.ServerMetadataRequest())
        assert told.name == "infilink" and "model_repository" in told.extensions
        told = await stub.ModelMetadata(pb.ModelMetadataRequest(name="bright"))
        assert (told.inputs[0].name, told.inputs[0].datatype) == ("image", "FP32")
        assert list(told.inputs[0].shape) == [1, 3, 16, 16] and list(told.outputs[0].shape) == [1]
        assert told.platform == "onnxruntime_onnx" and told.properties["answer"] == "the output for image: FP32 [1]"
        config = (await stub.ModelConfig(pb.ModelConfigRequest(name="light"))).config
        assert config.output[0].data_type == pb.TYPE_FP32 and list(config.output[0].dims) == [2]
        assert config.parameters["classes"].string_value == "dark,bright"
        for method in (stub.ModelMetadata, stub.ModelConfig, stub.ModelStatistics):
            kind = getattr(pb, f"{method._method.decode().rpartition('/')[2]}Request")
            assert (await refusal(method(kind(name="nobody"))))[0] == MISSING

    call(story)


def test_models_are_loaded_and_unloaded_by_name(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        async def states() -> dict[str, str]:
            return {each.name: each.state for each in (await stub.RepositoryIndex(pb.RepositoryIndexRequest())).models}

        assert await states() == dict.fromkeys(("bright", "corner", "light"), "READY")
        await stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="bright"))
        assert (await states())["bright"] == "UNAVAILABLE"
        ready = await stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True))
        assert [each.name for each in ready.models] == ["corner", "light"]
        assert not (await stub.ModelReady(pb.ModelReadyRequest(name="bright"))).ready
        await stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="bright"))
        assert (await states())["bright"] == "READY"
        for method in (stub.RepositoryModelLoad, stub.RepositoryModelUnload):
            kind = getattr(pb, f"{method._method.decode().rpartition('/')[2]}Request")
            assert (await refusal(method(kind(model_name="nobody"))))[0] == MISSING
            assert (await refusal(method(kind(model_name="bright", repository_name="x"))))[0] == INVALID
        await stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="bright"))
        code, text = await refusal(stub.ModelInfer(asking("bright", picture())))
        assert code == grpc.StatusCode.UNAVAILABLE and "an operator unloaded it" in text

    call(story)


@pytest.mark.parametrize("fallback", ["exact", "prefer_exact", "any"])
def test_a_request_for_a_model_that_does_not_run_has_it_loaded(call: Callable, fallback: str) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        await coordinator.pool.unload("bright")
        requests = [asking("bright", {"image": fed()}, parameters={"fallback": fallback}), asking("bright", picture())]
        for request in requests:
            assert origin(await stub.ModelInfer(request)) == "executed"
        assert coordinator.workers["bright"].stats().loads == 2

    call(story)


def test_a_request_for_a_model_without_room_is_answered_by_links_or_refused(call: Callable, links: Path) -> None:
    """Nothing links here, so that the stream's last output is what there is."""

    async def story(coordinator: Coordinator, stub) -> None:
        async def ask(stream: str, fallback: str, level: int = 100) -> pb.ModelInferResponse:
            parameters = {"fallback": fallback, "stream": stream} if stream else {"fallback": fallback}
            return await stub.ModelInfer(asking("bright", picture(level), parameters=parameters))

        await coordinator.deployments.load("bright")
        assert origin(await ask("door", "exact", 50)) == "executed"
        await coordinator.pool.unload("bright")
        await coordinator.deployments.pin("corner")
        for fallback in ("any", "prefer_exact"):
            response = await ask("door", fallback)
            assert origin(response) == "held" and outputs(response) == {"answer": [50.0]}
            assert 0 < response.parameters["confidence"].double_param < 1
            assert response.parameters["trusted"].bool_param
        for stream, fallback in (("door", "exact"), ("", "any"), ("another", "any")):
            code, text = await refusal(ask(stream, fallback))
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "'bright' needs 30.0 MiB" in text
        code, _ = await refusal(stub.ModelInfer(asking("bright", {"image": fed()})))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED

    call(story, links=links, answers="links", budget="65MiB")


def test_a_model_that_does_not_run_is_linked_from_one_that_does(call: Callable, tmp_path: Path) -> None:
    """`double` says twice what `bright` says, and there is room for one of them."""
    models = tmp_path / "models"
    models.mkdir()
    for name, scale in (("bright", 1.0), ("double", 2.0)):
        write_model(models / f"{name}.onnx", scale=scale)
    costs = dict.fromkeys(("bright", "double"), ModelCost(60 * 2**20, 0.01, 0.1))
    folder = write_links(
        tmp_path / "links", models, {"bright": 1.0, "double": 2.0}, costs, agreements={"double": {("bright",): 0.9}}
    )

    async def story(coordinator: Coordinator, stub) -> None:
        await coordinator.deployments.pin("bright")
        assert (await stub.ModelReady(pb.ModelReadyRequest(name="double"))).ready
        for stream in ({}, {"stream": "door"}):
            response = await stub.ModelInfer(asking("double", picture(90), parameters=stream))
            assert (origin(response), response.parameters["sources"].string_param) == ("linked", "bright")
            assert abs(outputs(response)["answer"][0] - 180.0) < 5.0
            assert response.parameters["confidence"].double_param > 0.8
        response = await stub.ModelInfer(asking("double", picture(90), parameters={"fallback": "prefer_exact"}))
        assert origin(response) == "linked"
        for request in (
            asking("double", picture(90), parameters={"fallback": "exact"}),
            asking("double", {"image": fed(shape=(1, 3, 32, 32))}),
        ):
            code, text = await refusal(stub.ModelInfer(request))
            assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "'double'" in text
        (told,) = (await stub.ModelStatistics(pb.ModelStatisticsRequest(name="double"))).model_stats
        assert (told.inference_count, told.execution_count, told.inference_stats.fail.count) == (3, 0, 2)

    call(story, models=models, links=folder, answers="links", budget="100MiB")


def test_a_model_of_tensors_alone_takes_several_inputs_of_any_type(call: Callable, tmp_path: Path, make_model) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        words = {"a": np.array([b"x", b"y"], object), "b": np.array([b"1", b"2"], object)}
        given = {**words, "m": np.array([1, 2**40]), "n": np.array([-3, 1])}
        assert outputs(await stub.ModelInfer(asking("join", given))) == {"ab": [b"x1", b"y2"], "sum": [-2, 2**40 + 1]}
        request = asking("join", given, outputs=[{"name": "sum"}])
        assert outputs(await stub.ModelInfer(request)) == {"sum": [-2, 2**40 + 1]}
        typed = pb.ModelInferRequest(model_name="join")
        for name, field, values in (
            ("a", "bytes_contents", [b"x"]),
            ("b", "bytes_contents", [b""]),
            ("m", "int64_contents", [5]),
            ("n", "int64_contents", [6]),
        ):
            kind = "BYTES" if field == "bytes_contents" else "INT64"
            contents = pb.InferTensorContents(**{field: values})
            typed.inputs.add(name=name, datatype=kind, shape=[1], contents=contents)
        response = await stub.ModelInfer(typed)
        assert list(response.outputs[0].contents.bytes_contents) == [b"x"]
        assert list(response.outputs[1].contents.int64_contents) == [11]
        told = await stub.ModelMetadata(pb.ModelMetadataRequest(name="join"))
        assert (told.inputs[0].name, told.inputs[0].datatype, list(told.inputs[0].shape)) == ("a", "BYTES", [-1])
        assert "image" not in told.properties
        code, text = await refusal(stub.ModelInfer(asking("join", picture())))
        assert code == INVALID and "has no input 'image'" in text
        code, text = await refusal(stub.ModelInfer(asking("join", {**given, "a": np.array([b"\xff", b""], object)})))
        assert code == INVALID and "no UTF-8" in text

    make_model(tmp_path / "models", "bright")
    join(tmp_path / "models" / "join.onnx")
    for settings in ({}, {"answers": "hold", "budget": "1GiB"}):
        call(story, models=tmp_path / "models", **settings)


def test_a_stream_is_answered_in_order_and_an_error_ends_its_request_alone(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        async def requests() -> AsyncIterator[pb.ModelInferRequest]:
            for n in range(40):
                name = "nobody" if n % 7 == 3 else "bright"
                final = {"triton_enable_empty_final_response": True} if n == 1 else {}
                yield asking(name, {"image": fed(n)}, id=str(n), parameters=final)

        responses = [each async for each in stub.ModelStreamInfer(requests())]
        assert [each.infer_response.id for each in responses] == [str(n) for n in range(40)]
        for n, each in enumerate(responses):
            assert ("nobody" in each.error_message) == (n % 7 == 3)
            assert n % 7 == 3 or outputs(each.infer_response) == {"out": [float(n)]}
            assert each.infer_response.parameters["triton_final_response"].bool_param == (n == 1)

    call(story)


def test_requests_are_counted(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        for _ in range(3):
            await stub.ModelInfer(asking("bright", {"image": fed()}))
        await refusal(stub.ModelInfer(asking("bright", {})))
        (told,) = (await stub.ModelStatistics(pb.ModelStatisticsRequest(name="bright"))).model_stats
        assert (told.inference_count, told.execution_count, told.inference_stats.success.count) == (3, 3, 3)
        assert told.inference_stats.fail.count == 1 and told.last_inference > 0
        assert 0 < told.inference_stats.compute_infer.ns <= told.inference_stats.success.ns
        assert len((await stub.ModelStatistics(pb.ModelStatisticsRequest())).model_stats) == 3

    call(story)


def test_the_generated_services_methods_are_all_served(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        served = InferenceService(coordinator)._handlers()
        described = pb.DESCRIPTOR.services_by_name[SERVICE.rpartition(".")[2]].methods_by_name
        assert set(served) == set(described)

    call(story)
