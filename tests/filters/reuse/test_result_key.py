"""When two results count as the same, per kind of output."""

import numpy as np
import pytest
from infilink.filters.reuse.result_key import ResultKeys, result_key
from infilink.outputs import OutputSpec

CLASSES = ("car", "bus")


def boxes(*rows: tuple[float, float, float, float, float, int]) -> np.ndarray:
    return np.asarray(rows, np.float32).reshape(-1, 6)


CAR = (0.1, 0.1, 0.4, 0.4, 0.9, 0)
MOVED = (0.11, 0.1, 0.41, 0.4, 0.8, 0)
ELSEWHERE = (0.6, 0.6, 0.9, 0.9, 0.9, 0)
BUS = (0.1, 0.1, 0.4, 0.4, 0.9, 1)
CASES = [
    (OutputSpec(kind="label", classes=CLASSES), [0.9, 0.1], [0.6, 0.4], [0.1, 0.9]),
    (OutputSpec(kind="multilabel", classes=CLASSES), [0.9, 0.9], [0.6, 0.5], [0.9, 0.1]),
    (OutputSpec(kind="count"), [3.0], [3.3], [3.7]),
    (OutputSpec(kind="scalar", tolerance=1.0), [2.0], [2.2], [2.3]),
    (OutputSpec(kind="boxes", classes=CLASSES), boxes(CAR), boxes(MOVED), boxes(ELSEWHERE)),
    (OutputSpec(kind="boxes", classes=CLASSES), boxes(CAR), boxes(MOVED), boxes(BUS)),
    (OutputSpec(kind="boxes", classes=CLASSES, measure="counts"), boxes(CAR), boxes(ELSEWHERE), boxes(BUS)),
    (OutputSpec(kind="boxes", classes=CLASSES), boxes(), boxes(), boxes(CAR)),
    (OutputSpec(kind="vector", length=2), [1.0, 0.0], [5.0, 0.1], [0.0, 1.0]),
    (OutputSpec(kind="mask"), [[1.0, 1.0], [0.0, 0.0]], [[0.9, 0.8], [0.0, 0.2]], [[0.0, 0.0], [1.0, 1.0]]),
    (OutputSpec(kind="tokens", length=9), [1, 2], [1, 2], [2, 1]),
]


@pytest.mark.parametrize(("spec", "first", "same", "other"), CASES)
def test_like_results_have_one_number_and_others_another(spec, first, same, other):
    first, same, other = (spec.check(np.asarray(value)) for value in (first, same, other))
    keys = ResultKeys(spec)
    number = keys.number(first)
    assert keys.number(same) == number
    assert keys.number(other) != number
    assert keys.number(first) == number


def test_keys_as_they_are():
    label = OutputSpec(kind="label", classes=CLASSES)
    assert result_key(np.asarray([0.2, 0.8]), label) == 1
    assert result_key(boxes(CAR, BUS, ELSEWHERE), OutputSpec(kind="boxes", classes=CLASSES)) == (2, 1)
    assert result_key(np.asarray([7.4]), OutputSpec(kind="scalar"), step=5.0) == 1


def test_masks_of_other_sizes_are_not_compared():
    keys = ResultKeys(OutputSpec(kind="mask"))
    assert keys.number(np.ones((2, 2), np.float32)) != keys.number(np.ones((3, 3), np.float32))


def test_how_much_has_to_agree_can_be_told():
    spec = OutputSpec(kind="boxes", classes=CLASSES)
    two, one_moved = boxes(CAR, ELSEWHERE), boxes(CAR, (0.1, 0.6, 0.4, 0.9, 0.9, 0))
    strict, lax = ResultKeys(spec, at_least=0.9), ResultKeys(spec, at_least=0.5)
    assert strict.number(two) != strict.number(one_moved)
    assert lax.number(two) == lax.number(one_moved)


def test_what_it_remembers_is_bounded():
    keys = ResultKeys(OutputSpec(kind="count"))
    numbers = [keys.number(np.asarray([float(i)])) for i in range(5000)]
    assert len(set(numbers)) == 5000
    assert len(keys._met) <= 4096
    assert keys.number(np.asarray([4999.0])) == numbers[-1]
