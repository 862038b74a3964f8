"""The result cache: what it gives, what it must not give, who makes room, and many threads at once."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.reuse.cache import Hit, Miss, ResultCache
from infilink.filters.reuse.store import CacheSettings
from infilink.outputs import OutputSpec

LABEL = OutputSpec(kind="label", classes=("a", "b", "c"))


def new_cache(*, gate: float = 1.0, theta: float = 0.5, **options) -> ResultCache:
    return ResultCache(LABEL, dims=2, version="v1", gate=gate, theta=theta, settings=CacheSettings(**options))


def at(x: float, y: float = 0.0) -> np.ndarray:
    return np.asarray([x, y], np.float32)


def say(label: int) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[label]


def holds(cache: ResultCache) -> set[float]:
    return {float(entry.embedding[0]) for entry in cache.entries()}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-50, 50, width=32), st.integers(0, 2)), min_size=1, max_size=30), st.floats(0, 1))
def test_an_exact_repeat_is_given_whatever_is_around_it(inserted, theta):
    cache = new_cache(gate=0.0, theta=theta, capacity=30)
    said = dict(inserted)
    for x, label in said.items():
        cache.insert(at(x), say(label), "v1", 0.0)
    for x, label in said.items():
        hit = cache.lookup(at(x), 1.0)
        assert isinstance(hit, Hit) and hit.distance == 0 and hit.theta == 1.0
        assert np.argmax(hit.output) == label and hit.age_s == 1.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=30), st.floats(0, 360), st.floats(11, 1e6))
def test_what_is_beyond_the_gate_is_never_given(inserted, degrees, far):
    cache = new_cache(gate=1.0, theta=0.0)
    for x in inserted:
        cache.insert(at(x), say(0), "v1", 0.0)
    radians = np.radians(degrees)
    assert isinstance(cache.lookup(at(float(far * np.cos(radians)), float(far * np.sin(radians))), 0.0), Miss)
    assert cache.stats().misses["too far"] == 1


def test_misses_say_why():
    cache = new_cache(ttl_s=10.0)
    assert cache.lookup(at(0), 0.0) == Miss("empty", np.inf)
    cache.insert(at(0), say(0), "v1", 0.0)
    assert cache.lookup(at(9), 0.0) == Miss("too far", 9.0)
    cache.insert(at(0, 0.5), say(1), "v1", 5.0)
    assert cache.lookup(at(0, 0.25), 6.0) == Miss("not homogeneous", 0.25)
    assert isinstance(cache.lookup(at(0), 6.0), Hit)
    assert cache.lookup(at(0, -0.9), 14.0) == Miss("expired", pytest.approx(1.4))
    stats = cache.stats()
    assert stats.misses == {"empty": 1, "too far": 1, "not homogeneous": 1, "expired": 1}
    assert stats.hits == 1 and stats.entries == 1


def test_neighbours_that_disagree_give_nothing():
    cache = new_cache(gate=2.0)
    for i, label in enumerate((0, 1, 0, 1)):
        cache.insert(at(0.1 * i, 1.0), say(label), "v1", 0.0)
    assert isinstance(cache.lookup(at(0.15, 0.0), 0.0), Miss)
    assert cache.stats().misses["not homogeneous"] == 1


def test_a_result_expires_on_the_callers_clock_also_if_it_went_back():
    cache = new_cache(ttl_s=10.0)
    cache.insert(at(0), say(0), "v1", 100.0)
    assert isinstance(cache.lookup(at(0), 109.9), Hit)
    assert isinstance(cache.lookup(at(0), 110.0), Miss)
    assert cache.stats().misses["expired"] == 1 and len(cache) == 0
    cache.insert(at(0), say(0), "v1", 100.0)
    assert isinstance(cache.lookup(at(0), 50.0), Miss)


def test_an_expired_one_does_not_hide_a_fresh_one():
    cache = new_cache(ttl_s=10.0)
    cache.insert(at(0), say(0), "v1", 0.0)
    cache.insert(at(0.5), say(1), "v1", 8.0)
    hit = cache.lookup(at(0), 12.0)
    assert isinstance(hit, Hit) and np.argmax(hit.output) == 1


def test_expired_ones_make_room_first():
    cache = new_cache(ttl_s=10.0, capacity=2, eviction="lfu")
    cache.insert(at(0), say(0), "v1", 0.0)
    for _ in range(5):
        cache.lookup(at(0), 1.0)
    cache.insert(at(10), say(0), "v1", 9.0)
    cache.insert(at(20), say(0), "v1", 11.0)
    assert holds(cache) == {10.0, 20.0} and cache.stats().evicted == 0


def test_the_least_recently_used_makes_room():
    cache = new_cache(capacity=2)
    cache.insert(at(0), say(0), "v1", 0.0)
    cache.insert(at(10), say(0), "v1", 0.0)
    cache.lookup(at(0), 0.0)
    cache.insert(at(20), say(0), "v1", 0.0)
    assert holds(cache) == {0.0, 20.0} and cache.stats().evicted == 1


def test_the_least_frequently_used_makes_room():
    cache = new_cache(capacity=2, eviction="lfu")
    cache.insert(at(0), say(0), "v1", 0.0)
    cache.insert(at(10), say(0), "v1", 0.0)
    for x in (0, 0, 10):
        cache.lookup(at(x), 0.0)
    cache.insert(at(20), say(0), "v1", 0.0)
    assert holds(cache) == {0.0, 20.0}


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2), st.booleans()), max_size=60),
    st.sampled_from(("lru", "lfu")),
)
def test_it_never_holds_more_than_its_capacity(calls, eviction):
    cache = new_cache(gate=0.2, capacity=5, eviction=eviction, neighbours=3)
    for x, label, looks in calls:
        if looks:
            cache.lookup(at(x), 0.0)
        else:
            cache.insert(at(x), say(label), "v1", 0.0)
        assert len(cache) == len(cache.entries()) <= 5


def test_a_repeat_renews_its_entry():
    cache = new_cache(ttl_s=10.0)
    cache.insert(at(0), say(0), "v1", 0.0)
    cache.insert(at(0), say(0), "v1", 8.0)
    assert len(cache) == 1 and isinstance(cache.lookup(at(0), 17.0), Hit)


def test_results_of_another_version_are_dropped_and_not_taken():
    cache = new_cache()
    cache.insert(at(0), say(0), "v1", 0.0)
    cache.use_version("v1")
    assert len(cache) == 1
    cache.use_version("v2")
    assert len(cache) == 0 and isinstance(cache.lookup(at(0), 0.0), Miss)
    assert not cache.insert(at(0), say(0), "v1", 0.0)
    assert len(cache) == 0
    assert cache.insert(at(0), say(1), "v2", 0.0) and isinstance(cache.lookup(at(0), 0.0), Hit)


def test_what_is_given_is_a_copy_nobody_can_change():
    cache, output = new_cache(), say(0)
    cache.insert(at(0), output, "v1", 0.0)
    output[:] = 0
    hit = cache.lookup(at(0), 0.0)
    assert isinstance(hit, Hit) and hit.output[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        hit.output[0] = 5


def test_what_does_not_fit_is_refused_and_changes_nothing():
    cache = new_cache(capacity=1)
    cache.insert(at(0), say(0), "v1", 0.0)
    with pytest.raises(InvalidInput, match="shape"):
        cache.insert(at(1), np.zeros(7), "v1", 0.0)
    with pytest.raises(InvalidInput, match="2 finite numbers"):
        cache.insert(np.zeros(3), say(0), "v1", 0.0)
    with pytest.raises(InvalidInput, match="2 finite numbers"):
        cache.lookup(at(np.nan), 0.0)
    assert isinstance(cache.lookup(at(0), 0.0), Hit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"capacity": 0},
        {"neighbours": 0},
        {"ttl_s": 0.0},
        {"ttl_s": float("nan")},
        {"eviction": "fifo"},
        {"step": 0.0},
        {"at_least": 1.5},
        {"gate": -1.0},
        {"gate": float("inf")},
        {"theta": 1.1},
    ],
)
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(InvalidInput, match=f"{next(iter(wrong))} must be"):
        new_cache(**wrong)


def test_many_threads_at_once_leave_it_whole():
    cache = new_cache(gate=0.4, capacity=50, ttl_s=500.0)
    wrong: list[str] = []
    ready = threading.Barrier(8)

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        ready.wait()
        try:
            for now_s in range(400):
                x = int(random.integers(0, 90))
                hit = cache.lookup(at(x), now_s)
                if isinstance(hit, Hit) and (np.argmax(hit.output) != x % 3 or hit.distance != 0):
                    wrong.append(f"{x}: {hit}")
                cache.insert(at(x), say(x % 3), "v1", now_s)
                if seed == 0 and now_s % 100 == 0:
                    cache.use_version("v2")
                    cache.use_version("v1")
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert wrong == []
    assert stats.entries == len(cache.entries()) == len(holds(cache)) <= 50
    assert stats.hits + sum(stats.misses.values()) == 8 * 400
