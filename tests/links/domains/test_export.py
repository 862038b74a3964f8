"""What a link across domains says in numpy, its file says as an ordinary link, from the vectors of the graph."""

import numpy as np
import pytest
from infilink.links.domains.export import Confidence, export_fused
from infilink.links.domains.fusion import FusedLink
from infilink.links.domains.link import DomainLink, moments_of
from infilink.links.domains.task import LinkTask, Pairs
from infilink.links.link import Link, LinkSpec
from infilink.links.training.samples import Samples, Situations
from infilink.models.spec import parse_spec

SOURCES = {
    "said": {"kind": "label", "classes": ["a", "b", "c"]},
    "flags": {"kind": "multilabel", "classes": ["x", "y"]},
    "seen": {"kind": "boxes", "classes": ["car", "truck"]},
    "width": {"kind": "vector", "length": 3},
}
TARGETS = {
    "label": {"kind": "label", "classes": ["calm", "busy", "jam"]},
    "multilabel": {"kind": "multilabel", "classes": ["rain", "night"]},
    "count": {"kind": "count"},
    "scalar": {"kind": "scalar", "tolerance": 5.0},
    "vector": {"kind": "vector", "length": 4},
}


def drawn(kind, size, rng):
    if kind == "label":
        p = np.exp(rng.normal(0.0, 2.0, size))
        return (p / p.sum()).astype(np.float32)
    if kind == "multilabel":
        return rng.uniform(0.05, 0.95, size).astype(np.float32)
    if kind == "boxes":
        boxes = rng.uniform(0.0, 0.5, (rng.integers(0, 4), 6)).astype(np.float32)
        boxes[:, 2:4] += 0.4
        boxes[:, 5] = rng.integers(0, size, len(boxes))
        return boxes
    return (rng.integers(0, 9, 1) if kind == "count" else rng.normal(3.0, 2.0, size)).astype(np.float32)


def a_task_with_samples(kind, count=150):
    outputs = {**SOURCES, "target": TARGETS[kind]}
    specs = {name: parse_spec({"name": name, "output": output}, where=name) for name, output in outputs.items()}
    rng = np.random.default_rng(0)
    size = {name: len(spec.output.classes) or max(1, spec.output.length) for name, spec in specs.items()}
    values = {name: [drawn(spec.output.kind, size[name], rng) for _ in range(count)] for name, spec in specs.items()}
    task = LinkTask({name: specs[name].output for name in SOURCES}, "target", specs["target"].output, {})
    return task, Samples.of(specs, np.arange(count) * 0.5, values)


def a_link(task, pairs, seed):
    link = DomainLink.start(task, moments_of(pairs), seed=seed)
    return link.with_weights(link.network.weights + np.random.default_rng(seed).normal(0.0, 0.3, task.shape.size))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("weights", [(1.0,), (0.3, 0.7)])
def test_a_link_s_file_says_what_the_link_says(tmp_path, kind, weights):
    task, samples = a_task_with_samples(kind)
    pairs = Pairs.of(task, samples)
    fused = FusedLink(task, tuple((a_link(task, pairs, seed), weight) for seed, weight in enumerate(weights)))
    confidence = Confidence(0.7, 0.2)
    spec = LinkSpec("target", samples.encodings, {}, "0", "domain")
    export_fused(fused, confidence, spec, tmp_path / "target.onnx")
    link = Link(tmp_path / "target.onnx")
    assert link.spec.dump() == spec.dump() and link.spec.sources == tuple(SOURCES)

    situations = Situations(samples, "target")
    inputs = np.arange(len(samples))
    draws = situations.fixed(inputs, inputs - 1, tuple(SOURCES))
    vectors, agree = link.predict_many(situations.features(draws))
    numbers = fused.predict(pairs.inputs)
    expected = task.form.values(numbers)
    np.testing.assert_allclose(samples.encodings["target"].decode_many(vectors), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(agree, confidence.of(task.form, numbers), atol=1e-4)


def test_the_confidence_is_how_often_answers_that_sure_agree():
    form = a_task_with_samples("label", count=60)[0].form
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.4, 1.0, 20_000)
    numbers = np.log(np.stack([sure, (1 - sure) / 2, (1 - sure) / 2], axis=1))
    agreements = (rng.random(len(sure)) < sure**2).astype(float)
    found = Confidence.fit(form, numbers, agreements).of(form, numbers)
    for low in (0.4, 0.6, 0.8):
        of = (sure >= low) & (sure < low + 0.2)
        assert found[of].mean() == pytest.approx((sure[of] ** 2).mean(), abs=0.03)


@pytest.mark.parametrize("agreements", [np.ones(18), np.zeros(18)])
def test_a_few_that_all_agree_promise_no_certainty(agreements):
    task, samples = a_task_with_samples("label", count=60)
    numbers = task.form.numbers(samples.values["target"][:18])
    found = Confidence.fit(task.form, numbers, agreements).of(task.form, numbers)
    assert np.abs(found - agreements).max() < 0.2 and np.abs(found - agreements).min() > 0.01


def test_of_numbers_nothing_tells_how_sure_they_are():
    form = a_task_with_samples("count", count=60)[0].form
    numbers = np.arange(8.0)[:, None]
    found = Confidence.fit(form, numbers, np.asarray([1, 1, 1, 0, 1, 1, 1, 1.0])).of(form, numbers)
    assert found == pytest.approx(np.full(8, found[0])) and 0.75 < found[0] < 0.88
