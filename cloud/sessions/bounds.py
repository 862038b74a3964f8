"""How large and how odd a device's messages may be; all that is kept, logged or compared of them is bounded here."""

import math
import re
from collections.abc import Iterable

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...protos import edge_pb2
from ...protos.payloads import MOST_PARTS
from ..security.message_size import LARGEST_REPORT_BYTES
from ..security.text import LONGEST, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_MODELS = 1024
_LONGEST_FORM = 4096
_LONGEST_WINDOW, _HIGHEST_RATE_HZ = 2**31, 1e9
_RATES = ("", "above", "below")
_LATEST_US = 2**57
"""Unix time in the year 6536: what is later is no time, and what is counted by it goes on."""
_FINITE = tuple(
    field.name
    for field in edge_pb2.Report.DESCRIPTOR.fields
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT)
)


def is_name(text: str) -> bool:
    """Whether a device can be called so."""
    return _NAME.fullmatch(text) is not None


def check_names(hello: edge_pb2.Hello) -> None:
    """Makes sure that what a Hello names can be kept and shown.

    Raises:
        InvalidInput: naming the field and what is allowed.
    """
    if not is_name(hello.device):
        raise InvalidInput(f"`device`: 1 to {LONGEST} letters, digits, '.', '_', '-', not {shown(hello.device)}")
    if not hello.session:
        raise InvalidInput("`session`: must name the run")
    if hello.stream and not is_name(hello.stream):
        raise InvalidInput(f"`stream`: up to {LONGEST} letters, digits, '.', '_', '-', not {shown(hello.stream)}")
    if len(hello.form) > _LONGEST_FORM:
        raise InvalidInput(f"`form`: at most {_LONGEST_FORM} characters, not {len(hello.form)}")
    if len(hello.models) > _MOST_MODELS or len(hello.local) > _MOST_MODELS:
        raise InvalidInput(f"`models`, `local`: at most {_MOST_MODELS} models can be named")
    texts = {
        "session": [hello.session],
        "version": [hello.version],
        "models": hello.models,
        "local": [*hello.local, *hello.local.values()],
        "device_class": [hello.device_class],
        "stem": [hello.stem],
    }
    for key, values in texts.items():
        _check_texts(key, values)


def check_form(form: InputForm) -> None:
    """Makes sure that what a stream's inputs are can be kept, shown and compared.

    Raises:
        InvalidInput: naming the field and what is allowed.
    """
    if len(form.parts) > MOST_PARTS:
        raise InvalidInput(f"`form.parts`: at most {MOST_PARTS}, not {len(form.parts)}")
    _check_texts("form.parts", form.parts)
    for each in (form, *form.parts.values()):
        _check_texts("form.channels", each.channels)
        if max(each.window, each.stride) > _LONGEST_WINDOW or each.rate_hz > _HIGHEST_RATE_HZ:
            raise InvalidInput(
                f"`form`: at most {_LONGEST_WINDOW} samples (`window`, `stride`) and {_HIGHEST_RATE_HZ:g} a second "
                "(`rate_hz`)"
            )


def check_input(message: edge_pb2.Input, stream: str) -> None:
    """Makes sure that an input can be kept under its sequence, and is of the stream that it came on.

    Raises:
        InvalidInput: it can't, or it is of another.
    """
    if message.stream not in ("", stream):
        raise InvalidInput(f"`stream`: {shown(message.stream)} on a call for {shown(stream)}: each has its own")
    if message.sequence >= 2**63:
        raise InvalidInput(f"`sequence`: at most {2**63 - 1}, not {message.sequence}")


def check_report(report: edge_pb2.Report) -> None:
    """Makes sure that a device's counts are some, as they are kept and shown.

    Raises:
        InvalidInput: naming the field and what is allowed.
    """
    if report.ByteSize() > LARGEST_REPORT_BYTES:
        raise InvalidInput(f"a Report has {report.ByteSize()} bytes; at most {LARGEST_REPORT_BYTES} are taken")
    for key in ("number", "since_us"):
        if not 0 <= getattr(report.filter, key) <= _LATEST_US:
            raise InvalidInput(f"`filter.{key}`: 0 to {_LATEST_US}, not {getattr(report.filter, key)}")
    if report.rate_far not in _RATES:
        raise InvalidInput(f"`rate_far`: {shown(report.rate_far)} is none of {', '.join(map(repr, _RATES))}")
    for key in _FINITE:
        if not math.isfinite(getattr(report, key)):
            raise InvalidInput(f"`{key}`: must be a finite number")


def _check_texts(key: str, values: Iterable[str]) -> None:
    for value in values:
        if len(value) > LONGEST or not value.isprintable():
            raise InvalidInput(f"`{key}`: at most {LONGEST} printable characters, not {shown(value)}")
