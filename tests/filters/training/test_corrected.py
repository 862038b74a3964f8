"""Answers that a person calls wrong, and what stands in their place."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.zones import Zone
from infilink.filters.training.corrected import CorrectedTrace, Wrong, without
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("person", "car"))
LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
PERSON_LEFT, PERSON_RIGHT, CAR = (
    [0.1, 0.1, 0.3, 0.9, 0.9, 0.0],
    [0.7, 0.1, 0.9, 0.9, 0.9, 0.0],
    [0.1, 0.1, 0.3, 0.9, 0.8, 1.0],
)


def wrong(what: str, zone: Zone | None = None) -> Wrong:
    return Wrong("eyes", what, 0, 9, zone)


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        (wrong("person"), [CAR]),
        (wrong("person in left", LEFT), [PERSON_RIGHT, CAR]),
        # Its zone is not drawn any more.
        (wrong("person in left"), [PERSON_LEFT, PERSON_RIGHT, CAR]),
        (wrong("count(person, car) <= 2"), []),
    ],
)
def test_of_boxes_only_those_go_that_are_wrong(given: Wrong, rest: list[list[float]]) -> None:
    output = np.asarray([PERSON_LEFT, PERSON_RIGHT, CAR], np.float32)
    found = without(output, BOXES, given)
    assert found.dtype == np.float32 and found.shape == (len(rest), 6)
    assert found.tolist() == np.asarray(rest, np.float32).reshape(-1, 6).tolist() and len(output) == 3


def test_a_label_that_is_wrong_leaves_the_next_one() -> None:
    spec = OutputSpec(kind="label", classes=("a", "b", "c"))
    found = without(np.asarray([0.6, 0.3, 0.1], np.float32), spec, wrong("a"))
    assert found.tolist() == pytest.approx([0.0, 0.75, 0.25])
    assert without(np.asarray([1.0, 0.0, 0.0], np.float32), spec, wrong("a")).tolist() == [0.0, 0.5, 0.5]
    with pytest.raises(InvalidInput, match="does not tell what is right"):
        without(found, spec, wrong("label in (b)"))


def test_several_labels_lose_the_wrong_one_and_a_count_is_zero() -> None:
    several = OutputSpec(kind="multilabel", classes=("a", "b"))
    assert without(np.asarray([0.9, 0.8], np.float32), several, wrong("b")).tolist() == pytest.approx([0.9, 0.0])
    assert without(np.asarray([3.0], np.float32), OutputSpec(kind="count"), wrong("value < 1")).tolist() == [0.0]


def test_a_part_of_a_corrected_trace_is_corrected_and_the_file_stays(trace_path) -> None:
    before = trace_path.read_bytes()
    none_there = Wrong("squares", "value < 1", 10, 59)
    with CorrectedTrace(trace_path, [none_there]) as trace, trace.part(50, 100) as part:
        assert [float(each[0]) for each in trace.outputs("squares")[10:60]] == [0.0] * 50
        assert trace.outputs("squares")[60:] == CorrectedTrace(trace_path).outputs("squares")[60:]
        assert [float(each[0]) for each in part.outputs("squares")[:10]] == [0.0] * 10
        assert [each.tolist() for each in part.outputs("scene")] == [
            each.tolist() for each in trace.outputs("scene")[50:100]
        ]
    assert trace_path.read_bytes() == before
