"""Whether a message may be parsed: what it takes then is told by its fields, which are counted in its bytes.

Two bytes on the wire may be an empty message that takes a hundred in memory, and each is looked at on the event loop.
"""

from collections.abc import Callable

from google.protobuf.descriptor import Descriptor

from ...errors import InvalidInput
from ...protos import edge_pb2
from ...protos import open_inference_pb2 as pb
from ...protos.fields import BYTES, fields

_MOST_DEVICE_FIELDS = 4096
_MOST_REQUEST_FIELDS = 2**15
LARGEST_REPORT_BYTES = 4096
_LARGEST = {
    edge_pb2.DeviceMessage.HELLO_FIELD_NUMBER: 2**18,
    edge_pb2.DeviceMessage.REPORT_FIELD_NUMBER: LARGEST_REPORT_BYTES,
}


def check_device_message(data: bytes) -> None:
    """Makes sure that a DeviceMessage may be parsed.

    Raises:
        InvalidInput: it is a Hello or Report larger than any, or has more fields than any message needs.
    """
    for field in fields(data):
        most_bytes = _LARGEST.get(field.number)
        if most_bytes is not None and field.end - field.start > most_bytes:
            name = edge_pb2.DeviceMessage.DESCRIPTOR.fields_by_number[field.number].name
            raise InvalidInput(f"a {name} of {field.end - field.start} bytes; at most {most_bytes} are taken")
    check_fields(data, edge_pb2.DeviceMessage.DESCRIPTOR, _MOST_DEVICE_FIELDS)


def check_infer_request(data: bytes) -> None:
    """Makes sure that a ModelInferRequest may be parsed; the numbers in its tensors are no fields.

    Raises:
        InvalidInput: it has more fields than any request needs.
    """
    check_fields(data, pb.ModelInferRequest.DESCRIPTOR, _MOST_REQUEST_FIELDS, numbers=False)


CHECKS: dict[str, Callable[[bytes], None]] = {
    "/infilink.v1.Edge/Connect": check_device_message,
    "/inference.GRPCInferenceService/ModelInfer": check_infer_request,
    "/inference.GRPCInferenceService/ModelStreamInfer": check_infer_request,
}
"""By method."""


def check_fields(data: bytes, kind: Descriptor, most: int, *, numbers: bool = True) -> None:
    """Makes sure that a message has no more fields than any needs.

    Args:
        data: its bytes.
        kind: what it is.
        most: the most fields, those of the messages in it counted.
        numbers: whether several numbers in one field count as so many.

    Raises:
        InvalidInput: it has more.
    """
    if _left(memoryview(data), kind, most, numbers=numbers) < 0:
        raise InvalidInput(f"a message has more than {most} fields")


def _left(data: memoryview, kind: Descriptor, most: int, *, numbers: bool) -> int:
    """How many fields are left of `most`, below 0 as soon as there are more; or numbers, where these count, too."""
    for field in fields(data):
        most -= 1
        if most < 0:
            return most
        if field.kind != BYTES:
            continue
        known = kind.fields_by_number.get(field.number)
        if known is None:
            continue
        if known.message_type is not None:
            most = _left(data[field.start : field.end], known.message_type, most, numbers=numbers)
        elif numbers and known.is_packed:  # Several numbers in one field: the sizes of a shape, of which there are few.
            most -= field.end - field.start
        if most < 0:
            return most
    return most
