"""The wire's fields for the phone page: `python -m infilink.cloud.dashboard.wire_fields` after a change of it."""

import json
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ...protos import edge_pb2

FILE = Path(__file__).parent / "static" / "phone" / "fields.js"
_HEAD = "// Made by infilink.cloud.dashboard.wire_fields of protos/edge.proto; a test compares them.\n"
_TYPES = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_ENUM: "int",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT64: "int",
    FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "int",
    FieldDescriptor.TYPE_UINT64: "int",
}


def script() -> str:
    """The module: by message and field its number, its type, which message it is, and whether it is repeated."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in (edge_pb2.DeviceMessage, edge_pb2.CoordinatorMessage):
        _add(kind.DESCRIPTOR, found)
    enums = {
        kind.DESCRIPTOR.name: dict(sorted((number, name) for name, number in kind.items()))
        for kind in (edge_pb2.Encoding, edge_pb2.Origin, edge_pb2.Policy, edge_pb2.RefusedCode)
    }
    lines = [f"  {name}: {json.dumps(fields)}," for name, fields in sorted(found.items())]
    values = [f"  {name}: {json.dumps(values)}," for name, values in enums.items()]
    return "\n".join((f"{_HEAD}export const FIELDS = {{", *lines, "};\n", "export const ENUMS = {", *values, "};\n"))


def _add(kind: Descriptor, found: dict[str, dict[str, dict[str, Any]]]) -> None:
    if kind.name in found:
        return
    found[kind.name] = fields = {}
    for field in kind.fields:
        fields[field.name] = {"number": field.number, "type": _TYPES[field.type]}
        if field.is_repeated:
            fields[field.name]["repeated"] = True
        if field.has_presence and field.message_type is None:
            fields[field.name]["optional"] = True
        if field.message_type is not None:
            fields[field.name]["message"] = field.message_type.name
            _add(field.message_type, found)


if __name__ == "__main__":
    FILE.write_text(script(), encoding="utf-8")
