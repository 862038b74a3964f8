"""What a stem's head says beside the last kept answer: an exact repeat is nearest; used unless it has told less."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import Unchanged
from infilink.filters.training.entrants import Entry
from infilink.filters.training.fit_loop import one_thread
from infilink.filters.training.losses import Losses
from infilink.filters.training.stem_staleness import (
    StemStalenessCandidate,
    answer_distances,
    blend_entrant,
    chosen,
    stem_entrant,
)
from infilink.filters.training.stem_view import StemView
from infilink.filters.training.workload import Workload, read_inputs, split_of
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ..stems import write_stem

NUMBERS = arrays(np.float64, (3, 4), elements=st.floats(-50, 50))


@pytest.fixture(scope="module")
def work(trace_path, tmp_path_factory):
    """A trace whose stem has the answer among its features."""
    stem = Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))
    with Trace(trace_path) as trace:
        losses, split = Losses(trace, ("scene",), Unchanged(1.0)), split_of(trace)
        inputs = read_inputs(trace, losses, "", inputs=split.trained)
        random = np.random.default_rng(0)
        features = random.normal(0, 0.1, (len(trace), stem.spec.length)).astype(np.float32)
        features[:, :3] += np.stack(trace.outputs("scene"))
        yield Workload(trace, losses, split, inputs, seen=StemView(stem, trace, features))


@settings(max_examples=50, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS)
def test_nothing_is_nearer_than_an_exact_repeat(now, then, answer):
    repeated, found = answer_distances(then, then, answer), answer_distances(now, then, answer)
    assert (repeated <= found).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_more_of_any_distance_never_lowers_the_score(work, seed):
    random = np.random.default_rng(seed)
    model = stem_of(work).model.model
    features = random.normal(0, 1, (1, 6)).astype(np.float32)
    more = features + random.uniform(0, 1, 6).astype(np.float32)
    assert model.scores(more)[0] >= model.scores(features)[0] - 1e-9


_made = {}


def stem_of(work) -> StemStalenessCandidate:
    if "stem" not in _made:
        with one_thread():
            _made["stem"] = stem_entrant(work, Entry("stem")).candidate
    return _made["stem"]


def test_where_the_stem_tells_it_is_used(work):
    with one_thread():
        assert chosen(work, Entry("blend"))
        made = blend_entrant(work, Entry("blend"))
    assert made.candidate.name == "blend" and made.stem is not None
    assert made.compared == {"scene": (0, 1, 2)}


def test_without_a_stem_or_with_too_little_to_choose_by_it_is_not(work):
    assert blend_entrant(replace(work, seen=None), Entry("blend")).stem is None
    assert not chosen(replace(work, split=replace(work.split, trained=100)), Entry("blend"))


def test_where_a_head_misleads_it_is_not(work):
    """What the features say turns round in the middle of what is learnt from."""
    features = work.view.features.copy()
    middle = work.split.trained // 2
    features[middle:, :3] = np.random.default_rng(1).permutation(features[middle:, :3])
    seen = replace(work.view, features=features)
    with one_thread():
        assert not chosen(replace(work, seen=seen), Entry("blend"))


def test_answers_that_never_change_have_no_head(work):
    outputs = [work.trace.outputs("scene")[0]] * len(work.trace)
    trace = Constant(work.trace, outputs)
    with pytest.raises(InvalidInput, match="candidate stem: a head reads counts, labels and numbers"):
        stem_entrant(replace(work, trace=trace), Entry("stem"))


class Constant:
    """A trace whose outputs are given."""

    def __init__(self, trace: Trace, outputs: list[np.ndarray]) -> None:
        self.models, self._outputs = trace.models, outputs

    def outputs(self, model: str) -> list[np.ndarray]:
        return self._outputs
