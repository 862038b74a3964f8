import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.reselection.discounted import Discounted
from infilink.links.reselection.posterior import Posterior, Seen
from infilink.links.table import BUCKETS, NEVER, Measured, Table

TABLE = Table(
    Measured(0.3, 0.3),
    tuple(Measured(0.9 - 0.05 * age, 0.9) for age in range(NEVER)),
    {("a",): tuple(Measured(0.8, 0.8) for _ in range(BUCKETS))},
)


def linked(agreement: float, age: int = 2) -> Seen:
    return Seen("t", "linked", ("a",), age, agreement)


def test_what_was_never_seen_stays_as_it_was_measured() -> None:
    assert Posterior(TABLE).table(TABLE) == TABLE


def test_what_is_seen_moves_its_own_cell_most_the_other_ages_too_and_is_forgotten_again() -> None:
    posterior = Posterior(TABLE, weight=10.0)
    posterior.observe([linked(0.0)] * 10)
    moved = posterior.table(TABLE)
    assert moved.linked["a",][2].validation == pytest.approx(0.2)
    assert moved.linked["a",][3].validation == pytest.approx(0.4)
    assert moved.held == TABLE.held and moved.constant == TABLE.constant
    for _ in range(40):
        posterior.forget()
    assert posterior.table(TABLE).linked["a",][2].validation == pytest.approx(0.8, abs=1e-3)


def test_ways_that_the_table_does_not_have_are_passed_over() -> None:
    posterior = Posterior(TABLE)
    posterior.observe([Seen("t", "linked", ("a", "b"), 0, 0.0)])
    assert posterior.table(TABLE) == TABLE and posterior.weight == 0.0


def test_a_prior_that_moved_moves_what_was_not_seen_here() -> None:
    posterior, everywhere = Posterior(TABLE, weight=10.0), Posterior(TABLE, weight=10.0)
    everywhere.observe([linked(0.0)] * 10)
    assert posterior.table(everywhere.table(TABLE)) == everywhere.table(TABLE)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=50),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.floats(0.5, 1.0),
)
def test_means_stay_between_prior_and_what_was_seen(seen, prior, kept) -> None:
    one = Discounted(np.asarray(prior))
    for place, agreement in seen:
        one.add((np.asarray([place]),), np.asarray([agreement]))
        one.forget(kept)
    for place, mean in enumerate(one.means()):
        values = [prior[place], *(agreement for at, agreement in seen if at == place)]
        assert min(values) - 1e-9 <= mean <= max(values) + 1e-9


def test_one_agreement_may_be_seen_many_times_at_once() -> None:
    one = Discounted(np.zeros(2), weight=2.0)
    one.add((np.asarray([1, 1]),), np.asarray([1.0, 1.0]))
    assert one.means().tolist() == [0.0, 0.5]


def test_a_row_is_not_moved_twice_by_what_moved_its_prior() -> None:
    cells = Discounted(np.full((1, 3), 0.8), weight=10.0)
    cells.add((np.zeros(30, int), np.arange(30) % 3), np.full(30, 0.2))
    assert cells.pooled(np.full((1, 3), 0.2)) == pytest.approx(np.full((1, 3), 0.2))
