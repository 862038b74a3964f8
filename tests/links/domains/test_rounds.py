"""The aggregator's arithmetic and the rounds without a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.links.domains.link import moments_of
from infilink.links.domains.moments import Moments, pool
from infilink.links.domains.rounds import Site, SiteChange, averaged, check_change
from infilink.links.domains.task import LinkTask
from infilink.outputs import OutputSpec

from ...bench.links.reference_rounds import RoundSettings, run_rounds

COUNT = OutputSpec(kind="count")


@given(st.integers(0, 1000), st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_pooled_moments_are_those_of_all_rows(seed, counts):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(5.0, 3.0, (count, 3)) for count in counts]
    pooled, whole = pool(Moments.of(part) for part in parts), Moments.of(np.concatenate(parts))
    assert pooled.count == whole.count
    np.testing.assert_allclose(pooled.mean, whole.mean)
    np.testing.assert_allclose(pooled.squares, whole.squares, atol=1e-9)


def test_the_mean_is_plain_unless_samples_are_asked_for():
    weights = np.zeros(2, np.float32)
    changes = {
        "small": SiteChange(np.asarray([1.0, 0.0], np.float32), 10),
        "large": SiteChange(np.asarray([0.0, 1.0], np.float32), 30),
    }
    np.testing.assert_allclose(averaged(weights, changes), [0.5, 0.5])
    np.testing.assert_allclose(averaged(weights, changes, by_samples=True), [0.25, 0.75])
    turned = dict(reversed(changes.items()))
    np.testing.assert_array_equal(averaged(weights, turned), averaged(weights, changes))


@pytest.mark.parametrize(
    ("change", "samples", "says"),
    [
        (np.zeros(3), 1, "holds 3 weights, the link has 2"),
        (np.asarray([0.0, np.nan]), 1, "NaN or infinity"),
        (np.asarray([0.0, -np.inf]), 1, "NaN or infinity"),
        (np.asarray([0.0, 1e6]), 1, "its norm is 1e\\+06"),
        (np.full(2, 3e38), 1, "its norm is"),
        (np.zeros(2), 0, "samples must be from 1"),
    ],
)
def test_a_change_that_would_spoil_the_mean_is_refused(change, samples, says):
    with pytest.raises(InvalidInput, match=says):
        check_change(SiteChange(change.astype(np.float32), samples), 2)


def sites(make_pairs, task, count=120):
    """Three places of one relation; one has twice the outputs."""
    return [
        Site("hall", task, make_pairs(1, count, slope=1.0)),
        Site("gym", task, make_pairs(2, count, slope=1.0)),
        Site("office", task, make_pairs(3, 2 * count, slope=1.0)),
    ]


def test_what_they_learn_together_serves_each(make_pairs, count_task):
    link = run_rounds(sites(make_pairs, count_task), RoundSettings(rounds=20))
    assert link.agreement(make_pairs(9, 300, slope=1.0)) > 0.9


def test_the_order_of_sites_changes_nothing_and_a_seed_repeats(make_pairs, count_task):
    found = [
        run_rounds(order, RoundSettings(rounds=3, seed=5)).network.weights
        for order in (sites(make_pairs, count_task), sites(make_pairs, count_task)[::-1])
    ]
    np.testing.assert_array_equal(*found)
    assert (run_rounds(sites(make_pairs, count_task), RoundSettings(rounds=3)).network.weights != found[0]).any()


def test_all_standardise_by_the_same(make_pairs, count_task):
    """Sites whose outputs have other means than the pooled would else average weights that mean different things."""
    all_sites = sites(make_pairs, count_task)
    link = run_rounds(all_sites, RoundSettings(rounds=1))
    everything = pool(moments_of(site.pairs) for site in all_sites).standard
    assert link.of_inputs.mean[0] == pytest.approx(everything.mean[0])
    assert link.of_targets.std[0] == pytest.approx(everything.std[1])


def test_who_is_absent_changes_only_its_rounds(make_pairs, count_task):
    all_sites = sites(make_pairs, count_task)
    two = [["hall", "gym"]] * 4
    without = run_rounds(all_sites, RoundSettings(rounds=4), present=two)
    assert (without.network.weights != run_rounds(all_sites, RoundSettings(rounds=4)).network.weights).any()


def test_sites_of_different_tasks_are_refused_and_it_says_in_what(make_pairs, count_task):
    other = LinkTask({"vehicles": COUNT}, "people", COUNT, {"vehicles": "v2", "people": "p1"})
    scalar = LinkTask({"vehicles": OutputSpec(kind="scalar")}, "people", COUNT, count_task.digests)
    assert len({count_task.hash, other.hash, scalar.hash}) == 3
    assert LinkTask.parse(count_task.dump(), where="here") == count_task
    pairs = make_pairs(0, 30)
    with pytest.raises(InvalidInput, match="digest of vehicles: v1 here, v2 there"):
        run_rounds([Site("a", count_task, pairs), Site("b", other, pairs)], RoundSettings(rounds=1))
    with pytest.raises(InvalidInput, match=r"vehicles\.kind: count here, scalar there"):
        run_rounds([Site("a", count_task, pairs), Site("b", scalar, pairs)], RoundSettings(rounds=1))
    with pytest.raises(InvalidInput, match="a name of its own"):
        run_rounds([Site("a", count_task, pairs), Site("a", count_task, pairs)], RoundSettings(rounds=1))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 1}', '{"format": 2}'])
def test_a_damaged_task_is_refused(text):
    with pytest.raises(InvalidInput, match="the wire"):
        LinkTask.parse(text, where="the wire")
