"""Zones: what is drawn, and what stands in them."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import parse_rule
from infilink.filters.rules.states import states
from infilink.filters.rules.zones import Zone, read_zones
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("person", "car"))
SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
DOOR = {"door": Zone("door", SQUARE)}


def standing_at(x: float, y: float, index: int = 0) -> list[float]:
    return [x - 0.1, y - 0.3, x + 0.1, y, 0.9, index]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.asarray(rows, np.float32).reshape(-1, 6)


def star(angles: list[float], radii: list[float]) -> tuple[tuple[float, float], ...]:
    """A polygon around the picture's middle, whose edges never cross."""
    turns = sorted(angles)
    return tuple((0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for a, r in zip(turns, radii, strict=True))


@pytest.mark.parametrize(
    ("x", "y", "within"),
    [(0.5, 0.5, True), (0.5, 0.8, False), (0.2, 0.5, False), (0.25, 0.5, True), (0.5, 0.75, True), (0.75, 0.25, True)],
)
def test_a_box_stands_where_the_middle_of_its_lower_edge_is_and_borders_count(x, y, within):
    zone = DOOR["door"]
    assert zone.standing(boxes(standing_at(x, y))).tolist() == [within]


def test_what_the_edge_of_the_picture_cuts_off_stands_at_it():
    floor = Zone("floor", ((0.0, 0.9), (1.0, 0.9), (1.0, 1.0), (0.0, 1.0)))
    assert floor.standing(boxes(standing_at(0.5, 1.2), standing_at(1.3, 0.95))).tolist() == [True, True]
    assert floor.standing(boxes()).shape == (0,)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0.0, 6.2), min_size=3, max_size=9, unique_by=lambda angle: round(angle, 1)),
    st.data(),
    st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
)
def test_a_point_is_in_a_polygon_as_opencv_says(angles, data, point):
    radii = data.draw(st.lists(st.floats(0.1, 0.49), min_size=len(angles), max_size=len(angles)))
    turns = sorted(angles)
    # Where the middle lies outside, edges may cross.
    assume(max(np.diff([*turns, turns[0] + 2 * math.pi])) < 3.0)
    points = star(angles, radii)
    contour = np.asarray(points, np.float32)
    distance = cv2.pointPolygonTest(contour, point, True)
    assume(abs(distance) > 1e-4)
    assert Zone("z", points).holds(np.asarray([point])).tolist() == [distance > 0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3), st.floats(0.0, 1.0))
def test_every_point_of_a_border_is_in(edge, share):
    start, end = np.asarray(SQUARE[edge]), np.asarray(SQUARE[(edge + 1) % 4])
    assert DOOR["door"].holds((start + share * (end - start))[None]).all()


def test_a_rule_counts_in_its_zone():
    outputs = [
        boxes(standing_at(0.5, 0.5, 1)),
        boxes(standing_at(0.1, 0.5)),
        boxes(standing_at(0.5, 0.5), standing_at(0, 0)),
    ]
    for text, needed in (
        ("count(person, zone=door) == 0", [2]),
        ("count(zone=Door) == 0", [0, 2]),
        ("count(person) == 0", [1, 2]),
        ("count(zone='door', car, person) <= 1", []),
    ):
        rule = parse_rule(text, zones=DOOR)
        rule.check(BOXES)
        assert [i for i, output in enumerate(outputs) if not rule.redundant(output, BOXES)] == needed
        assert parse_rule(rule.text, zones=DOOR) == rule
    found = states(parse_rule("count(zone=door) == 0 and count(person) == 0", zones=DOOR), outputs, BOXES)
    assert {what: there.tolist() for what, there in found.items()} == {
        "person in door": [False, False, True],
        "car in door": [True, False, False],
        "person": [False, True, True],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count(zone=dor) == 0", "one of the zones door should come at position 12"),
        ("count(zone=) == 0", "a zone's name"),
        ("count(zone=door, zone=door) == 0", "one zone, and no second one"),
        ("label in (a, zone=door)", "only `count` takes a zone"),
    ],
)
def test_a_wrong_zone_in_a_rule_is_told(text, says):
    with pytest.raises(InvalidInput) as error:
        parse_rule(text, zones=DOOR)
    assert says in str(error.value)


def test_a_rule_without_zones_says_how_they_are_drawn():
    with pytest.raises(InvalidInput, match="--zones FILE"):
        parse_rule("count(zone=door) == 0")


@pytest.mark.parametrize("kind", ["multilabel", "count"])
def test_only_boxes_stand_somewhere(kind):
    classes = ("person",) if kind == "multilabel" else ()
    with pytest.raises(InvalidInput, match="zone"):
        parse_rule("count(zone=door) == 0", zones=DOOR).check(OutputSpec(kind=kind, classes=classes))


def test_zones_are_read_from_a_file(tmp_path):
    path = tmp_path / "zones.toml"
    lines = ["[zones]", "door = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]"]
    path.write_text("\n".join([*lines, '"the way, left" = [[0, 0], [1, 0], [1, 1], [0, 0]]']))
    found = read_zones(path)
    assert found["door"] == DOOR["door"] and found["the way, left"].points == ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert parse_rule("count(zone='the way, left') == 0", zones=found).text == "count(zone='the way, left') == 0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("door = [[0, 0]]", "zones: Field required"),
        ("[zones]", "zones: draws none"),
        ("[zones]\ndoor = [[0.1, 0.2], [0.3, 0.2]]", "zones.door: 2 corners: it takes 3 to 200"),
        ("[zones]\ndoor = [[0.1, 0.2], [320, 0.2], [0.3, 0.9]]", "zones.door: corner [320.0, 0.2] lies outside"),
        ("[zones]\ndoor = [[0.1, nan], [0.2, 0.2], [0.3, 0.9]]", "zones.door: corner [0.1, nan] lies outside"),
        ("[zones]\ndoor = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]", "zones.door: its corners lie on a line"),
        ("[zones]\ndoor = [[0, 0], [1, 1], [1, 0], [0, 1]]", "zones.door: its edges cross"),
        ("[zones]\ndoor = [[0, 0, 1], [1, 1], [1, 0]]", "zones.door.0"),
        ("[zones]\n'' = [[0, 0], [1, 1], [1, 0]]", "a zone needs a name"),
        ("[zones]\ndoor = 3", "zones.door"),
        ("[zones", "can't be read as TOML"),
    ],
)
def test_a_wrong_file_of_zones_names_the_zone(tmp_path, text, says):
    path = tmp_path / "zones.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=str(path)) as error:
        read_zones(path)
    assert says in str(error.value)


def test_a_file_of_zones_that_is_not_there_says_what_is_in_one(tmp_path):
    with pytest.raises(InvalidInput, match=r"there is no such file .*draw zones"):
        read_zones(tmp_path / "none.toml")
