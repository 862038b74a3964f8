"""Ledgers in both databases, and answers to put into them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.rows import Answered, InputKey
from infilink.models.spec import parse_spec
from infilink.protos import edge_pb2
from infilink.protos.arrays import write_array

SPECS = {
    "detector": parse_spec(
        {"name": "detector", "input": {"size": [8, 8]}, "output": {"kind": "boxes", "classes": ["person", "car"]}},
        where="detector",
    ),
    "scene": parse_spec(
        {"name": "scene", "input": {"size": [8, 8]}, "output": {"kind": "label", "classes": ["day", "night"]}},
        where="scene",
    ),
    "level": parse_spec({"name": "level", "input": {"size": [8, 8]}, "output": {"kind": "scalar"}}, where="level"),
}
ONE_PERSON = np.asarray([[0.25, 0.5, 0.75, 1.0, 0.9, 0]], np.float32)
VALUES = {
    "detector": ONE_PERSON,
    "scene": np.asarray([0.2, 0.8], np.float32),
    "level": np.asarray([3.5], np.float32),
}


def key(sequence: int, device: str = "camera", session: str = "s") -> InputKey:
    return InputKey(device, session, sequence)


def output(model: str, value: np.ndarray | None = None, **fields: Any) -> edge_pb2.Output:
    given = {"origin": edge_pb2.ORIGIN_EXECUTED, "confidence": 1.0, "trusted": True, "digest": "d", **fields}
    message = edge_pb2.Output(model=model, kind=SPECS[model].output.kind, **given)
    write_array(message, VALUES[model] if value is None else value)
    return message


def answered(sequence: int, *outputs: edge_pb2.Output, device: str = "camera", session: str = "s", **more) -> Answered:
    given = outputs or tuple(map(output, SPECS))
    result = edge_pb2.Result(sequence=sequence, outputs=given, executed_s=0.25)
    return Answered(
        key(sequence, device, session),
        edge_pb2.CoordinatorMessage(result=result),
        **{"captured_ns": sequence * 200_000_000, "specs": SPECS, "size": (640, 480), **more},
    )


@pytest.fixture
def open_ledger(ledger_place: Path | str) -> Iterator[Callable[..., Ledger]]:
    """Opens the test's ledger, each time it is called."""
    databases = []

    def open_it(**options: Any) -> Ledger:
        databases.append(Database(ledger_place))
        return Ledger(databases[-1], **{"retry_s": 0.001, **options})

    yield open_it
    for database in databases:
        database.close()
