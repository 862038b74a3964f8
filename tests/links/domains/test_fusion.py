"""Several predictions as one: never worse than the better one where it was chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.domains.fusion import Fusion
from infilink.links.domains.link import learn_link
from infilink.links.domains.task import Form, LinkTask, Pairs
from infilink.outputs import OutputSpec

COUNT = Form(OutputSpec(kind="count"))
SCENE = OutputSpec(kind="label", classes=("calm", "busy"))
LABEL = Form(OutputSpec(kind="label", classes=("a", "b", "c")))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([COUNT, LABEL]))
def test_it_is_never_worse_than_the_better_one_there(seed, count, form):
    rng = np.random.default_rng(seed)
    targets = rng.normal(2.0, 2.0, (40, form.length))
    predictions = {f"link {i}": targets + rng.normal(0.0, rng.uniform(0.1, 4.0), targets.shape) for i in range(count)}
    fused = Fusion.choose(form, predictions, targets)
    singles = [form.agreements(prediction, targets).mean() for prediction in predictions.values()]
    assert fused.agreement >= max(singles) == fused.best_single
    assert form.agreements(fused.predict(predictions), targets).mean() == pytest.approx(fused.agreement)
    assert sum(fused.weights.values()) == pytest.approx(1.0) and min(fused.weights.values()) >= 0.0


def test_two_that_err_apart_are_better_together_also_later():
    rng = np.random.default_rng(0)
    targets = np.rint(rng.uniform(0, 10, (600, 1)))
    predictions = {name: targets + rng.normal(0.0, 0.5, targets.shape) for name in ("local", "global")}
    first = {name: prediction[:300] for name, prediction in predictions.items()}
    later = {name: prediction[300:] for name, prediction in predictions.items()}
    fused = Fusion.choose(COUNT, first, targets[:300])
    alone = max(COUNT.agreements(prediction, targets[300:]).mean() for prediction in later.values())
    assert COUNT.agreements(fused.predict(later), targets[300:]).mean() > alone + 0.05


def test_links_of_other_tasks_help_one_of_the_same_target():
    """Cross-task: what people count tells of the scene where vehicles alone do not (TPAMI, "cross-task fusion")."""
    rng = np.random.default_rng(2)
    vehicles, people = (rng.integers(0, 8, (900, 1)).astype(float) for _ in range(2))
    busy = (vehicles + people > 7.0).astype(int)[:, 0]
    links, blocks = {}, {}
    for name, inputs in (("vehicles", vehicles), ("people", people)):
        task = LinkTask({name: COUNT.output}, "scene", SCENE, {})
        pairs = Pairs(inputs, task.form.numbers(np.eye(2)[busy]))
        train, blocks[name], report = pairs.blocks(0.5, 0.25, 0.25)
        links[name] = learn_link(task, train, blocks[name], seed=0)
        blocks[name] = (blocks[name], report)
    form = Form(SCENE)
    before, after = (
        {name: link.predict(blocks[name][block].inputs) for name, link in links.items()} for block in (0, 1)
    )
    fused = Fusion.choose(form, before, blocks["people"][0].targets)
    targets = blocks["people"][1].targets
    alone = max(form.agreements(prediction, targets).mean() for prediction in after.values())
    assert form.agreements(fused.predict(after), targets).mean() > alone + 0.05


def test_one_that_is_useless_gets_no_weight():
    rng = np.random.default_rng(1)
    targets = np.rint(rng.uniform(0, 10, (200, 1)))
    fused = Fusion.choose(COUNT, {"good": targets, "bad": rng.uniform(0, 10, targets.shape)}, targets)
    assert fused.weights == {"good": 1.0, "bad": 0.0}
    np.testing.assert_array_equal(fused.predict({"good": targets}), targets)


def test_logits_of_different_heights_are_told_apart_by_what_they_say():
    """Adding a constant to all of a row's logits changes nothing."""
    targets = LABEL.numbers(np.eye(3)[[0, 1, 2, 0]])
    predictions = {"one": targets, "high": targets + 100.0}
    fused = Fusion(LABEL, {"one": 0.5, "high": 0.5}, 1.0, 1.0)
    np.testing.assert_allclose(LABEL.values(fused.predict(predictions)), LABEL.values(targets), atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidInput, match="at least one"):
        Fusion.choose(COUNT, {}, np.zeros((3, 1)))
    with pytest.raises(InvalidInput, match="'a' has shape"):
        Fusion.choose(COUNT, {"a": np.zeros((2, 1))}, np.zeros((3, 1)))
    with pytest.raises(InvalidInput, match="b missing"):
        Fusion(COUNT, {"a": 0.5, "b": 0.5}, 1.0, 1.0).predict({"a": np.zeros((1, 1))})
