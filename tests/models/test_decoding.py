"""Every decoder on a tiny tensor whose answer is known beforehand."""

import numpy as np
import pytest
from infilink.errors import BadOutput
from infilink.models.candidates import sigmoid, softmax
from infilink.models.decoding import DecoderSpec, decode, suppress
from infilink.models.inputs.fed import Letterbox
from infilink.outputs import Array, OutputSpec
from pydantic import ValidationError

# An input of 32 x 16 pixels that the frame fills: shares are pixels / (32, 16).
WHOLE = Letterbox(0, 0, 32, 16, 32, 16)
OUTPUT = OutputSpec(kind="boxes", classes=("car", "person"))
STRIDES = (8, 16)
CELLS = 2 * 4 + 1 * 2


def run(
    name: str, *tensors: Array, letterbox: Letterbox = WHOLE, output: OutputSpec = OUTPUT, **options: object
) -> Array:
    raw = {f"out{i}": np.asarray(tensor, np.float32) for i, tensor in enumerate(tensors)}
    return decode(raw, DecoderSpec.model_validate({"name": name, **options}), output, letterbox)


def assert_boxes(found: Array, expected: list[list[float]]) -> None:
    assert found.dtype == np.float32
    assert found == pytest.approx(np.asarray(expected, np.float32).reshape(-1, 6), abs=1e-5)


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_boxes_are_taken_as_they_are_without_removing_overlaps() -> None:
    rows = [[0, 0, 0.5, 0.5, 0.9, 1], [0, 0, 0.5, 0.5, 0.8, 1], [0.5, 0.5, 1, 1, 0.1, 0]]
    assert_boxes(run("boxes", [rows]), rows[:2])
    assert_boxes(run("boxes", [[[8, 4, 16, 8, 0.9, 0]]], units="pixels"), [[0.25, 0.25, 0.5, 0.5, 0.9, 0]])


def yolox_rows() -> Array:
    """The cell (2, 1) of stride 8 holds a person around (20, 12), 16 x 8 pixels."""
    rows = np.zeros((CELLS, 7))
    rows[1 * 4 + 2] = [0.5, 0.5, np.log(2), 0, 0.9, 0.1, 0.8]
    return rows


def test_yolox_rows_are_relative_to_their_cell() -> None:
    expected = [12 / 32, 8 / 16, 28 / 32, 1.0, 0.72, 1]
    assert_boxes(run("yolox", yolox_rows()[None], strides=STRIDES), [expected])
    coarse = np.zeros((CELLS, 7))
    coarse[8 + 1] = [0, 0.5, 0, -np.log(2), 1, 0.5, 0]
    assert_boxes(run("yolox", coarse[None], strides=STRIDES), [[8 / 32, 4 / 16, 24 / 32, 12 / 16, 0.5, 0]])


def test_yolov5_rows_are_centre_and_size_in_pixels() -> None:
    rows = [[16, 8, 8, 4, 0.9, 0.2, 1.0], [16, 8, 8, 4, 0.3, 1.0, 0]]
    assert_boxes(run("yolov5", [rows]), [[12 / 32, 6 / 16, 20 / 32, 10 / 16, 0.9, 1]])


def test_yolov8_reads_columns_and_rows_alike() -> None:
    rows = np.asarray([[16, 8, 8, 4, 0.2, 0.9], [4, 4, 4, 4, 0.6, 0.1], [4, 4, 4, 4, 0.3, 0.3]])
    expected = [[12 / 32, 6 / 16, 20 / 32, 10 / 16, 0.9, 1], [2 / 32, 2 / 16, 6 / 32, 6 / 16, 0.6, 0]]
    assert_boxes(run("yolov8", rows.T[None]), expected)
    assert_boxes(run("yolov8", rows[None]), expected)


def test_scores_that_still_need_a_sigmoid_get_one() -> None:
    rows = [[[16, 8, 8, 4, logit(0.9), logit(0.01)]]]
    assert_boxes(run("yolov8", rows, logits=True), [[12 / 32, 6 / 16, 20 / 32, 10 / 16, 0.9, 0]])


def peak(bins: list[int], most: int) -> list[float]:
    """Four distributions over 0 .. most - 1, each with all its weight on one bin."""
    table = np.full((4, most), -50.0)
    table[range(4), bins] = 50.0
    return table.ravel().tolist()


