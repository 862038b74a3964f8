"""Outputs that devices send: bounded and checked by kind before anything looks at them."""

from typing import Any

import numpy as np
import pytest
from infilink.cloud.repository import Repository
from infilink.cloud.sessions.admission import check_local
from infilink.cloud.sessions.inputs import read_outputs
from infilink.errors import InvalidInput
from infilink.models.spec import digest, parse_spec
from infilink.outputs import Array
from infilink.protos import edge_pb2

OUTPUTS: dict[str, dict[str, Any]] = {
    "boxes": {"kind": "boxes", "classes": ["car"]},
    "mask": {"kind": "mask"},
    "words": {"kind": "tokens", "length": 9},
}
SPECS = {
    name: parse_spec({"name": name, "input": {"size": [32, 32]}, "output": output}, where=name)
    for name, output in OUTPUTS.items()
}
LOCAL = dict.fromkeys(SPECS, "d")


def message(name: str, value: Array) -> edge_pb2.Output:
    return edge_pb2.Output(
        model=name,
        digest="d",
        kind=SPECS[name].output.kind,
        shape=value.shape,
        dtype=value.dtype.name,
        value=value.tobytes(),
    )


def a_box(**changed: float) -> Array:
    box = {"x1": 0.1, "y1": 0.1, "x2": 0.2, "y2": 0.2, "score": 0.9, "class": 0.0, **changed}
    return np.asarray([list(box.values())], np.float32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", a_box()),
        ("boxes", np.zeros((0, 6), np.float32)),
        ("mask", np.full((4, 6), 0.5, np.float32)),
        ("words", np.asarray([3, 8], np.int64)),
        ("words", np.zeros(0, np.int64)),
    ],
)
def test_what_a_model_can_have_said_is_taken_as_it_is(name: str, value: Array) -> None:
    (found,) = read_outputs([message(name, value)], LOCAL, SPECS).values()
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("boxes", np.repeat(a_box(), 4097, axis=0), "4097 boxes are more than 4096"),
        ("boxes", a_box(**{"class": 1.0}), "class indices must be whole numbers from 0 to 0"),
        ("boxes", np.zeros((1, 5), np.float32), "must have shape"),
        ("mask", np.zeros((0, 5), np.float32), "has no pixels"),
        ("mask", np.zeros(5, np.float32), "must have shape"),
        ("words", np.asarray([9], np.int64), "ids must be whole numbers from 0 to 8"),
        ("words", np.zeros(4097, np.int64), "4097 tokens are more than 4096"),
        ("words", np.zeros(2, np.float32), "in 'float32', not 'tokens' in 'int64'"),
    ],
)
def test_what_it_cannot_have_said_is_refused_by_name(name: str, value: Array, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: .*{text}"):
        read_outputs([message(name, value)], LOCAL, SPECS)


def test_models_of_devices_must_be_those_that_are_here(model) -> None:  # type: ignore[no-untyped-def]
    repository = Repository.open(model.parent)
    check_local({"bright": digest(model)}, repository, device="door")
    with pytest.raises(
        InvalidInput, match=f"door runs model 'bright' with digest 0, and the one here has {digest(model)}"
    ):
        check_local({"bright": "0"}, repository, device="door")
    with pytest.raises(InvalidInput, match=r"door runs model 'dark' itself, .*there are: bright.*device's `local`"):
        check_local({"dark": "0"}, repository, device="door")
