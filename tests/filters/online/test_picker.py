"""What a live filter keeps to be labelled: within its share, with true probabilities, whatever the scores do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.filters.online.picker import Picker


def run(scores, *, threshold, share, seed=0):
    """For each input, with what probability it was picked, or 0; and whether it was kept anyway."""
    picker = Picker(share, np.random.default_rng(seed))
    kept = scores > threshold
    return np.asarray([picker.take(float(score), kept=bool(k)) for score, k in zip(scores, kept, strict=True)]), kept


def stream(inputs, seed):
    """Scores that wander, as a scene does."""
    random = np.random.default_rng(seed)
    return np.clip(0.3 + 0.2 * np.sin(np.arange(inputs) / 300) + random.normal(0, 0.1, inputs), 0, 1)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_it_spends_its_share_of_all_inputs_and_no_more(share):
    scores = stream(6000, seed=1)
    picked, kept = run(scores, threshold=0.45, share=share)
    spent = ((picked > 0) & ~kept).sum()
    assert 0.8 * share * 6000 < spent < share * 6000 + 108
    assert (picked[kept] == 1.0).all()


@settings(max_examples=30, deadline=None)
@given(
    levels=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    share=st.floats(0.01, 0.5),
    threshold=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_sudden_changes_do_not_break_the_share(levels, share, threshold, seed):
    random = np.random.default_rng(seed)
    scores = np.clip(np.repeat(levels, 300) + random.normal(0, 0.02, 300 * len(levels)), 0, 1)
    picked, kept = run(scores, threshold=threshold, share=share, seed=seed)
    assert ((picked >= 0) & (picked <= 1)).all()
    # By lot it may draw more than it should, by a few deviations; what it may save is 108 inputs.
    assert ((picked > 0) & ~kept).sum() <= share * len(scores) + 108 + 4 * np.sqrt(len(scores) * share)


def test_its_labels_are_an_unbiased_sample_of_all_inputs():
    scores = stream(800, seed=3)
    values = np.sin(np.arange(800) / 50) + scores
    sums = []
    for seed in range(150):
        picked, _ = run(scores, threshold=0.4, share=0.1, seed=seed)
        rows = picked > 0
        sums.append(float((values[rows] / picked[rows]).sum()))
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - values.sum()) < 3 * error
    assert error < 0.02 * values.sum()


def test_half_of_it_goes_to_what_the_filter_is_least_sure_of():
    random = np.random.default_rng(0)
    scores = random.uniform(0, 0.5, 4000)
    picked, kept = run(scores, threshold=0.5, share=0.1)
    assert not kept.any()
    certain = picked == 1.0
    assert certain.sum() == pytest.approx(190, abs=20)
    assert scores[certain].min() > 0.45
    assert scores[(picked > 0) & ~certain].mean() == pytest.approx(0.24, abs=0.03)


def test_a_filter_that_skips_little_has_all_of_it_labelled():
    scores = np.tile([0.9] * 49 + [0.1], 60)
    picked, kept = run(scores, threshold=0.5, share=0.1)
    assert (picked[~kept][10:] > 0).mean() > 0.9


def test_another_filter_s_scores_are_not_compared_with_the_old_ones():
    picker = Picker(0.2, np.random.default_rng(0))
    for score in np.linspace(0.0, 0.1, 100):
        picker.take(float(score), kept=False)
    picker.renew()
    # By the old scores each of these would be among the least sure.
    assert not any(picker.take(0.3, kept=False) == 1.0 for _ in range(20))
