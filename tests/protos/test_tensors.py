"""Tensors survive the protocol's forms, and what is none is refused by the name of what is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from infilink.errors import InvalidInput
from infilink.outputs import Array
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.tensors import (
    DTYPES,
    datatype_of,
    from_list,
    read_contents,
    read_raw,
    to_list,
    write_contents,
    write_raw,
)

NUMBERS = [datatype for datatype in DTYPES if datatype != "BYTES"]
shapes = of_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def tensors(draw: st.DrawFn) -> Array:
    datatype = draw(st.sampled_from([*DTYPES]))
    if datatype == "BYTES":
        values = draw(st.lists(st.binary(max_size=9), max_size=6))
        value = np.empty(len(values), object)
        value[:] = values
        return value
    return draw(of_numpy.arrays(np.dtype(DTYPES[datatype]), shapes))


def same(a: Array, b: Array) -> bool:
    return (a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()) or a.tobytes() == b.tobytes()


@given(tensors())
def test_raw_bytes_are_the_tensor(value: Array) -> None:
    content = write_raw(value)
    assert same(read_raw("x", datatype_of(value), value.shape, content), value)


@given(tensors())
def test_elements_are_the_tensor(value: Array) -> None:
    datatype = datatype_of(value)
    if datatype == "FP16":
        return
    written = pb.ModelInferResponse.InferOutputTensor()
    write_contents(written, value)
    sent = pb.ModelInferRequest.InferInputTensor(
        name="x", datatype=datatype, shape=value.shape, contents=written.contents
    )
    assert same(read_contents(sent), value)


@given(tensors())
def test_json_has_the_elements_flat_or_nested(value: Array) -> None:
    if value.dtype == object or (value.dtype.kind == "f" and not np.isfinite(value).all()):
        return
    for data in (to_list(value), value.tolist() if value.ndim else [value.tolist()]):
        assert same(from_list("x", datatype_of(value), value.shape, data), value)


def test_numbers_are_not_copied() -> None:
    content = np.arange(6, dtype=np.float32).tobytes()
    value = read_raw("x", "FP32", (2, 3), content)
    assert not value.flags.owndata and not value.flags.writeable


@pytest.mark.parametrize(
    ("datatype", "shape", "content", "text"),
    [
        ("FP31", (1,), b"1234", "`datatype` 'FP31' is none of BOOL"),
        ("BF16", (1,), b"12", "`datatype` 'BF16' is none of"),
        ("FP32", (2,), b"1234", "4 bytes are no FP32 of shape [2], which takes 8"),
        ("FP32", (-1,), b"1234", "none below 0"),
        ("FP32", (1,) * 40, b"1234", "at most 32 axes"),
        ("FP32", (2**62, 2**62), b"1234", "4 bytes are no FP32"),
        ("FP32", (0, 2**62, 2**62), b"", "no array can have the shape"),
        ("BYTES", (1,), b"\x05\0\0\0ab", "end within element 0"),
        ("BYTES", (1,), b"\x05\0", "end within element 0"),
        ("BYTES", (2,), b"\x01\0\0\0a", "hold 1 elements, and its `shape` 2"),
        ("BYTES", (1,), b"\x01\0\0\0a\0\0\0\0", "hold more elements"),
        ("BYTES", (2**40,), b"", "elements of BYTES are more than"),
    ],
)
def test_bytes_that_are_no_such_tensor_are_refused(datatype: str, shape: tuple[int, ...], content: bytes, text: str):
    with pytest.raises(InvalidInput) as raised:
        read_raw("x", datatype, shape, content)
    assert text in str(raised.value) and "'x'" in str(raised.value)


@pytest.mark.parametrize(
    ("datatype", "contents", "text"),
    [
        ("FP16", {"fp32_contents": [1.0]}, "FP16 travels in `raw_input_contents` alone"),
        ("FP32", {"fp64_contents": [1.0]}, "`contents.fp64_contents`; FP32 of shape [1] takes 1 in `fp32_contents`"),
        ("FP32", {}, "0 elements in `contents.fp32_contents`"),
        ("FP32", {"fp32_contents": [1.0, 2.0]}, "2 elements in `contents.fp32_contents`"),
        ("UINT8", {"uint_contents": [256]}, "an element is no UINT8"),
        ("INT8", {"int_contents": [-129]}, "an element is no INT8"),
    ],
)
def test_elements_that_do_not_fit_are_refused(datatype: str, contents: dict, text: str) -> None:
    sent = pb.ModelInferRequest.InferInputTensor(
        name="x", datatype=datatype, shape=[1], contents=pb.InferTensorContents(**contents)
    )
    with pytest.raises(InvalidInput) as raised:
        read_contents(sent)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("datatype", "data", "text"),
    [
        ("FP32", ["1"], "must be numbers"),
        ("FP32", [None], "must be numbers"),
        ("INT8", [1.5], "must be numbers"),
        ("INT8", [True], "must be numbers"),
        ("INT8", [300], "an element is no INT8"),
        ("BOOL", [1], "must be true or false"),
        ("BYTES", [1], "must be strings"),
        ("FP32", [[1.0], [2.0]], "more elements in `data`"),
        ("FP32", [], "0 elements in `data`"),
        ("FP32", [[[1.0]], [2.0]], "more elements in `data`"),
        ("FP32", [[]], "0 elements in `data`"),
        ("FP32", [[[1.0], 2.0]], "more elements in `data`"),
        ("FP32", [{}], "must be numbers"),
    ],
)
def test_json_that_is_no_such_tensor_is_refused(datatype: str, data: list, text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        from_list("x", datatype, (1,), data)
    assert text in str(raised.value)