def test_nanodet_distances_reach_from_the_middle_of_the_cell() -> None:
    scores, distances = np.zeros((CELLS, 2)), np.zeros((CELLS, 16))
    scores[1 * 4 + 2, 0], distances[1 * 4 + 2] = 0.8, peak([1, 0, 1, 0], 4)
    scores[8, 1], distances[8] = 0.7, peak([0, 0, 1, 0], 4)
    # The first, around (20, 12), is 16 pixels wide and 0 high: no box. Give it a height.
    distances[1 * 4 + 2] = peak([1, 1, 1, 0], 4)
    distances[8] = peak([0, 0, 1, 0], 4)
    distances[8, 4:8], distances[8, 12:16] = 0.0, 0.0  # flat: the mean of 0, 1, 2, 3 strides of 16 pixels
    expected = [[12 / 32, 4 / 16, 28 / 32, 12 / 16, 0.8, 0], [8 / 32, 0, 24 / 32, 1, 0.7, 1]]
    assert_boxes(run("nanodet", *np.split(scores, [8]), *np.split(distances, [8]), strides=STRIDES), expected)
    by_stride = [scores[:8], distances[:8], scores[8:], distances[8:]]
    assert_boxes(run("nanodet", *by_stride, strides=STRIDES), expected)
    assert_boxes(run("nanodet", np.concatenate([scores, distances], axis=1), strides=STRIDES), expected)


def test_nanodet_plus_measures_from_the_corner_of_the_cell() -> None:
    rows = np.zeros((CELLS, 6))
    rows[1 * 4 + 2] = [0.8, 0, 1, 1, 1, 1]
    assert_boxes(run("nanodet", rows, strides=STRIDES, cell=0), [[8 / 32, 0, 24 / 32, 1, 0.8, 0]])
    assert_boxes(run("nanodet", rows, strides=STRIDES), [[12 / 32, 4 / 16, 28 / 32, 1, 0.8, 0]])


def test_scrfd_has_two_boxes_a_cell_and_its_key_points_are_not_read() -> None:
    face = OutputSpec(kind="boxes", classes=("face",))
    scores, distances, points = np.zeros((2 * CELLS, 1)), np.zeros((2 * CELLS, 4)), np.full((2 * CELLS, 10), 9.0)
    second_of_cell = 2 * (1 * 4 + 2) + 1
    scores[second_of_cell], distances[second_of_cell] = 0.9, [1, 1, 1, 0.5]
    split = [part for table in (scores, distances, points) for part in np.split(table, [16])]
    assert_boxes(run("scrfd", *split, strides=STRIDES, output=face), [[8 / 32, 0, 24 / 32, 12 / 16, 0.9, 0]])


def test_fastestdet_rows_are_the_cells_of_one_map() -> None:
    table = np.zeros((7, 2, 4))
    table[:, 1, 2] = [1.0, np.arctanh(0.5), np.arctanh(0.5), logit(0.25), logit(0.5), 0.2, 0.8]
    expected = [16 / 32, 8 / 16, 24 / 32, 1.0, 0.8**0.4, 1]
    assert_boxes(run("fastestdet", table[None]), [expected])


def test_ultraface_leaves_the_background_out_whichever_output_comes_first() -> None:
    face = OutputSpec(kind="boxes", classes=("face",))
    scores, corners = [[[0.1, 0.9], [0.9, 0.1]]], [[[0.25, 0.25, 0.5, 0.75], [0, 0, 1, 1]]]
    expected = [[0.25, 0.25, 0.5, 0.75, 0.9, 0]]
    assert_boxes(run("ultraface", scores, corners, output=face), expected)
    assert_boxes(run("ultraface", corners, scores, output=face), expected)
    pixels = np.asarray(corners) * [32, 16, 32, 16]
    assert_boxes(run("ultraface", scores, pixels, output=face, units="pixels"), expected)


