from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.outputs import KINDS, Array, OutputSpec, box_iou, boxes_f1, edit_distance, mask_iou
from pydantic import ValidationError

CLASSES = ("car", "truck", "person")
LENGTH = 5
SPECS = {
    "label": OutputSpec(kind="label", classes=CLASSES),
    "multilabel": OutputSpec(kind="multilabel", classes=CLASSES),
    "scalar": OutputSpec(kind="scalar", tolerance=2.0),
    "count": OutputSpec(kind="count"),
    "vector": OutputSpec(kind="vector", length=LENGTH),
    "boxes": OutputSpec(kind="boxes", classes=CLASSES),
    "boxes, counted": OutputSpec(kind="boxes", classes=CLASSES, measure="counts"),
    "tokens": OutputSpec(kind="tokens", length=9),
    "mask": OutputSpec(kind="mask"),
}
NO_BOX = np.zeros((0, 6), np.float32)


def array(*values: float) -> Array:
    return np.asarray(values, np.float32)


def box(x1: float, y1: float, x2: float, y2: float, kind: int = 0) -> list[float]:
    return [x1, y1, x2, y2, 0.9, kind]


def boxes(*rows: list[float]) -> Array:
    return np.asarray(rows, np.float32).reshape(-1, 6)


def random_value(spec: OutputSpec, rng: np.random.Generator) -> Array:
    if spec.kind == "tokens":
        return rng.integers(0, spec.length, rng.integers(0, 7))
    if spec.kind == "mask":
        return rng.random((4, 6), np.float32)
    if spec.kind == "boxes":
        rows = rng.random((rng.integers(0, 7), 6)).astype(np.float32)
        rows[:, :2] *= 0.5
        rows[:, 2:4] = rows[:, :2] + 0.05 + rows[:, 2:4] * 0.4
        rows[:, 5] = rng.integers(0, len(spec.classes), len(rows))
        return rows
    values = rng.random(spec.shape).astype(np.float32)
    if spec.kind == "label":
        return values / values.sum()
    return values if spec.kind == "multilabel" else values * 8 - 4


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=40, deadline=None)
@given(seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
def test_agreement_is_from_0_to_1_symmetric_and_1_with_itself(name: str, seeds: tuple[int, int]) -> None:
    spec = SPECS[name]
    a, b = (spec.check(random_value(spec, np.random.default_rng(seed))) for seed in seeds)
    assert 0.0 <= spec.agreement(a, b) <= 1.0
    assert spec.agreement(a, b) == pytest.approx(spec.agreement(b, a))
    assert 1.0 - 1e-6 <= spec.agreement(a, a) <= 1.0


@pytest.mark.parametrize("name", SPECS)
def test_the_value_that_says_nothing_fits_its_own_kind_and_agrees_with_itself(name: str) -> None:
    spec = SPECS[name]
    empty = spec.empty()
    assert spec.check(empty).dtype == empty.dtype
    assert spec.agreement(empty, empty) == 1.0
    assert spec.summary(empty)


def test_labels_agree_by_their_arg_max_alone() -> None:
    spec = SPECS["label"]
    assert spec.agreement(array(0.4, 0.3, 0.3), array(0.9, 0.05, 0.05)) == 1.0
    assert spec.agreement(array(0.5, 0.4, 0.1), array(0.4, 0.5, 0.1)) == 0.0


def test_multilabels_agree_in_the_share_of_classes_on_the_same_side_of_a_half() -> None:
    assert SPECS["multilabel"].agreement(array(0.5, 0.1, 0.9), array(0.9, 0.49, 0.2)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("other", "agreement"), [(3.0, 1.0), (3.49, 1.0), (3.5, 0.0), (2.5, 0.0), (4.0, 0.0)])
def test_counts_agree_within_less_than_a_half(other: float, agreement: float) -> None:
    assert SPECS["count"].agreement(array(3.0), array(other)) == agreement


@pytest.mark.parametrize(("other", "agreement"), [(1.0, 1.0), (2.0, 0.5), (0.0, 0.5), (3.0, 0.0), (99.0, 0.0)])
def test_scalars_agree_less_the_further_apart_down_to_0_at_the_tolerance(other: float, agreement: float) -> None:
    assert SPECS["scalar"].agreement(array(1.0), array(other)) == pytest.approx(agreement)


def test_vectors_agree_by_their_cosine_whatever_their_length() -> None:
    spec = SPECS["vector"]
    a, across = array(1, 2, 0, 0, 0), array(2, -1, 0, 0, 0)
    assert spec.agreement(a, 7 * a) == pytest.approx(1.0)
    assert spec.agreement(a, across) == 0.0
    assert spec.agreement(a, -a) == 0.0
    assert spec.agreement(a, a + across) == pytest.approx(0.5**0.5)


def test_a_vector_of_nothing_agrees_with_nothing_only() -> None:
    spec = SPECS["vector"]
    nothing = spec.empty()
    assert spec.agreement(nothing, nothing) == 1.0
    assert spec.agreement(nothing, array(1, 0, 0, 0, 0)) == 0.0


def test_boxes_agree_where_they_overlap_by_half_within_a_class() -> None:
    spec = SPECS["boxes"]
    a = boxes(box(0, 0, 0.4, 0.4), box(0.5, 0.5, 0.9, 0.9))
    assert spec.agreement(a, boxes(box(0, 0, 0.4, 0.3))) == pytest.approx(2 / 3)
    assert spec.agreement(a, boxes(box(0, 0, 0.4, 0.4, kind=1))) == 0.0
    assert spec.agreement(a, boxes(box(0, 0, 0.4, 0.19))) == 0.0
    assert spec.agreement(a, NO_BOX) == spec.agreement(NO_BOX, a) == 0.0
    assert spec.agreement(NO_BOX, NO_BOX) == 1.0


def test_boxes_match_one_to_one_and_the_best_overlap_first() -> None:
    one, near, far = box(0, 0, 0.4, 0.4), box(0, 0, 0.4, 0.38), box(0, 0, 0.4, 0.22)
    assert boxes_f1(boxes(one), boxes(near, far)) == pytest.approx(2 / 3), "one box is matched once"
    assert boxes_f1(boxes(far, one), boxes(one, near)) == 1.0
    # `one` takes `near`, its best; what is left, `far` and a box below, does not overlap by half.
    below = box(0, 0.15, 0.4, 0.45)
    assert boxes_f1(boxes(one, far), boxes(near, below)) == pytest.approx(0.5)


def test_counted_boxes_agree_wherever_they_are() -> None:
    spec = SPECS["boxes, counted"]
    two_cars, one_car = boxes(box(0, 0, 1, 1), box(0, 0, 1, 1)), boxes(box(0.5, 0.5, 0.6, 0.6))
    truck = boxes(box(0, 0, 1, 1, kind=1))
    assert spec.agreement(two_cars, one_car) == 0.5
    assert spec.agreement(one_car, truck) == 0.0
    assert spec.agreement(np.concatenate([two_cars, truck]), two_cars) == pytest.approx(2 / 3)
    assert spec.agreement(NO_BOX, NO_BOX) == 1.0
    assert spec.agreement(NO_BOX, truck) == 0.0
    assert spec.counts(two_cars).tolist() == [2, 0, 0]


def test_box_iou_of_known_boxes() -> None:
    a = boxes(box(0, 0, 2, 2), box(0, 0, 0, 0))
    b = boxes(box(1, 1, 3, 3), box(0, 0, 2, 1), box(5, 5, 6, 6))
    assert box_iou(a, b) == pytest.approx(np.asarray([[1 / 7, 0.5, 0], [0, 0, 0]]))
    assert box_iou(NO_BOX, b).shape == (0, 3)


def test_tokens_agree_by_how_few_edits_lie_between_them() -> None:
    spec, none = SPECS["tokens"], np.zeros(0, np.int64)
    assert spec.agreement(np.asarray([1, 2, 3, 4]), np.asarray([1, 3, 4])) == 0.75
    assert spec.agreement(none, np.asarray([1])) == 0.0
    assert spec.agreement(none, none) == 1.0


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_edit_distance_is_that_of_the_definition(a: list[int], b: list[int]) -> None:
    @cache
    def slow(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(slow(i - 1, j) + 1, slow(i, j - 1) + 1, slow(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    assert edit_distance(np.asarray(a, np.int64), np.asarray(b, np.int64)) == slow(len(a), len(b))


def test_masks_agree_by_what_both_cover() -> None:
    a, b = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    assert mask_iou(a, b) == 1.0
    a[0, :2], b[:, 0] = 0.5, 0.9
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    assert mask_iou(a, np.zeros_like(a)) == 0.0


@pytest.mark.parametrize(
    ("name", "shape", "named"),
    [
        ("label", (2,), "a label output must have shape (3,) (-1: any), not (2,)"),
        ("label", (1, 3), "not (1, 3)"),
        ("multilabel", (4,), "shape (3,)"),
        ("scalar", (), "a scalar output must have shape (1,)"),
        ("count", (2,), "a count output must have shape (1,)"),
        ("vector", (4,), "a vector output must have shape (5,)"),
        ("boxes", (3, 5), "a boxes output must have shape (-1, 6) (-1: any), not (3, 5)"),
        ("tokens", (2, 2), "a tokens output must have shape (-1,)"),
        ("mask", (4,), "a mask output must have shape (-1, -1)"),
    ],
)
def test_a_value_of_another_shape_is_refused_naming_both(name: str, shape: tuple[int, ...], named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SPECS[name].check(np.zeros(shape, np.float32))
    assert named in str(caught.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidInput, match="a count output holds NaN or infinity"):
        SPECS["count"].check(array(wrong))


@pytest.mark.parametrize("wrong", [-1.0, 0.5, 3.0])
def test_a_class_that_there_is_not_is_refused(wrong: float) -> None:
    value = np.asarray([[0, 0, 1, 1, 0.9, 2], [0, 0, 1, 1, 0.9, wrong]], np.float32)
    with pytest.raises(InvalidInput, match=f"class indices must be whole numbers from 0 to 2, not {wrong}"):
        SPECS["boxes"].check(value)


@pytest.mark.parametrize("wrong", [-1, 9, 0.5, np.nan])
def test_a_token_that_there_is_not_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidInput, match=f"tokens output's ids must be whole numbers from 0 to 8, not {wrong}"):
        SPECS["tokens"].check(np.asarray([8, wrong]))


def test_a_checked_value_has_its_kinds_type() -> None:
    assert SPECS["tokens"].check(np.asarray([1, 2], np.int32)).dtype == np.int64
    others = [spec for spec in SPECS.values() if spec.kind != "tokens"]
    assert all(spec.check(spec.empty().astype(np.float64)).dtype == np.float32 for spec in others)


@pytest.mark.parametrize(
    ("given_spec", "named"),
    [
        ({"kind": "label"}, "kind 'label' needs `classes`"),
        ({"kind": "boxes"}, "kind 'boxes' needs `classes`"),
        ({"kind": "vector"}, "kind 'vector' needs `length`"),
        ({"kind": "tokens"}, "kind 'tokens' needs `length`"),
        ({"kind": "scalar", "tolerance": 0}, "tolerance"),
        ({"kind": "depth"}, "kind"),
        ({"kind": "count", "unit": "cars"}, "unit"),
    ],
)
def test_an_incomplete_spec_says_what_it_needs(given_spec: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        OutputSpec.model_validate(given_spec)


def test_summaries_are_for_people() -> None:
    assert SPECS["label"].summary(array(0.1, 0.7, 0.2)) == "truck 0.70"
    assert SPECS["multilabel"].summary(array(0.9, 0.1, 0.5)) == "car, person"
    assert SPECS["multilabel"].summary(array(0, 0, 0)) == "none"
    assert SPECS["count"].summary(array(2.9)) == "3"
    assert SPECS["scalar"].summary(array(0.123)) == "0.12"
    assert SPECS["boxes"].summary(boxes(box(0, 0, 1, 1), box(0, 0, 1, 1), box(0, 0, 1, 1, kind=1))) == "2 car, 1 truck"
    assert SPECS["boxes"].summary(NO_BOX) == "none"
    assert SPECS["vector"].summary(SPECS["vector"].empty()) == "vector 5"


def test_every_kind_is_tested_here() -> None:
    assert {spec.kind for spec in SPECS.values()} == set(KINDS)


def test_masks_tokens_and_where_boxes_are_is_compared_one_by_one() -> None:
    assert {name for name, spec in SPECS.items() if spec.compact([spec.empty()]) is None} == {"mask", "tokens", "boxes"}


@pytest.mark.parametrize("name", [name for name in SPECS if name not in ("mask", "tokens", "boxes")])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_agreements_of_many_are_the_agreement_of_each(name: str, seed: int, count: int) -> None:
    spec, rng = SPECS[name], np.random.default_rng(seed)
    values = [spec.check(random_value(spec, rng)) for _ in range(count)] + [spec.empty()]
    first, second = rng.integers(0, len(values), (2, 30))
    each = [spec.agreement(values[i], values[j]) for i, j in zip(first, second, strict=True)]
    compact = spec.compact(values)
    assert compact is not None
    assert spec.agreements(compact[first], compact[second]).tolist() == each
    with_one = [spec.agreement(values[0], value) for value in values]
    assert spec.agreements(compact[:1], compact).tolist() == with_one


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_vectors_of_any_size_agree_by_their_cosine(scale: float) -> None:
    spec = SPECS["vector"]
    a, b = array(1, 2, 0, 0, 0) * np.float32(scale), array(3, 1, 0, 0, 0) * np.float32(scale)
    assert spec.agreement(a, a) == pytest.approx(1.0)
    assert spec.agreement(a, b) == pytest.approx(0.5**0.5)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-3, 1e3))
def test_a_vectors_agreement_does_not_depend_on_its_scale(seed: int, scale: float) -> None:
    spec, rng = SPECS["vector"], np.random.default_rng(seed)
    a, b = random_value(spec, rng), random_value(spec, rng)
    assume(np.linalg.norm(a) > 0.01 and np.linalg.norm(b) > 0.01)
    assert spec.agreement(a, b * np.float32(scale)) == pytest.approx(spec.agreement(a, b), abs=1e-5)
