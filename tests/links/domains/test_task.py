"""Outputs as numbers and back, blocks in time, and what learning needs to be installed."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.domains.task import TARGETS, Form, LinkTask, Pairs
from infilink.links.training.samples import Samples
from infilink.models.spec import parse_spec
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")
SPECS = {
    "label": OutputSpec(kind="label", classes=("a", "b", "c")),
    "multilabel": OutputSpec(kind="multilabel", classes=("a", "b")),
    "count": COUNT,
    "scalar": OutputSpec(kind="scalar"),
    "vector": OutputSpec(kind="vector", length=4),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_an_output_comes_back_from_its_numbers(kind):
    form = Form(SPECS[kind])
    rng = np.random.default_rng(0)
    values = rng.uniform(0.05, 0.95, (20, form.length)).astype(np.float32)
    if kind == "label":
        values /= values.sum(axis=1, keepdims=True)
    numbers = form.numbers(values)
    assert numbers.shape == (20, form.length)
    np.testing.assert_allclose(form.values(numbers), values, rtol=1e-5)
    np.testing.assert_allclose(form.agreements(numbers, numbers), 1.0)


def test_boxes_are_counted_by_class():
    form = Form(OutputSpec(kind="boxes", classes=("car", "truck")))
    boxes = np.asarray([[0, 0, 0.1, 0.1, 0.9, 0], [0, 0, 0.1, 0.1, 0.9, 0], [0, 0, 0.1, 0.1, 0.9, 1]], np.float32)
    np.testing.assert_array_equal(form.numbers([boxes, boxes[:0]]), [[2, 1], [0, 0]])


@given(st.integers(20, 500))
def test_blocks_are_apart_in_time_and_never_shuffled(count):
    """Neighbours are alike: drawn at random, each would have its neighbour on the other side."""
    at = np.arange(count, dtype=float)[:, None]
    blocks = Pairs(at, at).blocks(0.6, 0.2, 0.2)
    gap = max(1, count // 50)
    for block in blocks:
        np.testing.assert_array_equal(np.diff(block.inputs[:, 0]), 1.0)
    for before, after in pairwise(blocks):
        assert after.inputs[0, 0] - before.inputs[-1, 0] == gap + 1
    assert blocks[-1].inputs[-1, 0] == count - 1


def test_sources_are_read_as_their_vectors_tell_of_them_and_the_target_exactly():
    """What never changed where the vectors were fitted is not in them: it is what it was there, whatever is said."""
    rng = np.random.default_rng(0)
    said = rng.uniform(0.05, 0.95, (200, 3)).astype(np.float32)
    said[:120, 2] = 0.5
    models = {
        name: parse_spec({"name": name, "output": output}, where=name)
        for name, output in (("a", SPECS["label"]), ("b", COUNT))
    }
    counts = [np.full(1, row, np.float32) for row in range(200)]
    samples = Samples.of(models, np.arange(200.0), {"a": list(said), "b": counts})
    pairs = Pairs.of(LinkTask({"a": SPECS["label"]}, "b", COUNT, {}), samples)
    np.testing.assert_allclose(pairs.inputs[:, :2], np.log(said[:, :2]), atol=1e-5)
    np.testing.assert_allclose(pairs.inputs[:, 2], np.log(0.5), atol=1e-5)
    np.testing.assert_array_equal(pairs.targets[:, 0], np.arange(200))


def test_tasks_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInput, match="other than the target 'b'"):
        LinkTask({"b": COUNT}, "b", COUNT, {})
    with pytest.raises(InvalidInput, match="hidden must be from 1"):
        LinkTask({"a": COUNT}, "b", COUNT, {}, hidden=0)
    with pytest.raises(InvalidInput, match="too many for a link"):
        LinkTask({"a": OutputSpec(kind="vector", length=5000)}, "b", COUNT, {})


def test_learning_and_serving_need_no_training_framework():
    heavy = ("torch", "sklearn", "scipy", "onnx", "infilink.cloud")
    parts = ("rounds", "fusion", "adapt", "sharing", "shared")
    imports = ", ".join(f"infilink.links.domains.{part}" for part in parts)
    code = f"import sys, {imports}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
