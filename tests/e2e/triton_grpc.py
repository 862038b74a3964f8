"""What Triton's own gRPC client does with a coordinator: `triton_grpc.py ADDRESS TOKEN`, by a Python that has it."""

import queue
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException


def fed(name: str, value: np.ndarray, datatype: str) -> triton.InferInput:
    given = triton.InferInput(name, list(value.shape), datatype)
    given.set_data_from_numpy(value)
    return given


def tells(client: triton.InferenceServerClient, headers: dict) -> None:
    assert client.is_server_live(headers=headers) and client.is_server_ready(headers=headers)
    assert client.is_model_ready("bright", headers=headers) and not client.is_model_ready("nobody", headers=headers)
    assert client.get_server_metadata(headers=headers).name == "infilink"
    metadata = client.get_model_metadata("bright", headers=headers, as_json=True)
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["1", "3", "32", "32"]}]
    config = client.get_model_config("bright", headers=headers).config
    assert config.input[0].data_type == model_config_pb2.TYPE_FP32 and list(config.output[0].dims) == [1]
    index = client.get_model_repository_index(headers=headers, as_json=True)["models"]
    assert [(each["name"], each["state"]) for each in index] == [(n, "READY") for n in ("bright", "double", "third")]


def infers(client: triton.InferenceServerClient, headers: dict) -> None:
    value = np.full((1, 3, 32, 32), 40, np.float32)
    wanted = [triton.InferRequestedOutput("scaled")]
    result = client.infer("double", [fed("image", value, "FP32")], outputs=wanted, request_id="7", headers=headers)
    assert result.as_numpy("scaled").tolist() == [80.0]
    response = result.get_response()
    assert response.id == "7" and response.parameters["origin"].string_param == "executed"
    assert response.parameters["confidence"].double_param == 1.0 and response.parameters["trusted"].bool_param

    result = client.infer("double", [fed("image", value, "FP32")], headers=headers, priority=2, timeout=600_000_000)
    assert result.as_numpy("scaled").tolist() == [80.0]

    pixels = np.full((48, 64, 3), 90, np.uint8)
    for parameters in ({"color": "RGB", "stream": "door"}, {"color": "BGR", "fallback": "exact"}):
        result = client.infer("third", [fed("image", pixels, "UINT8")], headers=headers, parameters=parameters)
        assert abs(result.as_numpy("answer")[0] - 30.0) < 1e-4
    statistics = client.get_inference_statistics("third", headers=headers).model_stats[0]
    assert statistics.inference_count == statistics.inference_stats.success.count == 2


def refusal(
    client: triton.InferenceServerClient, model: str, given: triton.InferInput, headers: dict, **asked: object
) -> tuple[str, str]:
    """The status and the message of a request that is not answered."""
    try:
        client.infer(model, [given], headers=headers, **asked)
    except InferenceServerException as error:
        return error.status(), error.message()
    raise AssertionError(f"{model} was answered")


def refuses(client: triton.InferenceServerClient, headers: dict) -> None:
    value = np.zeros((1, 3, 32, 32), np.float32)
    for model, given, status, text in (
        ("nobody", fed("image", value, "FP32"), "NOT_FOUND", "'nobody'"),
        ("bright", fed("image", value[:, :2], "FP32"), "INVALID_ARGUMENT", "(`shape`)"),
        ("bright", fed("image", value.astype(np.int64), "INT64"), "INVALID_ARGUMENT", "(`datatype`)"),
        ("bright", fed("picture", value, "FP32"), "INVALID_ARGUMENT", "no input 'picture'"),
    ):
        found, told = refusal(client, model, given, headers)
        assert found == f"StatusCode.{status}" and text in told, (found, told)
    status, told = refusal(client, "bright", fed("image", value, "FP32"), headers, sequence_id=7, sequence_start=True)
    assert status == "StatusCode.INVALID_ARGUMENT" and "there are no sequences" in told, told
    assert refusal(client, "bright", fed("image", value, "FP32"), {})[0] == "StatusCode.UNAUTHENTICATED"


def streams(client: triton.InferenceServerClient, headers: dict) -> None:
    answers: queue.Queue = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
    for n in range(20):
        value = np.full((1, 3, 32, 32), n, np.float32)
        client.async_stream_infer("nobody" if n == 9 else "bright", [fed("image", value, "FP32")], request_id=str(n))
    for n in range(20):
        result, error = answers.get(timeout=300)
        if n == 9:
            assert "'nobody'" in error.message()
        else:
            assert error is None and result.get_response().id == str(n)
            assert result.as_numpy("scaled").tolist() == [float(n)]
    client.stop_stream()


def loads(client: triton.InferenceServerClient, headers: dict) -> None:
    client.unload_model("third", headers=headers)
    assert not client.is_model_ready("third", headers=headers)
    client.load_model("third", headers=headers)
    assert client.is_model_ready("third", headers=headers)


def numbers() -> None:
    """Every message's fields, by number and type, as `name number type`: what the coordinator's are compared with."""
    for module in (service_pb2, model_config_pb2):
        waiting = list(module.DESCRIPTOR.message_types_by_name.values())
        while waiting:
            message = waiting.pop()
            waiting.extend(message.nested_types)
            for field in message.fields:
                print(message.full_name, field.name, field.number, field.type)
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            for value in enum.values:
                print(enum.full_name, value.name, value.number, 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["numbers"]:
        numbers()
    else:
        address, token = sys.argv[1:]
        with triton.InferenceServerClient(address) as client:
            for story in (tells, infers, refuses, streams, loads):
                story(client, {"authorization": f"Bearer {token}"})
                print(story.__name__)
