"""What free gates keep: so many inputs, and what the gates at work would keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.gates.free import DifferenceGate
from infilink.filters.modalities.stream import SIDE, Shrinker
from infilink.filters.training.free_gates import (
    LAST_KEPT,
    PREVIOUS,
    difference_threshold,
    fit_free,
    keep_changed,
    keep_every,
    keep_free,
    keep_random,
)
from infilink.filters.training.replay import Replay

from ..conftest import draw


@given(st.integers(1, 500), st.data())
def test_as_many_are_kept_as_asked_for(inputs, data):
    kept = data.draw(st.integers(1, inputs))
    for keep in (keep_every, keep_random):
        found = keep(inputs, kept)
        assert found.sum() == kept and found[0]
    steps = np.diff(np.flatnonzero(keep_every(inputs, kept)))
    assert steps.size == 0 or steps.max() - steps.min() <= 1


def test_what_changed_is_what_the_gate_keeps():
    frames = draw(120, 3)[0]
    shrinker, gate = Shrinker(), DifferenceGate(0.01)
    pictures = np.stack([np.array(shrinker.shrink(frame)) for frame in frames])
    assert pictures.shape == (120, SIDE, SIDE)
    worked = [gate.decide(frame, 0.1 * i).keep for i, frame in enumerate(frames)]
    assert keep_changed(pictures, 0.01).tolist() == worked and 1 < sum(worked) < 120


def test_the_threshold_keeps_no_fewer_than_asked_for():
    random = np.random.default_rng(0)
    pictures = np.clip(np.cumsum(random.normal(0, 3, (200, 16, 16)), axis=0) + 120, 0, 255).astype(np.uint8)
    for kept in (1, 10, 50, 200):
        found = int(keep_changed(pictures, difference_threshold(pictures, kept)).sum())
        assert kept <= found <= kept + 4


@pytest.mark.parametrize("pairwise", [True, False])
def test_every_free_gate_sends_the_same(trace, pairwise):
    replay = Replay(trace.part(0, 80), pairwise=pairwise)
    found = keep_free(replay, 20)
    assert set(found) == {"random", "every K-th", LAST_KEPT} | (set() if pairwise else {PREVIOUS, "background"})
    assert all(keep[0] and 20 <= keep.sum() <= 24 for keep in found.values())


def test_thresholds_are_fitted_on_a_stretch(trace):
    replay = Replay(trace.part(0, 80), pairwise=False)
    fitted = fit_free(replay, 20, 80, rate=0.8)
    assert set(fitted) == {"difference"}
    assert 12 <= keep_changed(replay.pictures[20:80], fitted["difference"]).sum() <= 16