def rows_of(*boxes: tuple[float, float, float, float, float, int]) -> Array:
    """YOLOv5 rows of boxes x1, y1, x2, y2, score, class."""
    scores = [[float(kind == i) for i in range(2)] for *_, kind in boxes]
    centres = [[(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, score] for x1, y1, x2, y2, score, _ in boxes]
    return np.asarray([[*centre, *score] for centre, score in zip(centres, scores, strict=True)])


def test_only_the_classes_that_count_are_kept() -> None:
    rows = rows_of((0, 0, 8, 8, 0.9, 0), (8, 8, 16, 16, 0.8, 1))
    assert run("yolov5", rows, keep=["person"])[:, 5].tolist() == [1]
    assert run("yolov5", rows)[:, 5].tolist() == [0, 1]


def test_the_weaker_of_two_that_overlap_goes_but_only_within_a_class() -> None:
    rows = rows_of((0, 0, 8, 8, 0.7, 0), (0, 0, 8, 7, 0.9, 0), (0, 0, 8, 8, 0.6, 1), (16, 0, 24, 8, 0.5, 0))
    assert run("yolov5", rows)[:, 4].tolist() == pytest.approx([0.9, 0.6, 0.5])
    assert run("yolov5", rows, nms_iou=0.9)[:, 4].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.5])


def test_at_most_so_many_boxes_stay_and_the_best_first() -> None:
    rows = rows_of(*[(4 * i, 0, 4 * i + 4, 4, 0.5 + 0.05 * i, 0) for i in range(8)])
    assert run("yolov5", rows, limit=3)[:, 4].tolist() == pytest.approx([0.85, 0.8, 0.75])
    assert len(suppress(np.zeros((0, 6), np.float32), 0.5, 10)) == 0


def test_the_frames_place_in_a_letterbox_is_taken_out_of_the_boxes() -> None:
    # A frame of 16 x 16 in the middle of 32 x 16; the second box lies in the border alone.
    letterbox = Letterbox(8, 0, 16, 16, 32, 16)
    rows = rows_of((8, 0, 16, 8, 0.9, 0), (0, 0, 8, 16, 0.8, 1))
    assert_boxes(run("yolov5", rows, letterbox=letterbox), [[0, 0, 0.5, 0.5, 0.9, 0]])


@pytest.mark.parametrize(
    ("name", "tensors", "named"),
    [
        ("boxes", [np.zeros((1, 3, 5))], "5 numbers, not 6"),
        ("yolox", [np.zeros((1, CELLS, 6))], "6 numbers, not 7 .5 . 2 classes."),
        ("yolox", [np.zeros((1, CELLS + 1, 7))], "11 rows, but strides .8, 16. make 10 cells of 32x16"),
        ("yolov5", [np.zeros((1, 3, 85))], "85 numbers, not 7"),
        ("yolov8", [np.zeros((1, 5, 30))], "30 numbers, not 6 .4 . 2 classes."),
        ("nanodet", [np.zeros((CELLS, 2)), np.zeros((CELLS, 7))], "no map of 4 distances"),
        ("nanodet", [np.zeros((CELLS, 3)), np.zeros((CELLS, 8))], "3 numbers, not 2"),
        ("scrfd", [np.zeros((CELLS, 1)), np.zeros((CELLS, 4))], "1 numbers, not 2"),
        ("fastestdet", [np.zeros((1, 6, 2, 4))], "6 numbers, not 7"),
        ("ultraface", [np.zeros((1, 5, 2)), np.zeros((1, 5, 4))], "2 numbers, not 3"),
        ("ultraface", [np.zeros((1, 5, 3))], "expected 2, got 1"),
    ],
)
def test_a_tensor_of_another_width_is_an_error_that_says_both(name: str, tensors: list[Array], named: str) -> None:
    strides = (8,) if name in ("nanodet", "scrfd") else STRIDES
    with pytest.raises(ValueError, match=named):
        run(name, *tensors, strides=strides)


def test_values_are_read_from_the_named_output_or_the_last() -> None:
    scalar = OutputSpec(kind="scalar")
    assert run("raw", [[1.0]], [[2.0]], output=scalar).tolist() == [2.0]
    raw = {"first": np.asarray([[1.0]]), "last": np.asarray([[2.0]])}
    assert decode(raw, DecoderSpec(output="first"), scalar, WHOLE).tolist() == [1.0]
    with pytest.raises(ValueError, match="no output 'other'"):
        decode(raw, DecoderSpec(output="other"), scalar, WHOLE)


