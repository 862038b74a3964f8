"""What is lost on an input that is not kept, by the rule: the one loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.filters.rules.loss import rule_loss
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.losses import Losses
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("person", "car"))
COUNT = OutputSpec(kind="count")
LABEL = OutputSpec(kind="label", classes=("a", "b", "c"))


def boxes(*classes: int) -> np.ndarray:
    return np.asarray([[0.1, 0.1, 0.2, 0.2, 0.9, each] for each in classes], np.float32).reshape(-1, 6)


@pytest.mark.parametrize(
    ("rule", "exact", "spec", "lost"),
    [
        ("count(person) == 0", boxes(1), BOXES, 0.0),
        ("count(person) == 0", boxes(0, 1), BOXES, 1.0),
        ("count(car) <= 4", boxes(1, 1, 1), BOXES, 0.0),
        ("value <= 3", np.asarray([2.0], np.float32), COUNT, 0.0),
        ("value <= 3", np.asarray([4.0], np.float32), COUNT, 1.0),
        ("label in (a, b)", np.asarray([0.1, 0.8, 0.1], np.float32), LABEL, 0.0),
        ("label in (a, b)", np.asarray([0.1, 0.1, 0.8], np.float32), LABEL, 1.0),
    ],
)
def test_a_skipped_input_loses_what_the_rule_needs_and_not_what_the_empty_answer_leaves_out(rule, exact, spec, lost):
    assert rule_loss(parse_rule(rule), {"m": spec.empty()}, {"m": exact}, {"m": spec}) == lost


def test_a_reused_answer_loses_what_it_disagrees_over_all_models():
    said = {"a": boxes(1), "b": boxes(0, 1)}
    outputs = dict.fromkeys(said, BOXES)

    def lost(rule: str, **answers: np.ndarray | None) -> float:
        return rule_loss(parse_rule(rule), answers, said, outputs)

    assert lost("unchanged") == 0.0
    assert lost("unchanged", a=boxes(1), b=boxes(0)) == pytest.approx((1 - 2 / 3) / 2)
    assert lost("unchanged", b=boxes(0)) == pytest.approx((1 - 2 / 3) / 2), "the other model ran"
    assert lost("unchanged", a=None) == 0.5
    assert lost("unchanged >= 0.8", b=boxes(0)) == 0.0 and lost("unchanged >= 0.9", b=boxes(0)) == 1.0
    assert lost("unchanged within iou 0.9", a=boxes(1), b=boxes(0)) == 0.5
    assert rule_loss(parse_rule("empty"), {}, {}, {}) == 0.0


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["value < 1", "unchanged", "unchanged >= 0.9"]), st.integers(0, 259), st.integers(0, 259))
def test_it_is_the_loss_that_is_trained_for(trace_path, rule, kept, current):
    from infilink.traces.trace import Trace

    with Trace(trace_path) as trace:
        losses = Losses(trace, ("squares",), parse_rule(rule))
        held, exact = (trace.outputs("squares")[i] for i in (kept, current))
        found = rule_loss(
            losses.rule, {"squares": held}, {"squares": exact}, {"squares": trace.models["squares"].output}
        )
        assert found == pytest.approx(float(losses.of(np.asarray([kept]), np.asarray([current]))[0]))
