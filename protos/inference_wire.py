"""A ModelInfer request and its response as bytes: large tensors are not copied by protobuf on their way."""

from collections.abc import Sequence
from itertools import islice

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
_MOST_FIELDS = 4096


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
        for count, field in enumerate(fields(data)):
            if count > _MOST_FIELDS:
                raise InvalidInput(f"a request of more than {_MOST_FIELDS} fields (`inputs`, `raw_input_contents`)")
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
    first = islice(fields(data), _MOST_FIELDS)
    found = [field for field in first if field.number == pb.ModelInferRequest.ID_FIELD_NUMBER and field.kind == BYTES]
    return data[found[-1].start : found[-1].end].decode("utf-8", "replace") if found else ""
