"""Requests and responses of the Open Inference Protocol as HTTP carries them: JSON, with tensors in it or behind it."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidInput
from ...outputs import Array
from ...protos.tensors import BYTES, check_tensor, datatype_of, from_list, read_raw, to_list, write_raw
from ..inference.request import InferRequest, InferResponse, Parameter

HEADER = "inference-header-content-length"
"""The HTTP header that says how long the JSON is, where tensors stand behind it as raw bytes."""

_MOST_TENSORS = 64
_MOST_PARAMETERS = 256
# Each takes some 80 bytes however little is in it.
_MOST_PARTS = 2**18
_MOST_KEYS, _MOST_STRINGS, _MOST_NUMBERS = 2**16, 2**18, 2**21
# JSON that is longer is read, and an output of more numbers is written, beside the event loop, which others wait for.
_LONG_BYTES, _LONG_NUMBERS = 2**16, 2**13
_SIZE, _BINARY, _BINARY_ALL = "binary_data_size", "binary_data", "binary_data_output"


def read_request(body: bytes, header: str | None, *, model: str, version: str) -> tuple[InferRequest, dict[str, bool]]:
    """A request, and by output whether it is wanted as raw bytes; "" stands for those that are not named.

    Args:
        body: JSON, and what stands behind it.
        header: what `HEADER` said; None: nothing, it is JSON to its end.
        model: named in the address.
        version: named there; empty: none is.

    Raises:
        InvalidInput: it is no such request; the message names the field.
    """
    size = _json_bytes(body, header)
    found = read_object(body[:size])
    tensors: dict[str, Array] = {}
    at = size
    for each in _tables(found, "inputs"):
        name = _text(each, "name", "inputs")
        if name in tensors:
            raise InvalidInput(f"two inputs are called {name!r}")
        tensors[name], at = _tensor(each, name, body, at)
    if at != len(body):
        raise InvalidInput(f"{len(body) - at} bytes stand behind the last tensor: `{_SIZE}` of an input is too small")
    parameters = _parameters(found.get("parameters", {}))
    outputs = _tables(found, "outputs")
    wanted = {_text(each, "name", "outputs"): _flag(each, _BINARY) for each in outputs}
    binary = {name: value for name, value in wanted.items() if value is not None}
    binary[""] = parameters.pop(_BINARY_ALL, False) is True
    request = InferRequest(model, version, _text(found, "id", "the body", ""), parameters, tensors, tuple(wanted))
    return request, binary


def is_long(body: bytes, header: str | None) -> bool:
    """Whether the JSON of a request takes so long to be read that nobody else is to wait for it.

    Raises:
        InvalidInput: the header is wrong.
    """
    return _json_bytes(body, header) > _LONG_BYTES


def is_long_response(response: InferResponse, binary: Mapping[str, bool]) -> bool:
    """The same of writing a response."""
    listed = (value.size for name, value in response.outputs.items() if not binary.get(name, binary[""]))
    return sum(listed) > _LONG_NUMBERS


def write_response(response: InferResponse, binary: Mapping[str, bool]) -> tuple[bytes, int | None]:
    """A response's body, and how much of it is JSON; None: all of it.

    Args:
        response: the response.
        binary: as `read_request` gives it.
    """
    outputs: list[dict[str, Any]] = []
    behind: list[bytes | memoryview] = []
    lists: dict[int, Iterator[str]] = {}
    for name, value in response.outputs.items():
        told: dict[str, Any] = {"name": name, "datatype": datatype_of(value), "shape": list(value.shape)}
        if binary.get(name, binary[""]):
            behind.append(write_raw(value))
            told["parameters"] = {_SIZE: len(behind[-1])}
        else:
            # Written at the end of the output, some elements at a time.
            lists[len(outputs)] = _pieces(value)
        outputs.append(told)
    head: dict[str, Any] = {"model_name": response.model, "model_version": response.version}
    if response.id:
        head["id"] = response.id
    texts = [_with_data(json.dumps(told), lists.get(at)) for at, told in enumerate(outputs)]
    begun = json.dumps({**head, "parameters": dict(response.parameters)})
    whole = f'{begun[:-1]}, "outputs": [{", ".join(texts)}]}}'.encode()
    return (b"".join((whole, *behind)), len(whole)) if behind else (whole, None)


def plain(message: Any) -> dict[str, Any]:
    """A message of the protocol as the JSON that HTTP carries: all its fields, but for messages that are not there."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.name] = {
                key: plain(each) if hasattr(each, "DESCRIPTOR") else each for key, each in value.items()
            }
        elif field.message_type is not None and field.is_repeated:
            found[field.name] = [plain(each) for each in value]
        elif field.message_type is not None:
            if message.HasField(field.name):
                found[field.name] = plain(value)
        elif field.enum_type is not None:
            found[field.name] = field.enum_type.values_by_number[value].name
        else:
            found[field.name] = list(value) if field.is_repeated else value
    return found


