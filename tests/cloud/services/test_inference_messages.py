"""Whatever bytes come as a request, over gRPC or HTTP: they are read, or refused as the sender's mistake."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.inference.request import InferResponse
from infilink.cloud.services import inference_messages, rest_messages
from infilink.errors import InvalidInput
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.inference_wire import request_id
from infilink.protos.tensors import datatype_of

MOST = 2**16


def whole(raw: bool, size: int) -> bytes:
    """A request as a client writes it."""
    value = np.arange(size, dtype=np.float32)
    request = pb.ModelInferRequest(model_name="bright", id="7")
    request.parameters["fallback"].string_param = "any"
    tensor = request.inputs.add(name="image", datatype="FP32", shape=[size])
    if raw:
        request.raw_input_contents.append(value.tobytes())
    else:
        tensor.contents.fp32_contents.extend(value.tolist())
    request.outputs.add(name="out")
    return request.SerializeToString()


WHOLE = [whole(raw, size) for raw in (True, False) for size in (3, 12_000)]
changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


@given(st.sampled_from(WHOLE), changes, st.floats(0, 1))
def test_a_damaged_message_is_read_or_refused(data: bytes, changed: list[tuple[float, int]], end: float) -> None:
    damaged = bytearray(data)
    for at, value in changed:
        damaged[int(at * len(damaged))] = value
    sent = bytes(damaged[: max(1, round((0.5 + end) * len(damaged)))])
    request_id(sent)
    with suppress(InvalidInput):
        request, _ = inference_messages.read_request(sent, most_bytes=MOST)
        assert request.size_bytes <= 8 * MOST
        for told in ("fallback", "stream", "captured_s", "timeout_s", "color"):
            with suppress(InvalidInput):
                getattr(request, told)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**65) | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=12,
)
tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": anything,
        "datatype": st.sampled_from(["FP32", "BYTES", "BOOL", "UINT8", "FP16"]) | anything,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | anything,
        "data": anything,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": anything, "content_type": anything}),
    },
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": anything,
            "parameters": anything,
            "inputs": st.lists(tensors, max_size=3) | anything,
            "outputs": anything,
        },
    )
    | anything,
    st.none() | st.integers(-1, 200).map(str) | st.text(max_size=4),
)
def test_any_json_is_read_or_refused(body: object, header: str | None) -> None:
    with suppress(InvalidInput):
        rest_messages.read_request(json.dumps(body).encode(), header, model="bright", version="")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a": [' + b"1," * 2_100_000 + b"1]}", "more than 2097152 numbers"),
        (b'{"a": [' + b"1.5," * 2_100_000 + b"1]}", "more than 2097152 numbers"),
        (
            b'{"parameters": {' + b",".join(b'"%d" : 1' % n for n in range(70_000)) + b"}}",
            "70001 keys, more than 65536",
        ),
        (b'{"a": [' + b"[]," * 300_000 + b"1]}", "lists and objects, more than"),
        (b'{"a": [' + b'"",' * 300_000 + b"1]}", "300001 strings, more than 262144"),
    ],
    ids=["whole numbers", "others", "keys", "lists", "strings"],
)
def test_json_of_too_many_parts_is_refused_by_what_there_is_too_much_of(body: bytes, text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        rest_messages.read_request(body, None, model="bright", version="")
    assert text in str(raised.value) and "send raw bytes" in str(raised.value)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_long_tensors_come_and_go_as_they_are(dtype: type) -> None:
    """They are read and written some elements at a time."""
    value = (np.arange(3 * 30_001) % 251).reshape(3, 30_001).astype(dtype)
    name = datatype_of(value)
    for data in (value.tolist(), value.reshape(-1).tolist()):
        body = json.dumps({"inputs": [{"name": "x", "datatype": name, "shape": value.shape, "data": data}]}).encode()
        assert rest_messages.is_long(body, None) and rest_messages.is_long(body, str(len(body)))
        request, _ = rest_messages.read_request(body, None, model="bright", version="")
        assert request.tensors["x"].dtype == value.dtype and np.array_equal(request.tensors["x"], value)
    words = np.array([b"a", b'"b"'], object)
    response = InferResponse("bright", "1", "7", {"origin": "executed"}, {"x": value, "words": words, "raw": value})
    binary = {"": False, "raw": True}
    assert rest_messages.is_long_response(response, binary)
    whole, size = rest_messages.write_response(response, binary)
    told = json.loads(whole[:size])
    assert told["outputs"][0]["data"] == value.reshape(-1).tolist() and told["outputs"][0]["shape"] == [3, 30_001]
    assert told["outputs"][1]["data"] == ["a", '"b"'] and told["outputs"][2]["parameters"]["binary_data_size"]
    assert whole[size:] == value.tobytes() and (told["id"], told["parameters"]) == ("7", {"origin": "executed"})
    assert not rest_messages.is_long_response(response, {"": True})


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(InvalidInput):
        rest_messages.read_request(body, None, model="bright", version="")
