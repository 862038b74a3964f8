"""What outputs state, by a rule."""

import numpy as np
import pytest
from infilink.filters.rules.parser import parse_rule
from infilink.filters.rules.states import states
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("person", "car", "dog"))
COUNT = OutputSpec(kind="count")


def boxes(*classes: int) -> np.ndarray:
    return np.asarray([[0.1, 0.1, 0.2, 0.2, 0.9, each] for each in classes], np.float32).reshape(-1, 6)


OUTPUTS = [boxes(), boxes(0), boxes(1, 1), boxes(0, 2), None]


def stated(rule: str, outputs=OUTPUTS, spec: OutputSpec = BOXES) -> dict[str, list[int]]:
    found = states(parse_rule(rule), outputs, spec)
    assert all(there.dtype == bool and there.shape == (len(outputs),) for there in found.values())
    return {what: np.flatnonzero(there).tolist() for what, there in found.items()}


@pytest.mark.parametrize("rule", ["count(Person, car) == 0", "count(person) < 1 and count(CAR) <= 0"])
def test_each_class_that_is_to_be_absent_is_a_thing(rule):
    assert stated(rule) == {"person": [1, 3], "car": [2]}


@pytest.mark.parametrize("rule", ["count() == 0", "empty"])
def test_without_names_it_is_every_class(rule):
    assert stated(rule) == {"person": [1, 3], "car": [2], "dog": [3]}


@pytest.mark.parametrize(
    ("rule", "needed"),
    [("count(car) <= 1", [2]), ("count(person) == 0 or count(dog) == 0", [3]), ("count() > 0", [0])],
)
def test_any_other_rule_is_one_thing(rule, needed):
    """An input that was skipped states nothing, even where the empty output is needed."""
    assert stated(rule) == {rule: needed}


def test_a_number_is_one_thing():
    outputs = [np.asarray([value], np.float32) for value in (0, 4, 2)]
    assert stated("value <= 3", outputs, COUNT) == {"value <= 3": [1]}
    assert stated("empty", outputs, COUNT) == {"empty": [1, 2]}


def test_classes_of_one_name_are_one():
    spec = OutputSpec(kind="boxes", classes=("N/A", "car", "N/A"))
    assert stated("empty", [boxes(0), boxes(2), boxes(1)], spec) == {"N/A": [0, 1], "car": [2]}


def test_no_outputs_state_nothing():
    assert stated("empty", []) == {"person": [], "car": [], "dog": []}
