"""A budget: the share that is sent is held whatever the scores become; no stretch exceeds it by more than stated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.budget import Budget, BudgetControl
from pydantic import ValidationError


def run(scores, budget, learnt=0.0):
    """What is sent of these scores."""
    control, sent = BudgetControl(budget), []
    for score in scores:
        sent.append(bool(score > control.threshold(learnt)))
        control.note(sent=sent[-1])
    return np.asarray(sent)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
def test_the_share_is_held_when_the_scene_has_changed(shift):
    # By 0 the threshold sends a tenth, as asked; 3 further up half of all, 3 further down next to nothing.
    scores = np.random.default_rng(0).logistic(np.log(1 / 9) + shift, 1.0, 20_000)
    sent = run(scores, Budget(share=0.1, reserve=60.0, step=1.0))
    assert sent[2000:].mean() == pytest.approx(0.1, rel=0.05)


@given(seed=st.integers(0, 99), share=st.floats(0.01, 0.5), reserve=st.floats(1.0, 40.0), step=st.floats(0.01, 10.0))
def test_no_stretch_exceeds_it_by_more_than_the_reserve(seed, share, reserve, step):
    random = np.random.default_rng(seed)
    scores = np.concatenate((random.normal(-5, 1, 100), np.full(200, 50.0), random.normal(0, 3, 100)))
    beyond = np.append(0.0, np.cumsum(run(scores, Budget(share=share, reserve=reserve, step=step)) - share))
    # The greatest rise over any stretch.
    assert (beyond - np.minimum.accumulate(beyond)).max() <= reserve + 1e-6


def test_a_new_stream_begins_at_the_learnt_threshold():
    control = BudgetControl(Budget.over(0.05, window_s=600.0, step_s=0.2, step=0.5))
    assert control.budget.reserve == pytest.approx(150.0)
    assert control.threshold(2.0) == pytest.approx(2.0)
    for _ in range(40):
        control.note(sent=True)
    assert control.threshold(2.0) > 2.3
    for _ in range(100):
        control.note(sent=True)
    assert control.threshold(2.0) == np.inf, "what is not there is not sent"
    control.reset()
    assert control.threshold(2.0) == pytest.approx(2.0)


def test_a_share_of_nothing_or_all_is_no_budget():
    for share in (0.0, 1.0):
        with pytest.raises(ValidationError):
            Budget(share=share, reserve=5.0, step=1.0)
