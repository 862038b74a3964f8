"""Whatever bytes come as a request, over gRPC or HTTP: they are read, or refused as the sender's mistake."""

import json
from contextlib import suppress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.services import inference_messages, rest_messages
from infilink.errors import InvalidInput
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.inference_wire import request_id

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


@given(st.binary(max_size=60))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(InvalidInput):
        rest_messages.read_request(body, None, model="bright", version="")
