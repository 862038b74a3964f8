import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.inputs.picture import PictureInput, preprocess
from infilink.outputs import Array
from pydantic import ValidationError

BLUE, GREEN, RED = 10, 100, 200
FRAME = np.full((20, 40, 3), (BLUE, GREEN, RED), np.uint8)


def spec(**options: object) -> PictureInput:
    return PictureInput.model_validate({"size": (8, 8), "std": (1.0,), **options})


@pytest.mark.parametrize(
    ("color", "pixel"),
    [("BGR", [BLUE, GREEN, RED]), ("RGB", [RED, GREEN, BLUE]), ("GRAY", [0.299 * RED + 0.587 * GREEN + 0.114 * BLUE])],
)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_colours_come_in_the_order_and_the_layout_that_the_spec_says(
    color: str, pixel: list[float], layout: str
) -> None:
    made = spec(color=color, layout=layout, size=(8, 6))
    tensor, _ = preprocess(FRAME, made)
    assert tensor.shape == made.tensor_shape
    assert tensor.dtype == np.float32
    assert tensor.shape == ((1, len(pixel), 6, 8) if layout == "NCHW" else (1, 6, 8, len(pixel)))
    assert (tensor[0, :, 3, 4] if layout == "NCHW" else tensor[0, 3, 4]) == pytest.approx(pixel, abs=1)


def test_mean_and_std_are_per_channel_in_the_specs_order_or_one_for_all() -> None:
    each, _ = preprocess(FRAME, spec(color="RGB", mean=(100.0, 50.0, 0.0), std=(2.0, 50.0, 10.0)))
    assert each[0, :, 0, 0] == pytest.approx([50, 1, 1])
    one, _ = preprocess(FRAME, spec(color="BGR", mean=(10.0,), std=(10.0,)))
    assert one[0, :, 0, 0] == pytest.approx([0, 9, 19])
    plain, _ = preprocess(FRAME, PictureInput(size=(8, 8)))
    assert plain[0, :, 0, 0] == pytest.approx([RED / 255, GREEN / 255, BLUE / 255])


def test_a_letterbox_fills_what_the_frame_leaves() -> None:
    corner, _ = preprocess(FRAME, spec(resize="letterbox", color="BGR", fill=7))
    assert (corner[0, 0, :4] == BLUE).all()
    assert (corner[0, :, 4:] == 7).all()
    middle, _ = preprocess(FRAME, spec(resize="letterbox_center", color="BGR", fill=7))
    assert (middle[0, 0, 2:6] == BLUE).all()
    assert (middle[0, :, [0, 1, 6, 7]] == 7).all()


def test_a_stretched_frame_fills_the_whole_input() -> None:
    tensor, letterbox = preprocess(FRAME, spec(color="BGR"))
    assert (tensor[0, 0] == BLUE).all()
    assert letterbox.to_frame(np.asarray([[2.0, 4, 6, 8]])).tolist() == [[0.25, 0.5, 0.75, 1.0]]


def test_the_frame_is_left_as_it_was() -> None:
    frame = FRAME.copy()
    preprocess(frame, PictureInput(size=(40, 20), mean=(5.0,)))
    assert (frame == FRAME).all()


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (np.zeros((0, 8, 3), np.uint8), r"not uint8 of \(0, 8, 3\)"),
        (np.zeros((8, 8, 3), np.float32), r"not float32 of \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), r"not uint8 of \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"not uint8 of \(8, 8, 4\)"),
    ],
)
def test_what_is_no_frame_is_refused(frame: Array, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        preprocess(frame, PictureInput(size=(8, 8)))


@settings(max_examples=60, deadline=None)
@given(
    frame=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(8, 64), st.integers(8, 64)),
    resize=st.sampled_from(["stretch", "letterbox", "letterbox_center"]),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_a_box_finds_its_way_back_from_the_input_to_the_frame(
    frame: tuple[int, int], size: tuple[int, int], resize: str, shares: tuple[float, ...]
) -> None:
    tensor, letterbox = preprocess(np.zeros((*frame, 3), np.uint8), spec(size=size, resize=resize))
    assert tensor.shape == (1, 3, size[1], size[0])
    assert (letterbox.input_width, letterbox.input_height) == size
    across = np.asarray([letterbox.width, letterbox.height] * 2)
    in_input = np.asarray(shares) * across + [letterbox.offset_x, letterbox.offset_y] * 2
    assert letterbox.to_frame(in_input[None])[0] == pytest.approx(shares, abs=1e-5)
    assert letterbox.offset_x + letterbox.width < size[0] + 1
    assert letterbox.offset_y + letterbox.height < size[1] + 1


def test_boxes_are_cut_at_the_frames_borders() -> None:
    _, letterbox = preprocess(FRAME, spec(resize="letterbox_center"))
    assert letterbox.to_frame(np.asarray([[-5.0, 0, 99, 8]])).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mean": (1.0, 2.0)}, "`mean` must have 1 or 3 numbers, not 2"),
        ({"color": "GRAY", "std": (1.0, 1.0, 1.0)}, "`std` must have 1 number, not 3"),
        ({"std": (0.0,)}, "`std` must be above 0, not 0: it divides each pixel"),
        ({"std": (-1.0,)}, "`std` must be above 0, not -1"),
        ({"std": (float("inf"),)}, "must be finite"),
        ({"mean": (float("nan"),)}, "must be finite"),
        (
            {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
            r"times 255, mean = \[123.675, 116.28, 103.53\], std = \[58.395, 57.12, 57.375\]",
        ),
        ({"std": (1 / 255,)}, r"to divide by 255 alone, mean = \[0\], std = \[255\]"),
        ({"mean": (0.5,), "std": (255.0,)}, r"times 255, mean = \[127.5\]"),
        ({"std": (0.5, 58.0, 57.0)}, "of 0 to 1"),
        ({"mean": (31537.0,), "std": (14890.0,)}, "were they times 255 already"),
        ({"std": (65025.0,)}, "leave nothing of pixels"),
        ({"size": (0, 8)}, "`size` .* from 1 to 8192"),
        ({"size": (8, 9000)}, "`size` .* from 1 to 8192"),
        ({"color": "HSV"}, "'RGB', 'BGR' or 'GRAY'"),
        ({"crop": True}, "crop"),
    ],
)
def test_a_wrong_spec_names_the_key_and_what_is_allowed(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        spec(**options)