def read_object(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object, or empty.

    Raises:
        InvalidInput: it is something else.
    """
    for what, count, most in (
        ("lists and objects", body.count(b"[") + body.count(b"{"), _MOST_PARTS),
        ("keys", body.count(b":"), _MOST_KEYS),
        ("strings", body.count(b'"') // 2, _MOST_STRINGS),
    ):
        if count > most:
            raise InvalidInput(f"the body's JSON has {count} {what}, more than {most}: send raw bytes")
    try:
        return _table(_loads(body) if len(body) > _LONG_BYTES else json.loads(body or b"{}"), "the body")
    except _TooManyNumbers as error:
        raise InvalidInput(f"the body's JSON has more than {_MOST_NUMBERS} numbers: send raw bytes") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is no JSON object: {str(error)[:120]}") from error


class _TooManyNumbers(ValueError):
    """A body has more numbers than are taken."""


def _loads(body: bytes) -> Any:
    """What long JSON says; while it is read other threads have their turn, too, each time a number is one of ours."""
    left = _MOST_NUMBERS

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooManyNumbers

    def whole(text: str) -> int:
        count()
        return int(text)

    def real(text: str) -> float:
        count()
        return float(text)

    return json.loads(body, parse_int=whole, parse_float=real)


def _pieces(value: Array) -> Iterator[str]:
    """A tensor's elements as JSON, some at a time."""
    flat = value.reshape(-1)
    for at in range(0, flat.size, _LONG_NUMBERS):
        yield json.dumps(to_list(flat[at : at + _LONG_NUMBERS]))[1:-1]


def _with_data(told: str, pieces: Iterator[str] | None) -> str:
    """An output's JSON with its elements in it; None: they stand elsewhere."""
    return told if pieces is None else f'{told[:-1]}, "data": [{", ".join(pieces)}]}}'


def _json_bytes(body: bytes, header: str | None) -> int:
    """How much of a body is JSON."""
    size = len(body) if header is None else _whole(header, HEADER)
    if size > len(body):
        raise InvalidInput(f"`{HEADER}` is {size} and the body has {len(body)} bytes")
    return size


def _tensor(given: Mapping[str, Any], name: str, body: bytes, at: int) -> tuple[Array, int]:
    """An input, and where the next one's bytes begin."""
    shape, datatype = given.get("shape"), _text(given, "datatype", f"input {name!r}")
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in shape):
        raise InvalidInput(f"input {name[:80]!r}: `shape` must be a list of whole numbers")
    parameters = _table(given.get("parameters", {}), f"`parameters` of input {name[:80]!r}")
    if _SIZE in parameters:
        if "data" in given:
            raise InvalidInput(f"input {name[:80]!r}: has `data` beside `{_SIZE}`: send one of them")
        end = at + _whole(parameters[_SIZE], _SIZE)
        if end > len(body):
            raise InvalidInput(f"input {name[:80]!r}: its `{_SIZE}` is {end - at}, and {len(body) - at} bytes are left")
        return read_raw(name[:80], datatype, shape, memoryview(body)[at:end]), end
    data = given.get("data")
    if not isinstance(data, list):
        raise InvalidInput(f"input {name[:80]!r}: `data` must be a list; raw bytes stand behind the JSON (`{_SIZE}`)")
    if datatype == BYTES and parameters.get("content_type") == "base64":
        return _from_base64(name[:80], shape, data), at
    return from_list(name[:80], datatype, shape, data), at


def _from_base64(name: str, shape: list[int], data: list[Any]) -> Array:
    check_tensor(name, BYTES, shape)
    try:
        elements = [base64.b64decode(each, validate=True) for each in data]
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidInput(f"input {name!r}: `data` is no base64: {error}") from error
    raw = b"".join(len(each).to_bytes(4, "little") + each for each in elements)
    return read_raw(name, BYTES, shape, raw)


def _parameters(given: Any) -> dict[str, Parameter]:
    found = _table(given, "`parameters`")
    if len(found) > _MOST_PARAMETERS:
        raise InvalidInput(f"`parameters` has {len(found)} entries, more than {_MOST_PARAMETERS}")
    for name, value in found.items():
        if not isinstance(value, Parameter):
            raise InvalidInput(f"parameter `{name[:80]}` must be text, a number, true or false")
    return dict(found)


def _table(given: Any, what: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidInput(f"{what} must be a JSON object")
    return given


def _tables(given: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = given.get(key, [])
    if not isinstance(found, list) or len(found) > _MOST_TENSORS:
        raise InvalidInput(f"`{key}` must be a list of at most {_MOST_TENSORS}")
    return [_table(each, f"each of `{key}`") for each in found]


def _text(given: Mapping[str, Any], key: str, what: str, default: str | None = None) -> str:
    found = given.get(key, default)
    if not isinstance(found, str):
        raise InvalidInput(f"{what}: `{key}` must be text")
    return found


def _flag(given: Mapping[str, Any], key: str) -> bool | None:
    found = _table(given.get("parameters", {}), "`parameters` of an output").get(key)
    if found is not None and not isinstance(found, bool):
        raise InvalidInput(f"`{key}` must be true or false")
    return found


def _whole(given: Any, what: str) -> int:
    if isinstance(given, bool) or not str(given).isdecimal() or len(str(given)) > 18:
        raise InvalidInput(f"`{what}` must be a whole number, at least 0")
    return int(given)
