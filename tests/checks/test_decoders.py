"""What every decoder must do, found by `DECODERS`; `RAW` says what tensors each one reads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import BadOutput
from infilink.models.candidates import Raw
from infilink.models.decoding import BOX_DECODERS, DECODERS, VALUE_DECODERS, DecoderSpec, decode
from infilink.models.inputs.fed import Letterbox
from infilink.outputs import Array, OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("car", "person"))
VALUES = (OutputSpec(kind="label", classes=("a", "b", "c")), OutputSpec(kind="vector", length=3))
MASK = OutputSpec(kind="mask")
# An input of 32 x 16 pixels: filled by the frame, or with a border on both sides.
LETTERBOXES = (Letterbox(0, 0, 32, 16, 32, 16), Letterbox(8, 0, 16, 16, 32, 16))
STRIDES = (8, 16)
RAW: dict[str, list[tuple[int, ...]]] = {
    "raw": [(1, 3)],
    "sigmoid": [(1, 3)],
    "softmax": [(1, 3)],
    "boxes": [(1, 9, 6)],
    "yolox": [(1, 10, 7)],
    "yolov5": [(1, 9, 7)],
    "yolov8": [(1, 6, 9)],
    "nanodet": [(1, 8, 2), (1, 2, 2), (1, 8, 16), (1, 2, 16)],
    "scrfd": [(16, 2), (4, 2), (16, 4), (4, 4)],
    "fastestdet": [(1, 7, 2, 4)],
    "ultraface": [(1, 9, 3), (1, 9, 4)],
    "detr": [(1, 9, 2), (1, 9, 4)],
    "lists": [(1, 9, 4), (1, 9), (1, 9)],
}
"""The shapes of a decoder's tensors, for two classes, an input of 32 x 16 pixels and two strides."""

SEEDS = st.integers(0, 2**32 - 1)
OPTIONS = st.fixed_dictionaries(
    {"keep": st.sampled_from([(), ("person",)]), "limit": st.sampled_from([2, 100]), "logits": st.booleans()}
)
EXAMPLES = settings(max_examples=25, deadline=None)


def raw_of(name: str, random: np.random.Generator, *, mask: bool = False) -> Raw:
    """Tensors of numbers from 0 to 1, with whole numbers where a decoder reads a class."""
    shapes = [(1, 1, 16, 32)] if mask else RAW[name]
    raw = {f"out{i}": random.random(shape, dtype=np.float32) for i, shape in enumerate(shapes)}
    if name == "boxes":
        raw["out0"][..., 5] = random.integers(0, 2, raw["out0"].shape[:-1])
    if name == "lists":
        raw["out2"][:] = random.integers(0, 2, raw["out2"].shape)
    # A box ends after it begins.
    for corners in [raw["out0"]] * (name in ("boxes", "lists")) + [raw.get("out1")] * (name == "ultraface"):
        corners[..., :4] = np.concatenate(
            [np.minimum(corners[..., :2], corners[..., 2:4]), np.maximum(corners[..., :2], corners[..., 2:4])], axis=-1
        )
    return raw


def spec_of(name: str, **options: object) -> DecoderSpec:
    if name == "lists":
        options["outputs"] = ["out0", "out1", "out2"]
    # The numbers are shares, also where pixels are usual.
    options = {"units": "shares", **options} if name in ("yolov5", "yolov8") else options
    return DecoderSpec.model_validate({"name": name, "strides": STRIDES, **options})


def assert_boxes(found: Array, spec: DecoderSpec) -> None:
    assert len(found) <= spec.limit
    assert ((found[:, :4] >= 0) & (found[:, :4] <= 1)).all() and (found[:, :2] < found[:, 2:4]).all()
    assert (np.diff(found[:, 4]) <= 0).all() and (found[:, 4] >= spec.score).all()
    assert {BOXES.classes[int(index)] for index in found[:, 5]} <= set(spec.keep or BOXES.classes)


