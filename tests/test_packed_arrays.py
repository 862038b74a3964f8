"""Arrays as bytes: what comes out is what went in, and what is none is refused before memory is taken for it."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.codec import pack, unpack
from infilink.errors import InvalidInput

PACKED = pack(np.arange(18, dtype=np.float32).reshape(3, 6))


@pytest.mark.parametrize("kind", ["<f4", ">f4", "f2", "i8", "u1", "?", "c8", "<U3", "S2", "<U0"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 6), (2, 0, 3), (2, 3, 4)])
def test_arrays_of_each_kind_and_shape_come_out_as_they_went_in(kind: str, shape: tuple[int, ...]) -> None:
    value = np.arange(int(np.prod(shape))).reshape(shape).astype(kind)
    for each in (value, value.T, np.asfortranarray(value)):
        for _ in range(2):
            found = unpack(pack(each))
            assert (found.dtype, found.shape) == (each.dtype, each.shape)
            assert np.array_equal(found, each) and found.flags.writeable


def claims(header: str) -> bytes:
    """An array with a header that says so, and nothing behind it."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("kind", ["<f4", "|u1", "<U9"])
@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(-1,)", f"({10**30}, 0)", "(2147483647, 0, 2147483647, 2147483647)"]
)
@pytest.mark.parametrize("by_columns", [True, False])
def test_less_than_a_header_says_is_refused(kind: str, shape: str, by_columns: bool) -> None:
    with pytest.raises(InvalidInput, match="128 bytes are no readable array"):
        unpack(claims(f"{{'descr': '{kind}', 'fortran_order': {by_columns}, 'shape': {shape}, }}"))


def test_objects_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no readable array"):
        unpack(claims("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"))


@given(at=st.integers(0, len(PACKED) - 1), byte=st.integers(0, 255), stop=st.integers(0, len(PACKED)))
def test_damage_gives_an_array_or_is_refused(at: int, byte: int, stop: int) -> None:
    damaged = PACKED[:at] + bytes([byte]) + PACKED[at + 1 :]
    for data in (damaged, PACKED[:stop]):
        with suppress(InvalidInput):
            assert unpack(data).nbytes <= len(data)
