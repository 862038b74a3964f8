"""Pictures that are kept: what of an input is one, and how much memory it takes."""

import numpy as np
import pytest
from infilink.device.sinks.picture import KeptPicture, picture_of

FRAME = np.full((4, 6, 3), 7, np.uint8)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (FRAME, (4, 6, 3)),
        (np.stack([FRAME * 0, FRAME]), (4, 6, 3)),
        (np.zeros((0, 0, 3), np.uint8), None),
        (np.zeros(0, np.uint8), None),
        (np.zeros((4, 6, 3), np.float32), None),
        (np.frombuffer(b"text", np.uint8), None),
        (np.zeros(8000, np.int16), None),
    ],
)
def test_the_picture_in_an_input_is_found(value, shape):
    found = picture_of(value)
    assert (None if found is None else found.shape) == shape
    if shape is not None:
        assert found.max() == 7


def test_of_an_input_of_several_parts_the_picture_is_found():
    value = np.zeros((), np.dtype([("sound", np.int16, (10,)), ("image", np.uint8, (4, 6, 3))]))
    assert picture_of(value).shape == (4, 6, 3)


def test_a_squeezed_picture_takes_less_and_can_be_looked_at():
    kept = KeptPicture(np.full((100, 100, 3), 50, np.uint8))
    assert kept.size_bytes == 30_000 and not kept.is_squeezed
    freed = kept.squeeze()
    assert kept.is_squeezed and kept.size_bytes == 30_000 - freed == len(kept.jpeg())
    assert (kept.width, kept.height) == (100, 100) and abs(int(kept.pixels().mean()) - 50) < 3
    assert kept.squeeze() == 0
