"""The learned blend rises with age and with every difference, and its file computes what was learnt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.filters.blend import fit_blend
from infilink.filters.bounds import Bounds, rate_at
from infilink.filters.candidates import BlendCandidate
from infilink.filters.channels import SCALARS
from infilink.filters.graphs import blend_graph, session_of
from infilink.filters.losses import Losses
from infilink.filters.low_level import AREA
from infilink.filters.replay import Replay
from infilink.filters.rules import Unchanged
from infilink.filters.sweep import levels, sweep
from infilink.trace import Trace


@pytest.fixture(scope="module")
def learnt(trace_path):
    with Trace(trace_path) as trace:
        replay = Replay(trace, pairwise=True)
        losses = Losses(trace, ("scene",), Unchanged(1.0))
        return replay, losses, fit_blend(replay, losses, start=0, stop=160, seed=0)


def test_the_graph_computes_what_was_learnt(learnt):
    replay, _, blend = learnt
    candidate = BlendCandidate(session_of(blend_graph(blend)), replay)
    kept = np.asarray([3, 10, 40])
    now = np.full(3, 45)
    wanted = blend.scores(replay.scalars(kept, now), replay.low_level(kept, now)[:, AREA])
    assert np.allclose(candidate.scores(kept, 45), wanted, atol=1e-5)


@settings(deadline=None, max_examples=50)
@given(st.booleans(), st.floats(0.0, 0.5), st.integers(0, 2**31))
def test_more_age_or_area_never_lowers_the_score(learnt, older, more, seed):
    _, _, blend = learnt
    random = np.random.default_rng(seed)
    scalars = random.uniform(0, 0.5, (1, len(SCALARS))).astype(np.float32)
    area = random.uniform(0, 0.5, 1).astype(np.float32)
    before = blend.scores(scalars, area)[0]
    scalars[0, SCALARS.index("age")] += more * older
    area += more * (not older)
    assert blend.scores(scalars, area)[0] >= before - 1e-6


def test_it_beats_every_kth_where_pictures_tell(learnt):
    replay, losses, blend = learnt
    bounds = Bounds.of(losses, replay, 165, 260, 0.9)
    candidate = BlendCandidate(session_of(blend_graph(blend)), replay)
    run = sweep(
        candidate, levels(candidate, replay, start=165, stop=260), replay=replay, losses=losses, start=165, stop=260
    )
    assert rate_at(run, 0.9) > bounds.every + 0.1


def test_the_same_seed_learns_the_same(learnt):
    replay, losses, blend = learnt
    again = fit_blend(replay, losses, start=0, stop=160, seed=0)
    assert np.array_equal(again.hidden, blend.hidden) and again.last_bias == blend.last_bias
