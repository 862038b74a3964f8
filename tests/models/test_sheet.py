"""Pictures of what models say: boxes where they are, a colour a class, and no text over another or under a line."""

from typing import Any

import cv2
import numpy as np
import pytest
from infilink.models.draw import COLORS, color_of, draw_names, draw_outlines
from infilink.models.sheet import Seen, draw_sheet
from infilink.models.spec import ModelSpec, parse_spec
from infilink.outputs import Array


def spec(output: dict[str, Any], decoder: str = "raw") -> ModelSpec:
    data = {"name": "net", "input": {"size": [64, 64]}, "output": output, "decoder": {"name": decoder}}
    return parse_spec(data, where="here")


BOXES = spec({"kind": "boxes", "classes": ["car", "truck"]}, "boxes")
FRAME = np.full((360, 640, 3), 90, np.uint8)


def boxes(*rows: list[float]) -> Array:
    return np.asarray(rows, np.float32).reshape(-1, 6)


def pixels(picture: Array, color: tuple[int, int, int]) -> Array:
    """Where a colour is: (n, 2) as y, x."""
    return np.argwhere((picture == color).all(axis=2))


def test_a_box_is_drawn_where_it_is_in_the_colour_of_its_class() -> None:
    sheet = draw_sheet(BOXES, [Seen(1.5, FRAME, boxes([0.25, 0.5, 0.5, 0.75, 0.9, 1]))])
    frame = sheet[52:412, 8:648]  # below two lines of text
    found = pixels(frame, COLORS[0])
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0)
    assert (left, right, bottom) == pytest.approx((160, 320, 270), abs=2)
    assert 150 < top < 180, "its name stands on it"


def test_classes_have_colours_of_their_own_the_most_frequent_first() -> None:
    value = boxes([0.1, 0.5, 0.2, 0.75, 0.9, 1], [0.3, 0.5, 0.4, 0.75, 0.8, 1], [0.7, 0.5, 0.9, 0.75, 0.8, 0])
    sheet = draw_sheet(BOXES, [Seen(0, FRAME, value)])
    assert pixels(sheet, color_of(0))[:, 1].max() < 320 < pixels(sheet, color_of(1))[:, 1].min()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("size", [(360, 640), (128, 160), (1080, 1920), (1200, 100), (1, 1)])
def test_frames_of_any_number_and_size_have_a_place_each(count: int, size: tuple[int, int]) -> None:
    frame = np.full((*size, 3), 200, np.uint8)
    sheet = draw_sheet(BOXES, [Seen(float(i), frame, boxes()) for i in range(count)])
    assert sheet.dtype == np.uint8 and sheet.shape[1] in (656, 1304)
    lit = cv2.connectedComponents((sheet == 200).all(axis=2).astype(np.uint8), connectivity=4)[1]
    areas = np.bincount(lit.reshape(-1))[1:]
    assert (areas == areas.max()).sum() == count


def test_no_name_lies_on_another_or_under_a_line() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 0.8, (60, 2))
    rows = np.concatenate([corners, corners + 0.15, random.uniform(0.4, 1, (60, 1)), random.integers(0, 2, (60, 1))], 1)
    first, second = rows[rows[:, 5] == 0].astype(np.float32), rows[rows[:, 5] == 1].astype(np.float32)
    picture, taken = FRAME.copy(), []
    for part, color in ((first, COLORS[0]), (second, COLORS[1])):
        draw_outlines(picture, part, color)
    for part, color in ((first, COLORS[0]), (second, COLORS[1])):
        draw_names(picture, part, BOXES.output.classes, color, taken, scores=True)
    assert len(taken) > 20
    covered = np.zeros(FRAME.shape[:2], int)
    for left, top, right, bottom in taken:
        assert 0 <= left < right <= 640 and 0 <= top < bottom <= 360
        covered[top:bottom, left:right] += 1
        ground = picture[top:bottom, left:right].reshape(-1, 3)
        shares = [float((ground == color).all(axis=1).mean()) for color in COLORS[:2]]
        assert min(shares) == 0, "the other colour's lines do not run through it"
    assert covered.max() == 1


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ({"kind": "label", "classes": 3}, np.asarray([0.1, 0.8, 0.1], np.float32)),
        ({"kind": "vector", "length": 4}, np.zeros(4, np.float32)),
        ({"kind": "tokens", "length": 4}, np.zeros(0, np.int64)),
        ({"kind": "mask"}, np.zeros((0, 0), np.float32)),
    ],
)
def test_what_is_no_box_stands_below_in_words(output: dict[str, Any], value: Array) -> None:
    sheet, failed = (draw_sheet(spec(output), [Seen(2, FRAME, each, "bad")]) for each in (value, None))
    assert np.array_equal(sheet[:-40], failed[:-40]) and not np.array_equal(sheet[-40:], failed[-40:])


def test_a_map_tints_the_picture_where_it_is_strong() -> None:
    mask = np.zeros((4, 4), np.float32)
    mask[:2] = 1
    sheet = draw_sheet(spec({"kind": "mask"}), [Seen(0, FRAME, mask)])
    below, above = sheet[-120, 320], sheet[100, 320]
    assert below.tolist() == [90, 90, 90] and above[2] > 180 and above[0] < 40
