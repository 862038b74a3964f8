"""What the results file is to say of an input, as bytes that the spool keeps beside it."""

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any, TypeVar

from ..codec import pack, unpack
from .result_rows import InputRow, ResultRow

Row = TypeVar("Row", InputRow, ResultRow)


def pack_facts(row: InputRow, answers: Iterable[ResultRow]) -> bytes:
    """An input's row with the results that are known already, as JSON."""
    return json.dumps({"input": asdict(row), "answers": [_plain(each) for each in answers]}).encode()


def unpack_facts(facts: bytes) -> tuple[InputRow, list[ResultRow]] | None:
    """What `pack_facts` packed, also in another version; None: it is nothing of the kind."""
    try:
        data = json.loads(facts)
        answers = [_row(ResultRow, {**each, "value": _value(each["value"])}) for each in data["answers"]]
        return _row(InputRow, data["input"]), answers
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(row: ResultRow) -> dict[str, Any]:
    value = None if row.value is None else base64.b64encode(pack(row.value)).decode()
    return {each.name: getattr(row, each.name) for each in fields(row)} | {"value": value}


def _value(text: str | None) -> Any:
    return None if text is None else unpack(base64.b64decode(text))


def _row(kind: type[Row], values: dict[str, Any]) -> Row:
    known = {each.name for each in fields(kind)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**{name: value for name, value in values.items() if name in known})
