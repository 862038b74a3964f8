import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from infilink.models.encoding.boxes import place_boxes
from infilink.models.encoding.encoding import LIMIT, Encoding
from infilink.outputs import Array, OutputSpec

numbers = st.floats(-1e3, 1e3, width=32)
shares = st.floats(0.0, 1.0, width=32)


def rows(width: int, elements: st.SearchStrategy[float]) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.float32, (8, width), elements=elements)


@st.composite
def box_lists(draw: st.DrawFn) -> list[Array]:
    def one() -> Array:
        raw = draw(hnp.arrays(np.float32, (draw(st.integers(0, 5)), 6), elements=shares))
        raw[:, :2] *= 0.7
        raw[:, 2:4] = raw[:, :2] + 0.1 + raw[:, 2:4] * 0.2
        raw[:, 5] = np.rint(raw[:, 5])
        return raw

    return [one() for _ in range(6)]


@given(rows(3, st.floats(2**-6, 1.0, width=32)))
@settings(deadline=None, max_examples=25)
def test_a_label_comes_back_with_its_probabilities(values: Array) -> None:
    values = values / values.sum(axis=1, keepdims=True)
    encoding = Encoding.fit(OutputSpec(kind="label", classes=("a", "b", "c")), list(values))
    for value in values:
        assert np.allclose(encoding.decode(encoding.encode(value)), value, atol=0.02)


@given(rows(4, st.floats(2**-6, 1 - 2**-6, width=32)))
@settings(deadline=None, max_examples=25)
def test_a_multilabel_comes_back(values: Array) -> None:
    encoding = Encoding.fit(OutputSpec(kind="multilabel", classes=("a", "b", "c", "d")), list(values))
    for value in values:
        assert np.allclose(encoding.decode(encoding.encode(value)), value, atol=0.01)


@pytest.mark.parametrize("kind", ["scalar", "vector"])
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_numbers_come_back(kind: str, data: st.DataObject) -> None:
    width = 1 if kind == "scalar" else 5
    values = data.draw(rows(width, numbers))
    encoding = Encoding.fit(OutputSpec(kind=kind, length=width if kind == "vector" else 0), list(values))
    for value in values:
        assert np.allclose(encoding.decode(encoding.encode(value)), value, atol=0.05, rtol=1e-3)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=20))
@settings(deadline=None, max_examples=25)
def test_a_count_comes_back_and_is_never_negative(counts: list[int]) -> None:
    values = [np.asarray([count], np.float32) for count in counts]
    encoding = Encoding.fit(OutputSpec(kind="count"), values)
    for value in values:
        assert abs(float(encoding.decode(encoding.encode(value))[0]) - float(value[0])) < 0.5
    if encoding.length:
        assert encoding.decode(np.full(1, -100.0, np.float32))[0] == 0.0


@given(box_lists())
@settings(deadline=None, max_examples=25)
def test_boxes_come_back_in_number_and_where_they_were(values: list[Array]) -> None:
    spec = OutputSpec(kind="boxes", classes=("a", "b"))
    encoding = Encoding.fit(spec, values)
    for value in values:
        decoded = spec.check(encoding.decode(encoding.encode(value)))
        assert np.array_equal(spec.counts(decoded), spec.counts(value))
        again = encoding.decode(encoding.encode(value), last=value)
        assert spec.agreement(again, value) == 1.0


def test_boxes_are_placed_where_another_model_sees_them_before_where_they_were() -> None:
    sizes = np.full((1, 2), 0.1, np.float32)
    raw = np.zeros(1 + 24, np.float32)
    raw[0] = 2.0
    nowhere = np.zeros((0, 6), np.float32)
    last = np.asarray([[0.1, 0.1, 0.2, 0.2, 0.9, 0]], np.float32)
    seen = np.asarray([[0.7, 0.7, 0.8, 0.8, 0.9, 0], [0.4, 0.4, 0.5, 0.5, 0.8, 0], [0, 0, 1, 1, 0.1, 0]], np.float32)
    placed = place_boxes(raw, sizes, nowhere, last=last, hints=[seen])
    assert {tuple(box[:4]) for box in placed} == {tuple(box[:4]) for box in seen[:2]}
    assert len(place_boxes(raw, sizes, nowhere, last=last, hints=[])) == 2
    assert np.array_equal(place_boxes(raw, sizes, nowhere, last=last, hints=[])[0], last[0])


def test_a_box_stands_where_boxes_of_its_cell_mostly_are() -> None:
    spec = OutputSpec(kind="boxes", classes=("car", "bus"))
    parked = np.asarray([[0.61, 0.3, 0.73, 0.36, 0.9, 0]], np.float32)
    values = [np.zeros((0, 6), np.float32), *(parked + np.float32([d, 0, d, 0, 0, 0]) for d in (-0.01, 0.0, 0.002))]
    encoding = Encoding.fit(spec, values)
    again = Encoding.from_dict(encoding.as_dict())
    for each in (encoding, again):
        assert spec.agreement(each.decode(each.encode(parked)), parked) == 1.0
        assert spec.agreement(each.decode(each.encode(values[0])), values[0]) == 1.0
    older = {name: value for name, value in encoding.as_dict().items() if name != "usual"}
    assert len(Encoding.from_dict(older).decode(encoding.encode(parked))) == 1


def test_a_mask_comes_back_coarsely_in_its_own_size() -> None:
    spec = OutputSpec(kind="mask")
    left, right = np.zeros((48, 72), np.float32), np.zeros((48, 72), np.float32)
    left[:, :36], right[:, 36:] = 1.0, 1.0
    encoding = Encoding.fit(spec, [left, right])
    assert spec.agreement(encoding.decode(encoding.encode(left)), left) > 0.9


@given(st.lists(st.lists(st.integers(0, 20), max_size=9), min_size=2, max_size=12))
@settings(deadline=None, max_examples=25)
def test_tokens_come_back_from_their_ids(sequences: list[list[int]]) -> None:
    values = [np.asarray(sequence, np.int64) for sequence in sequences]
    encoding = Encoding.fit(OutputSpec(kind="tokens", length=21), values)
    for value in values:
        encoded = encoding.encode(value)
        assert encoded.shape == (encoding.length + encoding.ids,)
        assert np.array_equal(encoding.decode(encoded[encoding.length :]), value)


def test_a_constant_output_has_no_columns_and_decodes_to_itself() -> None:
    value = np.asarray([7.0], np.float32)
    encoding = Encoding.fit(OutputSpec(kind="count"), [value] * 5)
    assert encoding.length == 0
    assert np.array_equal(encoding.decode(encoding.encode(value)), value)


def test_a_thousand_classes_are_cut_to_those_that_occur() -> None:
    rng = np.random.default_rng(0)
    values = rng.dirichlet(np.full(1000, 0.01), 50).astype(np.float32)
    encoding = Encoding.fit(OutputSpec(kind="label", classes=tuple(map(str, range(1000)))), list(values))
    assert encoding.length == LIMIT
    same = [np.argmax(encoding.decode(encoding.encode(value))) == np.argmax(value) for value in values]
    assert np.mean(same) > 0.9


def test_an_encoding_survives_json() -> None:
    values = list(np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32))
    encoding = Encoding.fit(OutputSpec(kind="vector", length=4), values)
    again = Encoding.from_dict(json.loads(json.dumps(encoding.as_dict())))
    assert np.allclose(again.encode(values[0]), encoding.encode(values[0]), atol=1e-4)
    assert again.output == encoding.output
