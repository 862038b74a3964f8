"""A ModelInfer request and its response as bytes: large tensors are not copied by protobuf on their way."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from ..errors import InvalidInput
from . import open_inference_pb2 as pb
from .fields import BYTES, fields, varint

_RAW_INPUT = pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
_RAW_OUTPUT = pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_OUTPUT_TAG = varint(_RAW_OUTPUT << 3 | BYTES)
_STREAM_TAG = varint(pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER << 3 | BYTES)
# Protobuf copies less than this faster than its fields are looked at here.
_LARGE_BYTES = 2**15


def split_request(data: bytes) -> tuple[pb.ModelInferRequest, list[bytes | memoryview]]:
    """A request without its `raw_input_contents`, and these: views of `data`.

    Raises:
        InvalidInput: it is no such message.
    """
    try:
        if len(data) < _LARGE_BYTES:
            request = pb.ModelInferRequest.FromString(data)
            return request, list(request.raw_input_contents)
        view, at = memoryview(data), 0
        rest, raw = list[memoryview](), list[bytes | memoryview]()
        for field in fields(data):
            if field.number == _RAW_INPUT and field.kind == BYTES:
                raw.append(view[field.start : field.end])
                rest.append(view[at : field.begin])
                at = field.end
        rest.append(view[at:])
        return pb.ModelInferRequest.FromString(b"".join(rest)), raw
    except DecodeError:
        raise InvalidInput(f"{len(data)} bytes are no ModelInferRequest") from None


def join_response(response: pb.ModelInferResponse, raw: Sequence[bytes | memoryview]) -> bytes:
    """A response with its `raw_output_contents` behind it."""
    parts: list[bytes | memoryview] = [response.SerializeToString()]
    for content in raw:
        parts += (_OUTPUT_TAG, varint(len(content)), content)
    return b"".join(parts)


def join_stream_response(response: bytes) -> bytes:
    """A response, as `join_response` gives it, as one of a stream."""
    return b"".join((_STREAM_TAG, varint(len(response)), response))


def request_id(data: bytes) -> str:
    """The `id` of a request that may be damaged elsewhere; empty: it has none that can be read."""
    found = [field for field in fields(data) if field.number == pb.ModelInferRequest.ID_FIELD_NUMBER]
    return data[found[-1].start : found[-1].end].decode("utf-8", "replace") if found else ""
