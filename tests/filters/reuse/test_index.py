"""The index: exact, the same as looking at every vector, and whole after any changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.reuse.index import L1Index

DIMS = 3
VECTORS = st.lists(st.integers(-4, 4), min_size=DIMS, max_size=DIMS)
CHANGES = st.lists(st.tuples(st.integers(0, 7), st.none() | VECTORS), max_size=40)


def brute(held: dict[int, np.ndarray], query: np.ndarray) -> list[tuple[float, int]]:
    return sorted((float(np.abs(vector - query).sum()), row) for row, vector in held.items())


@settings(deadline=None)
@given(CHANGES, VECTORS, st.integers(1, 9))
def test_the_nearest_are_those_of_a_search_through_all(changes, query, neighbours):
    index, held = L1Index(DIMS, 8), {}
    for row, vector in changes:
        if vector is None:
            index.remove(row)
            held.pop(row, None)
        else:
            held[row] = np.asarray(vector, np.float32)
            index.put(row, held[row])
    distances, rows = index.nearest(np.asarray(query, np.float32), neighbours)
    assert len(index) == len(held)
    assert [*zip(distances.tolist(), rows.tolist(), strict=True)] == brute(held, np.asarray(query))[:neighbours]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_an_exact_repeat_is_its_own_nearest(seed):
    vectors = np.random.default_rng(seed).normal(0, 10.0 ** (seed % 7 - 3), (50, DIMS)).astype(np.float32)
    index = L1Index(DIMS, 50)
    for row, vector in enumerate(vectors):
        index.put(row, vector)
    for row, vector in enumerate(vectors):
        distances, rows = index.nearest(vector, 2)
        assert distances[0] == 0 and rows[0] == row


def test_above_its_size_it_finds_repeats_changes_and_nearly_all_neighbours():
    random = np.random.default_rng(0)
    centres = random.normal(0, 3, (40, 8))
    vectors = (centres[random.integers(0, 40, 2000)] + random.normal(0, 0.3, (2000, 8))).astype(np.float32)
    exact, index = L1Index(8, 2000), L1Index(8, 2000, approximate_above=500)
    for each in (exact, index):
        for row, vector in enumerate(vectors):
            each.put(row, vector)
    index.nearest(vectors[0], 1)
    for each in (exact, index):
        each.remove(5)
        each.put(6, vectors[7] + 0.01)
    found = 0
    for row in range(0, 2000, 20):
        distances, rows = index.nearest(vectors[row], 10)
        assert distances[0] == 0 or row == 5
        assert 5 not in rows and (np.diff(distances) >= 0).all()
        found += len({*rows.tolist()} & {*exact.nearest(vectors[row], 10)[1].tolist()})
    assert 6 in index.nearest(vectors[7], 3)[1]
    assert found >= 0.95 * 1000


def test_it_is_the_same_whenever_it_is_built():
    vectors = np.random.default_rng(1).normal(0, 1, (600, 16)).astype(np.float32)
    answers = []
    for _ in range(2):
        index = L1Index(16, 600, approximate_above=100)
        for row, vector in enumerate(vectors):
            index.put(row, vector)
        answers.append([index.nearest(vector + 0.1, 5)[1].tolist() for vector in vectors[:50]])
    assert answers[0] == answers[1]


def test_an_empty_one_finds_nothing_also_after_it_was_emptied():
    index = L1Index(2, 4)
    assert len(index.nearest(np.zeros(2), 3)[0]) == 0
    index.put(3, np.ones(2))
    index.remove(3)
    index.remove(3)
    assert len(index) == 0 and len(index.nearest(np.ones(2), 3)[0]) == 0


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((1, 2)), np.asarray([0.0, np.nan]), np.asarray([np.inf, 0.0])])
def test_what_is_no_vector_is_refused(wrong):
    index = L1Index(2, 4)
    with pytest.raises(InvalidInput, match="2 finite numbers"):
        index.put(0, wrong)
    with pytest.raises(InvalidInput, match="2 finite numbers"):
        index.nearest(wrong, 1)
    assert len(index) == 0


def test_wrong_sizes_are_refused():
    with pytest.raises(InvalidInput, match="capacity must be at least 1"):
        L1Index(2, 0)
    with pytest.raises(InvalidInput, match="row must be from 0 to 3"):
        L1Index(2, 4).put(4, np.zeros(2))
    with pytest.raises(InvalidInput, match="neighbours must be at least 1"):
        L1Index(2, 4).nearest(np.zeros(2), 0)
