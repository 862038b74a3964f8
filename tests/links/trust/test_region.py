"""Regions of every kind: they hold their own answer, hold what is within the radius, and grow with it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.answer import Answer
from infilink.links.trust.calibration import LEVELS, Calibration
from infilink.links.trust.region import Region
from infilink.outputs import Array, OutputSpec

CLASSES = ("a", "b", "c")
OUTPUTS = {
    "label": OutputSpec(kind="label", classes=CLASSES),
    "multilabel": OutputSpec(kind="multilabel", classes=CLASSES),
    "count": OutputSpec(kind="count"),
    "scalar": OutputSpec(kind="scalar"),
    "vector": OutputSpec(kind="vector", length=4),
    "counts": OutputSpec(kind="boxes", classes=CLASSES, measure="counts"),
    "boxes": OutputSpec(kind="boxes", classes=CLASSES),
    "tokens": OutputSpec(kind="tokens", length=9),
    "mask": OutputSpec(kind="mask"),
}


def draw_value(output: OutputSpec, rng: np.random.Generator) -> Array:
    if output.kind in ("label", "multilabel"):
        return rng.random(len(output.classes)).astype(np.float32)
    if output.kind == "boxes":
        count = int(rng.integers(0, 5))
        corners = rng.random((count, 2)) * 0.5
        rest = np.stack([np.full(count, 0.9), rng.integers(0, 3, count)], axis=1)
        return np.concatenate([corners, corners + 0.3, rest], axis=1).astype(np.float32)
    if output.kind == "tokens":
        return rng.integers(0, 9, int(rng.integers(0, 6)))
    if output.kind == "mask":
        return rng.random((3, 4)).astype(np.float32)
    if output.kind == "count":
        return rng.integers(0, 6, 1).astype(np.float32)
    return rng.normal(size=output.length or 1).astype(np.float32)


def holds(region: Region, output: OutputSpec, answer: Array, exact: Array) -> bool:
    """Whether a region holds an output, read as its description says and in no other way."""
    bounds = region.bounds
    if region.form == "set":
        return int(exact.argmax()) in bounds
    if region.form == "undecided":
        return all((answer[c] >= 0.5) == (exact[c] >= 0.5) for c in range(len(CLASSES)) if c not in bounds)
    if region.form == "agreement":
        return output.agreement(answer, exact) >= bounds[0] - 1e-6
    numbers = output.counts(exact) if region.form == "counts" else exact
    pairs = zip(bounds[::2], bounds[1::2], numbers, strict=True)
    return all(low - 1e-5 <= number <= high + 1e-5 for low, high, number in pairs)


def answer_of(value: Array, output: OutputSpec, radius: float, confidence: float) -> Answer:
    calibration = Calibration(100, (radius,) * len(LEVELS))
    return Answer(value, confidence, "linked", ("s",), output=output, calibration=calibration)


@pytest.mark.parametrize("name", list(OUTPUTS))
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.3, 0.9, 3.0, np.inf]), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_a_region_holds_its_answer_and_just_what_is_covered(
    name: str, seed: int, radius: float, confidence: float
) -> None:
    output, rng = OUTPUTS[name], np.random.default_rng(seed)
    value, exact = (draw_value(output, rng) for _ in range(2))
    answer = answer_of(value, output, radius, confidence)
    if np.isinf(radius):
        region = Region.around(output, value, radius)
    else:
        assert answer.region is not None
        region = answer.region
    assert holds(region, output, value, value)
    assert region.text(output)
    agreement = output.agreement(value, exact)
    if np.isinf(radius) or answer.covers(exact, agreement):
        assert holds(region, output, value, exact)
    elif name != "vector":
        assert not holds(region, output, value, exact)


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_a_region_grows_with_its_radius(name: str) -> None:
    output, rng = OUTPUTS[name], np.random.default_rng(5)
    for _ in range(20):
        value = draw_value(output, rng)
        regions = [Region.around(output, value, radius) for radius in (0.0, 0.1, 0.4, 1.5, np.inf)]
        for smaller, larger in pairwise(regions):
            if larger.form in ("set", "undecided"):
                assert set(smaller.bounds) <= set(larger.bounds)
            elif larger.form == "agreement":
                assert larger.bounds[0] <= smaller.bounds[0]
            else:
                assert all(a >= b for a, b in zip(smaller.bounds[::2], larger.bounds[::2], strict=True))
                assert all(a <= b for a, b in zip(smaller.bounds[1::2], larger.bounds[1::2], strict=True))


def test_there_is_no_region_without_enough_comparisons() -> None:
    output, value = OUTPUTS["count"], np.asarray([2.0], np.float32)
    few = Calibration.of(np.zeros(8))
    assert Answer(value, 0.9, "held", output=output, calibration=few).region is None
    assert Answer(value, 0.9, "held", output=output).region is None
    assert Answer(value, 1.0, "executed", (), "exact").region is None


def test_regions_in_words() -> None:
    label, counts = OUTPUTS["label"], OUTPUTS["counts"]
    assert Region.around(label, np.asarray([0.5, 0.45, 0.05]), 0.1).text(label) == "a or b"
    boxes = np.asarray([[0, 0, 1, 1, 0.9, 1]], np.float32)
    assert Region.around(counts, boxes, 1.0).text(counts) == "0 to 1 a, 0 to 2 b, 0 to 1 c"
    assert Region.around(OUTPUTS["count"], np.asarray([2.0]), 0.4).text(OUTPUTS["count"]) == "1.6 to 2.4"
    assert Region.around(OUTPUTS["mask"], np.zeros((2, 2)), 0.17).text(OUTPUTS["mask"]) == ">= 0.83"
    assert Region.around(OUTPUTS["multilabel"], np.asarray([0.9, 0.6, 0.0]), 0.2).bounds == (1.0,)