def test_every_decoder_is_checked():
    assert set(RAW) == set(DECODERS), "say in `RAW` what tensors it reads"


@pytest.mark.parametrize("name", BOX_DECODERS)
@EXAMPLES
@given(
    SEEDS, st.sampled_from(LETTERBOXES), st.sampled_from([(), ("person",)]), st.sampled_from([2, 100]), st.booleans()
)
def test_boxes_fit_their_spec_and_its_settings(name, seed, letterbox, keep, limit, logits):
    spec = spec_of(name, keep=keep, limit=limit, logits=logits)
    found = decode(raw_of(name, np.random.default_rng(seed)), spec, BOXES, letterbox)
    assert BOXES.check(found) is found
    assert_boxes(found, spec)


@pytest.mark.parametrize("name", BOX_DECODERS)
def test_something_is_found_where_any_score_is_enough(name):
    raw = raw_of(name, np.random.default_rng(0))
    assert len(decode(raw, spec_of(name, score=0.0), BOXES, LETTERBOXES[0])) > 0


@pytest.mark.parametrize("name", BOX_DECODERS)
def test_nothing_found_is_an_empty_array_of_boxes(name):
    raw = {key: np.zeros_like(value) for key, value in raw_of(name, np.random.default_rng(0)).items()}
    found = decode(raw, spec_of(name), BOXES, LETTERBOXES[0])
    assert found.shape == (0, 6) and BOXES.check(found) is found


@pytest.mark.parametrize("name", VALUE_DECODERS)
@EXAMPLES
@given(SEEDS, st.sampled_from(VALUES))
def test_values_fit_their_spec(name, seed, output):
    found = decode(raw_of(name, np.random.default_rng(seed)), spec_of(name), output, LETTERBOXES[0])
    assert np.isfinite(output.check(found)).all()


@pytest.mark.parametrize("name", ["raw", "sigmoid"])
@EXAMPLES
@given(SEEDS, st.sampled_from(LETTERBOXES), st.sampled_from([1, 4]))
def test_a_mask_is_one_of_the_frame_alone(name, seed, letterbox, stride):
    raw = raw_of(name, np.random.default_rng(seed), mask=True)
    found = decode(raw, spec_of(name, stride=stride), MASK, letterbox)
    assert MASK.check(found).shape == (16 // stride, int(letterbox.width) // stride)


@pytest.mark.parametrize("name", DECODERS)
def test_the_same_tensors_give_the_same_and_are_left_as_they_were(name):
    output = BOXES if name in BOX_DECODERS else VALUES[0]
    raw = raw_of(name, np.random.default_rng(1))
    before = {key: value.copy() for key, value in raw.items()}
    first, again = (decode(raw, spec_of(name), output, LETTERBOXES[1]).copy() for _ in range(2))
    assert np.array_equal(first, again)
    assert all(np.array_equal(raw[key], before[key]) for key in raw)
    for value in raw.values():
        value.flags.writeable = False
    assert np.array_equal(decode(raw, spec_of(name), output, LETTERBOXES[1]), first)


@pytest.mark.parametrize("name", DECODERS)
@EXAMPLES
@given(SEEDS, st.sampled_from([np.nan, np.inf, -np.inf]), st.floats(0.05, 1.0))
def test_what_is_not_finite_is_refused_or_left_out(name, seed, wrong, share):
    output, random = BOXES if name in BOX_DECODERS else VALUES[0], np.random.default_rng(seed)
    raw = raw_of(name, random)
    for value in raw.values():
        value[random.random(value.shape) < share] = wrong
    with np.errstate(all="ignore"):
        try:
            found = output.check(decode(raw, spec_of(name), output, LETTERBOXES[0]))
        except (ValueError, BadOutput) as error:
            told = str(error)
        else:
            told = ""
            assert np.isfinite(found).all()
    assert "\n" not in told
