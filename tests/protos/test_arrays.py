"""Arrays on the wire: what is written is read, and what is wrong is refused with the field's name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2
from infilink.protos.arrays import DTYPES, read_array, write_array

VALUES = st.sampled_from([f"{order}{kind}" for order in "<>" for kind in ("f4", "i8")]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


def written(value) -> edge_pb2.Output:
    output = edge_pb2.Output(model="m")
    write_array(output, value)
    return edge_pb2.Output.FromString(output.SerializeToString())


@given(VALUES, st.booleans())
def test_an_array_survives_the_wire_whatever_its_layout(value, transposed):
    value = value.T if transposed else value
    output = written(value)
    found = read_array(output)
    assert found.shape == value.shape and found.dtype.name == value.dtype.name == output.dtype
    np.testing.assert_array_equal(found, value)
    assert len(output.value) == value.nbytes


@given(st.sampled_from([*DTYPES, "float64", "object", ""]), st.lists(st.integers(0, 2**32 - 1)), st.binary())
def test_any_message_is_read_as_the_array_it_says_or_refused(dtype, shape, value):
    output = edge_pb2.Output(model="m", dtype=dtype, shape=shape, value=value)
    try:
        found = read_array(output)
    except InvalidInput as error:
        found, told = None, str(error)
    if found is None:
        assert told.startswith("m: `")
    else:
        assert found.shape == tuple(shape) and found.tobytes() == value


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dtype": "float64"}, "`dtype`: 'float64' is none of float32, int64"),
        ({"dtype": "int64"}, r"`value`: 8 bytes are no int64 of shape \(2,\)"),
        ({"shape": [3]}, r"`value`: 8 bytes are no float32 of shape \(3,\)"),
        ({"shape": [2**32 - 1, 2**32 - 1]}, "`value`: 8 bytes are no float32 of shape"),
        ({"value": b"1234567"}, "`value`: 7 bytes are no float32"),
        ({"shape": [0, 2**32 - 1, 2**32 - 1], "value": b""}, "`shape`: no array can have the shape"),
        ({"shape": [1] * 65, "value": b"1234"}, "`shape`: no array can have the shape"),
    ],
    ids=["unknown type", "other type", "longer", "huge", "cut off", "empty and huge", "too many axes"],
)
def test_what_does_not_fit_names_the_field(fields, told):
    output = written(np.zeros(2, np.float32))
    shape = fields.pop("shape", None)
    if shape is not None:
        output.shape[:] = shape
    for name, value in fields.items():
        setattr(output, name, value)
    with pytest.raises(InvalidInput, match=f"^m: {told}"):
        read_array(output)


def test_a_type_that_does_not_travel_is_refused_before_it_does():
    output = edge_pb2.Output(model="m")
    with pytest.raises(InvalidInput, match="m: `dtype`: 'float64' is none of float32, int64"):
        write_array(output, np.zeros(2))
    assert output == edge_pb2.Output(model="m")
