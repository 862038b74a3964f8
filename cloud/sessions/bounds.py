"""How large and how odd a device's messages may be; all that is kept, logged or compared of them is bounded here."""

import math
import re
from collections.abc import Iterable

from google.protobuf.descriptor import Descriptor

from ...errors import InvalidInput
from ...protos import edge_pb2
from ...protos.fields import BYTES, fields
from ..security.text import LONGEST, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Each field of a message takes up to a hundred bytes when it is parsed, and as few as two as it travels.
_MOST_FIELDS = 4096
_LARGEST_HELLO_BYTES = 2**18
_MOST_MODELS = 1024
_LARGEST_REPORT_BYTES = 4096
_LARGEST = {
    edge_pb2.DeviceMessage.HELLO_FIELD_NUMBER: _LARGEST_HELLO_BYTES,
    edge_pb2.DeviceMessage.REPORT_FIELD_NUMBER: _LARGEST_REPORT_BYTES,
}
_RATES = ("", "above", "below")


def check_bytes(data: bytes) -> None:
    """Makes sure that a DeviceMessage may be parsed: it does not take many times its bytes then, or is larger than any.

    Raises:
        InvalidInput: it is a Hello or Report larger than any, or has more fields than any message needs.
    """
    for field in fields(data):
        most_bytes = _LARGEST.get(field.number)
        if most_bytes is not None and field.end - field.start > most_bytes:
            name = edge_pb2.DeviceMessage.DESCRIPTOR.fields_by_number[field.number].name
            raise InvalidInput(f"a {name} of {field.end - field.start} bytes; at most {most_bytes} are taken")
    if _count(memoryview(data), edge_pb2.DeviceMessage.DESCRIPTOR, _MOST_FIELDS) < 0:
        raise InvalidInput(f"a message has more than {_MOST_FIELDS} fields")


def check_names(hello: edge_pb2.Hello) -> None:
    """Makes sure that what a Hello names can be kept and shown.

    Raises:
        InvalidInput: naming the field and what is allowed.
    """
    for key, name in (("device", hello.device), ("session", hello.session)):
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"`{key}`: 1 to {LONGEST} letters, digits, '.', '_', '-', not {shown(name)}")
    if len(hello.models) > _MOST_MODELS or len(hello.local) > _MOST_MODELS:
        raise InvalidInput(f"`models`, `local`: at most {_MOST_MODELS} models can be named")
    texts = {
        "version": [hello.version],
        "models": hello.models,
        "local": [*hello.local, *hello.local.values()],
        "device_class": [hello.device_class],
        "stem": [hello.stem],
    }
    for key, values in texts.items():
        _check_texts(key, values)


def check_input(message: edge_pb2.Input) -> None:
    """Makes sure that an input can be kept under its sequence.

    Raises:
        InvalidInput: it can't.
    """
    if message.sequence >= 2**63:
        raise InvalidInput(f"`sequence`: at most {2**63 - 1}, not {message.sequence}")


def check_report(report: edge_pb2.Report) -> None:
    """Makes sure that a device's counts are some, as they are kept and shown.

    Raises:
        InvalidInput: naming the field and what is allowed.
    """
    if report.ByteSize() > _LARGEST_REPORT_BYTES:
        raise InvalidInput(f"a Report has {report.ByteSize()} bytes; at most {_LARGEST_REPORT_BYTES} are taken")
    if report.rate_far not in _RATES:
        raise InvalidInput(f"`rate_far`: {shown(report.rate_far)} is none of {', '.join(map(repr, _RATES))}")
    for key in ("audit_error", "clock_behind_s"):
        if not math.isfinite(getattr(report, key)):
            raise InvalidInput(f"`{key}`: must be a finite number")


def _check_texts(key: str, values: Iterable[str]) -> None:
    for value in values:
        if len(value) > LONGEST or not value.isprintable():
            raise InvalidInput(f"`{key}`: at most {LONGEST} printable characters, not {shown(value)}")


def _count(data: memoryview, kind: Descriptor, most: int) -> int:
    """How many fields are left of `most`, below 0 as soon as there are more."""
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
            most = _count(data[field.start : field.end], known.message_type, most)
        elif known.is_packed:  # Several numbers in one field: the sizes of a shape, of which there are few.
            most -= field.end - field.start
        if most < 0:
            return most
    return most
