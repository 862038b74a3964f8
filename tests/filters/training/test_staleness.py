"""The learned blend rises with age, difference and expected changes, and its file computes what was learnt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.filters.modalities.stream import AGE, SCALARS
from infilink.filters.rules.parser import Unchanged
from infilink.filters.training.change_rate import fit_change_rate
from infilink.filters.training.graphs import session_of
from infilink.filters.training.losses import Losses
from infilink.filters.training.replay import Replay
from infilink.filters.training.staleness import (
    TOP,
    StalenessCandidate,
    fit_staleness,
    staleness_features,
    staleness_graph,
)
from infilink.filters.training.sweep import Bounds, levels, rate_at, sweep
from infilink.traces.trace import Trace

TRAINED = 160


@pytest.fixture(scope="module")
def learnt(trace_path):
    with Trace(trace_path) as trace:
        replay = Replay(trace, pairwise=True)
        losses = Losses(trace, ("scene",), Unchanged(1.0))
        rate = fit_change_rate(replay, losses, start=0, stop=TRAINED)
        return replay, losses, rate, fit_staleness(replay, losses, rate, start=0, stop=TRAINED, seed=0)


def candidate_of(learnt) -> StalenessCandidate:
    replay, _, rate, model = learnt
    return StalenessCandidate(session_of(staleness_graph(rate, model)), rate, replay)


def test_the_graph_computes_what_was_learnt(learnt):
    replay, _, rate, model = learnt
    kept = np.asarray([3, 10, 40])
    now = np.full(3, 45)
    changes = rate.changes(replay)
    wanted = model.scores(staleness_features(replay.scalars(kept, now), changes[45] - changes[kept]))
    assert np.allclose(candidate_of(learnt).scores(kept, 45), wanted, atol=1e-5)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(("age", "top", "changes")), st.floats(0.0, 0.5), st.integers(0, 2**31))
def test_more_age_difference_or_change_never_lowers_the_score(learnt, what, more, seed):
    model = learnt[-1]
    random = np.random.default_rng(seed)
    scalars = random.uniform(0, 0.5, (1, len(SCALARS))).astype(np.float32)
    changes = random.uniform(0, 0.5, 1)
    before = model.scores(staleness_features(scalars, changes))[0]
    scalars[0, AGE] += more * (what == "age")
    scalars[0, TOP] += more * (what == "top")
    after = model.scores(staleness_features(scalars, changes + more * (what == "changes")))[0]
    assert after >= before - 1e-6


def test_where_pictures_tell_it_drops_what_knowing_the_outputs_would(learnt):
    replay, losses, _, _ = learnt
    bounds = Bounds.of(losses, replay, 165, 260, 0.9)
    candidate = candidate_of(learnt)
    run = sweep(
        candidate, levels(candidate, replay, start=165, stop=260), replay=replay, losses=losses, start=165, stop=260
    )
    assert bounds.every + 0.1 < bounds.optimal
    assert rate_at(run, 0.9) == pytest.approx(bounds.optimal, abs=0.03)


def test_the_same_seed_learns_the_same(learnt):
    replay, losses, rate, model = learnt
    again = fit_staleness(replay, losses, rate, start=0, stop=TRAINED, seed=0)
    assert np.array_equal(again.weights, model.weights) and again.bias == model.bias
