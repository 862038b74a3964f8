import json
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.planning.agreement import Expected, Outlook, best_route
from infilink.links.table import AGE_EDGES_S, BUCKETS, NEVER, Measured, Table, bucket, bucket_bounds_s

NAMES = ("a", "b", "c", "d")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    def cell() -> Measured:
        value = draw(st.floats(0, 1))
        return Measured(value, value)

    subsets = [of for size in range(4) for of in combinations(NAMES[:3], size)]
    chosen = draw(st.lists(st.sampled_from(subsets), unique=True))
    return Table(
        cell(),
        tuple(cell() for _ in range(NEVER)),
        {sources: tuple(cell() for _ in range(BUCKETS)) for sources in chosen},
    )


@given(tables(), st.integers(0, NEVER), st.frozensets(st.sampled_from(NAMES[:3])), st.sampled_from(NAMES[:3]))
@settings(deadline=None, max_examples=40)
def test_more_sources_never_promise_less(table: Table, age: int, available: frozenset[str], more: str) -> None:
    fewer = table.choose(available, age).measured.validation
    assert table.choose(available | {more}, age).measured.validation >= fewer
    assert table.choose(available, age).measured.validation >= table.free(age).measured.validation


@given(tables(), st.integers(0, NEVER))
@settings(deadline=None, max_examples=40)
def test_the_array_over_all_sets_says_what_choosing_says(table: Table, age: int) -> None:
    outlook = Outlook(1.5, 1.2)
    values = Expected.of(table, NAMES, outlook).by_sets(np.arange(len(NAMES)))[age]
    for mask in range(8):
        available = frozenset(name for index, name in enumerate(NAMES) if mask >> index & 1)
        assert values[mask] == outlook.expected(best_route(table, available, age, outlook))


def test_a_link_or_a_constant_must_be_better_than_what_is_held() -> None:
    held = tuple(Measured(0.8, 0.8) for _ in range(NEVER))
    same = tuple(Measured(0.8, 0.9) for _ in range(BUCKETS))
    better = tuple(Measured(0.81, 0.9) for _ in range(BUCKETS))
    constant = Measured(0.8, 0.5)
    assert Table(constant, held, {("a",): same}).choose(frozenset("a"), 2).origin == "held"
    assert Table(constant, held, {("a",): better}).choose(frozenset("a"), 2).origin == "linked"
    assert Table(constant, held, {("a",): better}).choose(frozenset("b"), 2).origin == "held"
    assert Table(Measured(0.81, 0.5), held).choose(frozenset("b"), 2).origin == "constant"
    assert Table(constant, held).choose(frozenset("b"), NEVER).origin == "constant"
    assert Table(constant, held).held_at(0.0) == 0.8


def test_ages_fall_into_buckets_that_cover_all_of_time() -> None:
    assert bucket(None) == NEVER
    assert bucket(0.0) == 0
    assert bucket(1e9) == NEVER - 1
    for age in (0.5, *AGE_EDGES_S, 1000.0):
        low, high = bucket_bounds_s(bucket(age))
        assert low <= age < high


@given(tables())
@settings(deadline=None, max_examples=20)
def test_a_table_survives_json(table: Table) -> None:
    again = Table.from_dict(json.loads(json.dumps(table.as_dict())))
    assert set(again.linked) == set(table.linked)
    assert abs(again.constant.validation - table.constant.validation) < 1e-6
