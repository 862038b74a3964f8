"""The pool of loaded models: never over the budget, nothing loaded twice, nobody left waiting."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.pool import ModelPool
from infilink.errors import ModelFailed, OutOfMemory


class FakeWorker:
    """Counts what is loaded, and lets others run while it loads."""

    def __init__(self, name, need, loaded, loads, *, fails=False):
        self.name, self.need, self.loaded, self.loads, self.fails = name, need, loaded, loads, fails

    @property
    def pid(self):
        return 1 if self.name in self.loaded else None

    def measure(self):
        return self.need if self.name in self.loaded else 0

    async def load(self, *, warm_up):
        assert self.name not in self.loaded
        self.loaded.add(self.name)
        self.loads.append(self.name)
        await asyncio.sleep(0)
        if self.fails:
            raise ModelFailed(f"{self.name} is broken")

    async def unload(self):
        await asyncio.sleep(0)
        self.loaded.discard(self.name)


def make_pool(needs, limit, *, broken=()):
    loaded, loads = set(), []
    workers = {name: FakeWorker(name, need, loaded, loads, fails=name in broken) for name, need in needs.items()}
    return ModelPool(workers, MemoryBudget(limit, needs)), loaded, loads


async def use(pool, name, *, steps=1):
    async with pool.lease(name):
        assert pool.is_loaded(name)
        for _ in range(steps):
            await asyncio.sleep(0)


def test_a_model_stays_until_another_needs_its_place():
    async def story():
        pool, loaded, loads = make_pool({"a": 4, "b": 4, "c": 4}, 8)
        for name in ("a", "b", "a", "c", "a"):
            await use(pool, name)
        assert loads == ["a", "b", "c"], "b was idle for longer than a"
        assert loaded == {"a", "c"}

    asyncio.run(story())


def test_a_large_model_waits_for_all_that_is_in_its_way():
    async def story():
        pool, loaded, _ = make_pool({"a": 4, "b": 4, "large": 8}, 8)
        async with asyncio.timeout(10):
            await asyncio.gather(use(pool, "a", steps=9), use(pool, "b", steps=5), use(pool, "large"), use(pool, "a"))
        assert loaded in ({"large"}, {"a"}, {"a", "b"})

    asyncio.run(story())


def test_what_never_fits_is_refused_at_once_and_costs_nobody_its_place():
    async def story():
        pool, _, _ = make_pool({"a": 4, "huge": 9}, 8)
        with pytest.raises(OutOfMemory):
            await use(pool, "huge")
        await use(pool, "a")

    asyncio.run(story())


def test_a_model_that_does_not_load_leaves_its_place_to_others():
    async def story():
        pool, loaded, _ = make_pool({"a": 8, "b": 8}, 8, broken=("a",))
        with pytest.raises(ModelFailed):
            await use(pool, "a")
        await use(pool, "b")
        assert loaded == {"b"} and pool.memory.reserved_bytes == 8

    asyncio.run(story())


def test_whoever_goes_away_while_room_is_made_leaves_no_room_lost():
    async def story():
        pool, loaded, _ = make_pool({"a": 8, "b": 8, "c": 8}, 8)
        for steps in range(8):
            await use(pool, "a")
            going = asyncio.create_task(use(pool, "b", steps=3))
            for _ in range(steps):
                await asyncio.sleep(0)
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            async with asyncio.timeout(10):
                await use(pool, "c")
            assert loaded == {"c"} and pool.memory.reserved_bytes == 8

    asyncio.run(story())


@given(
    needs=st.lists(st.integers(1, 8), min_size=1, max_size=6),
    uses=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=30),
)
def test_whatever_is_asked_for_together_all_get_it_within_the_budget(needs, uses):
    async def story():
        names = {str(index): need for index, need in enumerate(needs)}
        pool, loaded, _ = make_pool(names, 10)

        async def one(index, steps):
            name = str(index % len(needs))
            async with pool.lease(name):
                assert name in loaded
                assert sum(names[each] for each in loaded) <= 10
                for _ in range(steps):
                    await asyncio.sleep(0)

        async with asyncio.timeout(10):
            await asyncio.gather(*(one(*each) for each in uses))

    asyncio.run(story())


def test_a_resident_stays_whoever_comes_until_it_is_released():
    async def story():
        pool, loaded, loads = make_pool({"a": 4, "b": 4, "c": 4}, 8)
        await pool.pin("a")
        for name in ("b", "c", "b"):
            await use(pool, name)
            assert "a" in loaded
        await pool.unpin("a")
        await use(pool, "a")
        assert loads.count("a") == 1, "released, it stays loaded until its place is needed"
        await use(pool, "c")
        await use(pool, "b")
        assert loaded == {"b", "c"}

    asyncio.run(story())


def test_what_does_not_fit_beside_the_residents_is_refused_at_once():
    async def story():
        pool, _, _ = make_pool({"a": 4, "b": 6}, 8)
        await pool.pin("a")
        with pytest.raises(OutOfMemory):
            await use(pool, "b")
        await pool.unpin("a")
        await use(pool, "b")

    asyncio.run(story())


def test_whoever_waits_while_the_last_place_becomes_a_residents_is_refused():
    async def story():
        pool, loaded, _ = make_pool({"a": 4, "b": 4, "c": 4}, 8)
        await pool.pin("a")
        async with asyncio.timeout(10):
            _, refused = await asyncio.gather(pool.pin("b"), use(pool, "c"), return_exceptions=True)
        assert isinstance(refused, OutOfMemory) and loaded == {"a", "b"}

    asyncio.run(story())


def test_a_model_in_its_turn_becomes_a_resident_without_a_second_load():
    async def story():
        pool, loaded, loads = make_pool({"a": 4, "b": 4, "c": 4}, 8)
        await use(pool, "a")
        await pool.pin("a")
        await pool.pin("b")
        assert loads == ["a", "b"] and loaded == {"a", "b"}
        with pytest.raises(OutOfMemory):
            await use(pool, "c")

    asyncio.run(story())


def test_memory_is_measured_at_every_load_and_unload():
    async def story():
        pool, _, _ = make_pool({"a": 5, "b": 6}, 8)
        await use(pool, "a")
        assert (pool.memory.stats().samples, pool.memory.stats().peak_bytes) == (1, 5)
        pool.workers["a"].need = 7
        await use(pool, "b")
        stats = pool.memory.stats()
        assert (stats.samples, stats.memory_bytes, stats.peak_bytes) == (3, 6, 7), "a's last size, then b's first"

    asyncio.run(story())


def test_a_process_that_ends_while_others_are_measured_is_left_out():
    class Ending(FakeWorker):
        def measure(self):
            size = super().measure()
            self.loaded.discard("a")
            return size

    async def story():
        pool, loaded, _ = make_pool({"a": 4, "b": 4}, 8)
        pool.workers["b"] = Ending("b", 4, loaded, [])
        loaded |= {"a", "b"}
        await pool.sample()
        assert pool.memory.stats().memory_bytes == 4

    asyncio.run(story())
