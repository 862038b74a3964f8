"""Rules from their text: how they judge outputs, and what is refused."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import Unchanged, parse_rule
from infilink.filters.training.losses import PairAgreement
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("car", "traffic light", "person"))
LABEL = OutputSpec(kind="label", classes=("day", "night"))
COUNT = OutputSpec(kind="count")


def boxes(*classes: int) -> np.ndarray:
    return np.asarray([[0, 0, 1, 1, 0.9, index] for index in classes], np.float32).reshape(-1, 6)


@pytest.mark.parametrize(
    ("text", "output", "spec", "redundant"),
    [
        ("count(car) == 0", boxes(1, 2), BOXES, True),
        ("COUNT(Car, Traffic Light) == 0", boxes(1), BOXES, False),
        ("count() > 1", boxes(0, 0), BOXES, True),
        ("count(*) > 1", boxes(0), BOXES, False),
        ("count() == 2", np.asarray([2.2], np.float32), COUNT, True),
        ("label in (night)", np.asarray([0.2, 0.8], np.float32), LABEL, True),
        ("label not in (night)", np.asarray([0.2, 0.8], np.float32), LABEL, False),
        ("confidence < 0.9", np.asarray([0.2, 0.8], np.float32), LABEL, True),
        ("value <= 3", np.asarray([3.0], np.float32), COUNT, True),
        ("empty", boxes(), BOXES, True),
        ("empty", np.asarray([1.0], np.float32), COUNT, False),
        ("empty or count(person) >= 1", boxes(2), BOXES, True),
        ("count(car) == 0 and (count(person) == 0 or empty)", boxes(2), BOXES, False),
    ],
)
def test_a_rule_judges_an_output(text, output, spec, redundant):
    rule = parse_rule(text)
    rule.check(spec)
    assert rule.redundant(output, spec) is redundant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a rule should come at position 1, at its end"),
        ("counts(car) == 0", "position 1, before 'counts"),
        ("count(car == 0", "`)` should come"),
        ("count(car,,bus) == 0", "a class name between the commas"),
        ("count(car) = 0", "one of == != <= >= < >"),
        ("count(car) == 1.5", "a whole number should come at position 15"),
        ("label (a)", "`in` or `not in` should come"),
        ("label in ()", "at least one class"),
        ("confidence < high", "a number should come"),
        ("empty empty", "the rule should end"),
        ("unchanged < 0.5", "`>=` should come"),
        ("unchanged >= 7", "at most 1 should come at position 14"),
        ("unchanged and empty", "`>=` should come"),
        ("(" * 40 + "empty", "fewer brackets"),
    ],
)
def test_a_wrong_rule_says_where_and_what_is_allowed(text, says):
    with pytest.raises(InvalidInput) as error:
        parse_rule(text)
    assert says in str(error.value)
    assert "the forms are: count(car, truck) == 0" in str(error.value)


@pytest.mark.parametrize(
    ("text", "spec", "says"),
    [
        ("count(cat) == 0", BOXES, "no class 'cat'; its classes: car, traffic light, person"),
        ("count(car) == 0", COUNT, "write `count()`"),
        ("label in (dusk)", LABEL, "no class 'dusk'"),
        ("value > 3", LABEL, "this model's kind is label"),
        ("empty or confidence < 1", BOXES, "`confidence` judges outputs of kind label, multilabel"),
    ],
)
def test_a_rule_that_does_not_fit_the_model_is_refused(text, spec, says):
    with pytest.raises(InvalidInput) as error:
        parse_rule(text).check(spec)
    assert says in str(error.value)


def test_boxes_are_unchanged_within_an_overlap():
    first = np.asarray([[0, 0, 100, 100, 0.9, 0]], np.float32)
    near, far, other = first.copy(), first.copy(), first.copy()
    near[0, 2], far[0, 2], other[0, 5] = 90, 40, 2
    outputs = [first, near, far, other, np.concatenate([first, near]), boxes(), boxes()]
    pairs = PairAgreement(outputs, BOXES, Unchanged(min_iou=0.7))
    kept = np.zeros(6, np.int64)
    assert pairs.of(kept, np.arange(6)).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert pairs.of(np.asarray([5]), np.asarray([6])).tolist() == [1.0]
