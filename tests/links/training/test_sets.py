"""Which sets of sources are tried, and which are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.table import BUCKETS, NEVER, STEM, Measured, Table
from infilink.links.training.sets import ALL_UP_TO, KEPT, LEAST_PAIRS, PAIRS, TOGETHER, all_sets, candidates, winning
from infilink.outputs import Array


def nothing(sources: tuple[str, ...]) -> Array:
    return np.zeros(8)


def test_all_sets_of_few_sources_are_tried_with_and_without_the_stem() -> None:
    names = tuple("abcd")
    assert len(names) == ALL_UP_TO
    plain = candidates(names, nothing, np.ones(8), stem=False)
    assert plain == all_sets(names) and len(plain) == 16
    seen = candidates(names, nothing, np.ones(8), stem=True)
    assert seen == [*plain, *((*each, STEM) for each in plain)] and len(seen) <= KEPT


def test_of_many_those_are_tried_together_that_tell_different_parts() -> None:
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, 400))
    noise = 0.05 * rng.normal(size=(50, 400))
    names = tuple(f"m{at:02d}" for at in range(50))
    # All but two tell the same part, some better than others.
    tells = {name: 2.0 * parts[0] + noise[at] for at, name in enumerate(names)}
    tells["m07"], tells["m31"] = parts[1] + noise[7], parts[2] + noise[31]
    found = candidates(names, lambda sources: tells[sources[0]], 2.0 * parts[0] + parts[1] + parts[2], stem=False)
    pairs, larger = ([each for each in found if size(len(each))] for size in (lambda n: n == 2, lambda n: n > 2))
    assert len(pairs) == PAIRS * 50 and len(found) == 1 + 50 + len(pairs) + len(larger)
    # A pair of what tells the same adds nothing.
    assert all(set(each) & {"m07", "m31"} for each in pairs[: 2 * 48])
    assert [len(each) for each in larger] == list(range(3, TOGETHER + 1))
    assert all({"m07", "m31"} < set(each) for each in larger)
    assert all(list(each) == sorted(each) for each in found)


def test_what_tells_most_beside_the_stem_is_another_matter() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.normal(size=300)
    names = tuple(f"m{at}" for at in range(9))
    good = {False: ("m0", "m1"), True: ("m7", "m8")}

    def said(sources: tuple[str, ...]) -> Array:
        half = sources[0] in good[STEM in sources]
        return np.asarray(wanted * (np.arange(300) % 2 == int(sources[0][1:]) % 2) if half else rng.normal(size=300))

    found = candidates(names, said, wanted, stem=True)
    assert ("m0", "m1") in found and ("m7", "m8", STEM) in found
    best = next(each for each in found if len(each) == 3 and STEM not in each)
    assert {"m0", "m1"} < set(best)


@pytest.mark.parametrize("models", [5, 20, 80])
def test_what_is_tried_grows_as_the_number_of_sources(models: int) -> None:
    names = tuple(f"m{at}" for at in range(models))
    found = candidates(names, nothing, np.ones(8), stem=True)
    assert len(found) == len(set(found)) <= 2 * (1 + models + max(LEAST_PAIRS, PAIRS * models) + TOGETHER)


NAMES = tuple("abcde")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    chosen = [each for each in all_sets((*NAMES, STEM)) if draw(st.booleans())]

    def row(count: int) -> tuple[Measured, ...]:
        return tuple(Measured(value, value) for value in rng.uniform(0, 1, count).tolist())

    return Table(row(1)[0], row(NEVER), {each: row(BUCKETS) for each in chosen})


@given(tables(), st.integers(1, 40))
def test_what_is_kept_are_links_of_the_table_and_the_best_of_all_among_them(table: Table, most: int) -> None:
    kept = winning(table, most=most)
    assert len(kept.linked) <= most
    assert all(table.linked[each] == row for each, row in kept.linked.items())
    assert list(kept.linked) == [each for each in table.linked if each in kept.linked]
    assert (kept.constant, kept.held) == (table.constant, table.held)
    if len(table.pruned().linked) <= most:
        everything = frozenset((*NAMES, STEM))
        assert all(kept.choose(everything, age) == table.choose(everything, age) for age in range(BUCKETS))


def test_what_adds_to_others_is_kept_rather_than_what_is_good_but_like_them() -> None:
    held = (Measured(0.5, 0.5),) * NEVER
    rows = {("a",): 0.9, ("b",): 0.8, ("b", "c"): 0.85, ("a", "b"): 0.91}
    linked = {each: (Measured(value, value),) * BUCKETS for each, value in rows.items()}
    assert set(winning(Table(Measured(0.4, 0.4), held, linked), most=2).linked) == {("a",), ("b",)}
