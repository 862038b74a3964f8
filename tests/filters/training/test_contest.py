"""Everything that competes, by name; `tests/checks/test_candidates.py` checks each of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import Rule, parse_rule
from infilink.filters.training.contest import ARRAYS, SKIP, UNCHANGED, Contest
from infilink.filters.training.entrants import Entrant
from infilink.filters.training.fit_loop import one_thread
from infilink.filters.training.graphs import compress, session_of
from infilink.filters.training.losses import Losses
from infilink.filters.training.temporal import NetworkCandidate
from infilink.filters.training.workload import Workload, read_inputs, split_of
from infilink.traces.trace import Trace

from .. import arrays

LEARNED = ("network", "image")
COUNT = parse_rule("value < 1")
REPEATS = parse_rule("unchanged")


def workload(trace: Trace, rule: Rule, modality: str = "") -> Workload:
    models = ("squares",) if trace.info.input == "image" else ("h",)
    losses, split = Losses(trace, models, rule), split_of(trace)
    return Workload(trace, losses, split, read_inputs(trace, losses, modality, inputs=split.trained), modality)


def enter(work: Workload, names: Sequence[str]) -> dict[str, Entrant]:
    with one_thread():
        return {each.candidate.name: each for each in Contest(work).enter(names)}


def without_stem(table):
    return [name for name in table if not name.startswith("stem")]


@pytest.fixture(scope="module")
def skip(short_trace_path):
    with Trace(short_trace_path) as trace:
        work = workload(trace, COUNT)
        yield work, enter(work, LEARNED)


@pytest.fixture(scope="module")
def unchanged(short_trace_path):
    with Trace(short_trace_path) as trace:
        work = workload(trace, REPEATS)
        yield work, enter(work, without_stem(UNCHANGED))


# A random draw of the file is another one than that of the calibration.
@pytest.mark.parametrize("name", LEARNED)
def test_what_sees_the_square_keeps_the_frames_with_a_square(name, skip):
    work, entered = skip
    later = range(work.split.calibrated, work.split.stop)
    scores = np.asarray([entered[name].candidate.scores(np.asarray([i - 1]), i)[0] for i in later])
    assert np.array_equal(scores > 0.5, work.losses.needed[0, later] > 0)
    assert entered[name].curve


def test_a_name_that_is_not_there_is_refused_with_those_that_are(skip, unchanged):
    for (work, _), table in ((skip, SKIP), (unchanged, UNCHANGED)):
        contest, there = Contest(work), tuple(without_stem(table))
        assert contest.names(["all"]) == there
        assert set(contest.names([])) < set(there)
        with pytest.raises(InvalidInput, match=f"candidate best: .* all, {next(iter(there))}"):
            contest.names(["best"])
    with pytest.raises(InvalidInput, match="there is no stem: give one with --stem"):
        Contest(skip[0]).names(["stem"])


def test_who_competes_on_arrays_hangs_on_what_they_are(tmp_path):
    with arrays.write(tmp_path / "t", "map", inputs=60, seed=1) as trace:
        assert Contest(workload(trace, arrays.RULE, "map")).names(["all"]) == tuple(without_stem(ARRAYS))
    with arrays.write(tmp_path / "s", "signal", inputs=60, seed=1) as trace:
        assert Contest(workload(trace, arrays.RULE, "signal")).names(["all"]) == ("network", "paper", "knn", "random")


def test_int8_is_a_quarter_of_the_size_and_scores_alike(skip):
    work, entered = skip
    large = entered["network"].graph
    small = compress(large)
    assert small.ByteSize() < 0.35 * large.ByteSize()
    rounded = NetworkCandidate(session_of(small), work.stream)
    for i in range(work.split.calibrated, work.split.stop):
        wanted = entered["network"].candidate.scores(np.asarray([i - 1]), i)
        assert rounded.scores(np.asarray([i - 1]), i) == pytest.approx(wanted, abs=0.05)
