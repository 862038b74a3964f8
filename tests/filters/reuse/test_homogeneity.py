"""The vote of near neighbours: bounds, independence of the number of classes, and who is asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.filters.reuse.cache import homogeneity, vote

COUNTS = st.lists(st.integers(1, 20), min_size=1, max_size=12).map(np.asarray)


@given(COUNTS, st.integers(1, 2000))
def test_theta_is_from_0_to_1_and_1_only_if_all_agree(counts, classes):
    theta = homogeneity(counts, max(classes, len(counts)))
    assert 0.0 <= theta <= 1.0
    assert (theta == 1.0) == (len(counts) == 1)


@given(st.integers(1, 30), st.integers(1, 2000))
def test_all_saying_the_same_is_1_whatever_the_number_of_classes(neighbours, classes):
    assert homogeneity(np.asarray([neighbours]), classes) == 1.0


@given(st.integers(2, 12), st.integers(1, 5))
def test_an_even_vote_among_all_that_there_are_is_0_whatever_their_number(classes, each):
    assert homogeneity(np.full(classes, each), classes) == pytest.approx(0.0, abs=1e-9)


@given(st.integers(2, 10), st.integers(10, 2000))
def test_more_classes_than_neighbours_change_nothing(neighbours, classes):
    assert homogeneity(np.ones(neighbours, int), classes) == pytest.approx(0.0, abs=1e-9)


def test_with_two_classes_a_miss_is_possible():
    # The paper's threshold of 0.5 can't be missed there: its least theta is 0.71.
    assert homogeneity(np.asarray([5, 5]), 2) < homogeneity(np.asarray([6, 4]), 2) < 0.5


def test_those_farther_than_the_mean_have_no_say():
    said = vote(np.asarray([1.0, 1.1, 9.0, 9.1, 9.2]), np.asarray([4, 4, 7, 7, 7]), 8)
    assert (said.place, said.theta, said.share) == (0, 1.0, 1.0)


def test_an_exact_repeat_is_not_outvoted():
    said = vote(np.asarray([0.0, 0.1, 0.1, 0.1]), np.asarray([1, 2, 2, 2]), 3)
    assert (said.place, said.theta) == (0, 1.0)


def test_repeats_that_contradict_each_other_are_not_homogeneous():
    said = vote(np.zeros(4, np.float32), np.asarray([1, 2, 1, 2]), 9)
    assert said.theta < 0.5 and said.share == 0.5


def test_the_nearest_of_the_majority_answers():
    said = vote(np.asarray([1.0, 1.0, 1.0, 1.0]), np.asarray([3, 2, 2, 3]), 4)
    assert said.place == 0
    assert vote(np.asarray([1.0, 1.0, 1.0]), np.asarray([3, 2, 2]), 4).place == 1


@given(st.floats(1e-30, 1e30), st.integers(1, 20))
def test_equal_distances_are_all_asked(distance, neighbours):
    distances = np.full(neighbours, distance, np.float32)
    keys = np.arange(neighbours)
    assert vote(distances, keys, neighbours).share == 1 / neighbours