def test_sigmoid_and_softmax_of_whatever_size_do_not_overflow() -> None:
    label = OutputSpec(kind="label", classes=("a", "b"))
    assert run("softmax", [[[0.0, np.log(3)]]], output=label) == pytest.approx([0.25, 0.75])
    assert run("sigmoid", [[0.0, 1e9]], output=label).tolist() == [0.5, 1.0]
    assert sigmoid(np.asarray([-1e9, logit(0.2)])) == pytest.approx([0, 0.2])
    assert softmax(np.asarray([[1e4, 1e4]])).tolist() == [[0.5, 0.5]]


def test_a_mask_keeps_the_strongest_of_each_block_and_leaves_the_border_out() -> None:
    mask = OutputSpec(kind="mask")
    plane = np.zeros((1, 1, 16, 32))
    plane[0, 0, 5, 9], plane[0, 0, 0, 0] = 0.9, 0.7
    found = run("raw", plane, output=mask, stride=4)
    assert found.shape == (4, 8)
    assert (found[1, 2], found[0, 0], found.sum()) == pytest.approx((0.9, 0.7, 1.6))
    in_frame = run("raw", plane, output=mask, letterbox=Letterbox(8, 0, 16, 16, 32, 16))
    assert in_frame.shape == (16, 16)
    assert in_frame[5, 1] == pytest.approx(0.9)
    assert in_frame.sum() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "yolov99"}, "no decoder is called 'yolov99'; there are raw, sigmoid, softmax, boxes, yolox"),
        ({"strides": (8, 0)}, "must be 1 or more each"),
        ({"strides": ()}, "strides"),
        ({"score": 1.5}, "score"),
        ({"nms_iou": 0}, "nms_iou"),
        ({"units": "metres"}, "'shares' or 'pixels'"),
        ({"threshold": 0.5}, "threshold"),
    ],
)
def test_a_wrong_decoder_spec_names_the_key_and_what_is_allowed(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        DecoderSpec.model_validate(options)


LISTS = {"outputs": ("out0", "out1", "out2")}


def test_lists_count_from_their_first_class_and_read_as_many_as_count() -> None:
    boxes, scores, classes = [[[0, 0, 0.5, 0.5], [0.5, 0.25, 1, 0.75], [0, 0, 1, 1]]], [[0.9, 0.8, 0.7]], [[2, 1, 1]]
    expected = [[0, 0, 0.5, 0.5, 0.9, 1], [0.5, 0.25, 1, 0.75, 0.8, 0], [0, 0, 1, 1, 0.7, 0]]
    assert_boxes(run("lists", boxes, scores, classes, first_class=1, **LISTS), expected)
    counted = {"outputs": ("out0", "out1", "out2", "out3")}
    assert_boxes(run("lists", boxes, scores, classes, [2], first_class=1, **counted), expected[:2])
    turned = run("lists", boxes, scores, classes, first_class=1, columns=("y1", "x1", "y2", "x2"), **LISTS)
    assert turned[1, :4].tolist() == [0.25, 0.5, 0.75, 1]


def test_queries_of_detr_have_a_class_for_nothing_or_scores_by_themselves() -> None:
    logits, boxes = [[[0, 0, 9], [5, 0, 0], [0, 4, 0]]], [[[0.5, 0.5, 0.5, 0.5]] * 3]
    found = run("detr", logits, boxes, logits=True)
    assert found[:, 5].tolist() == [0, 1] and found[0] == pytest.approx([0.25, 0.25, 0.75, 0.75, 0.9867, 0], abs=1e-4)
    alone = run("detr", [[[-3, 2], [0.1, -9]]], boxes[0][:2], logits=True)
    assert alone[:, 4] == pytest.approx([0.8808, 0.525], abs=1e-4)
    first = run("detr", logits, boxes, logits=True, background="first")
    assert first[:, 5].tolist() == [1, 0]


def test_numbers_after_the_scores_are_not_read_where_there_are_extra_ones() -> None:
    rows = np.asarray([[16, 8, 8, 4, 0.2, 0.9, 7, 7, 7]])
    expected = [[12 / 32, 6 / 16, 20 / 32, 10 / 16, 0.9, 1]]
    assert_boxes(run("yolov8", rows[None], extra=3), expected)
    assert_boxes(run("yolov8", rows.T[None], extra=3), expected)
    with pytest.raises(ValueError, match=r"9 numbers, not 6 \(4 \+ 2 classes\)"):
        run("yolov8", rows[None])


@pytest.mark.parametrize(
    ("rows", "options", "named"),
    [
        ([[8, 4, 16, 8, 0.9, 0]], {}, r"far outside the picture, such as \[8, 4, 16, 8\], .*units = .pixels.`\?"),
        ([[0.1, 0.2, 0.5, 0.6, 0.9, 0]], {"units": "pixels"}, r"within one pixel, .*units = .shares.`\?"),
        ([[0.7, 0.5, 0.2, 0.2, 0.9, 0]], {}, r"1 of 1 boxes end before they begin .*`decoder.columns`"),
        ([[90, 4, 160, 8, 0.9, 0]], {"units": "pixels"}, r"far outside the picture.*pixels of 32x16"),
        ([[0.1, 0.1, 0.2, 0.2, 4.5, 0]], {}, "scores go up to 4.5, not to 1: they need `decoder.logits = true`"),
    ],
    ids=["pixels for shares", "shares for pixels", "sizes for corners", "another size", "logits"],
)
def test_boxes_in_another_unit_are_noticed_and_do_not_vanish(
    rows: list[list[float]], options: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        run("boxes", [rows], **options)
    few = np.asarray(rows)[:, :4]
    with pytest.raises(ValueError, match=named):
        run("ultraface", [[[0.1, rows[0][4], 0]]], few[None], **options)


def test_yolov5_and_8_read_shares_where_they_are_told_and_notice_where_not() -> None:
    row = [0.5, 0.5, 0.25, 0.25, 0.2, 0.9]
    assert_boxes(run("yolov8", [[row]], units="shares"), [[0.375, 0.375, 0.625, 0.625, 0.9, 1]])
    with pytest.raises(ValueError, match="within one pixel"):
        run("yolov8", [[row]])
    with pytest.raises(ValueError, match="within one pixel"):
        run("yolov5", [[[*row[:4], 1.0, *row[4:]]]])


def test_one_wild_box_among_others_is_cut_at_the_border() -> None:
    rows = [[0.1, 0.1, 40, 50, 0.9, 0], [0.1, 0.1, 0.4, 0.5, 0.8, 1]]
    assert run("boxes", [rows])[:, 2:4].tolist() == [[1, 1], [pytest.approx(0.4), 0.5]]


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_corner_without_a_place_is_no_answer_not_the_border(number: float) -> None:
    with pytest.raises(BadOutput, match="corners hold NaN or infinity"):
        run("boxes", [[[0.1, 0.1, 0.4, 0.5, 0.9, 0], [0.1, number, 0.4, 0.5, 0.8, 0]]])


@pytest.mark.parametrize("name", ["boxes", "yolov8", "detr", "lists"])
def test_scores_that_are_nan_are_no_answer_not_an_empty_one(name: str) -> None:
    tensors = {
        "boxes": ([[[0, 0, 1, 1, np.nan, 0]]],),
        "yolov8": ([[[8, 8, 4, 4, np.nan, 0]]],),
        "detr": ([[[np.nan, 0]]], [[[0.5, 0.5, 0.1, 0.1]]]),
        "lists": ([[[0, 0, 1, 1]]], [[np.nan]], [[0]]),
    }
    with pytest.raises(BadOutput, match="scores hold NaN"):
        run(name, *tensors[name], **(LISTS if name == "lists" else {}))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "lists"}, "must name boxes, scores, classes and, if there is one, how many count"),
        ({"name": "detr", "outputs": ("a",)}, "must name scores, boxes"),
        ({"name": "boxes", "outputs": ("a", "b")}, "`outputs` of decoder boxes"),
        ({"name": "boxes", "columns": ("x1", "y1", "x2", "y2")}, "must hold x1, y1, x2, y2, score, class or cx"),
        ({"name": "lists", **LISTS, "columns": ("x1", "y1", "w")}, "must hold x1, y1, x2, y2 or cx, cy, w, h or"),
        ({"name": "detr", "columns": ("-", "cx", "cy", "w", "h")}, "has four names"),
        ({"name": "boxes", "columns": ("left",)}, "'x1', 'y1'"),
    ],
)
def test_settings_of_tables_that_do_not_fit_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        DecoderSpec.model_validate(options)
