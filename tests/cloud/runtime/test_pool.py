"""The pool of loaded models: never over the budget, and nothing is unloaded that runs."""

import asyncio

import numpy as np
import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.errors import ModelFailed, OutOfMemory
from infilink.models.process_child import Inferred

from .fake import Fake

FRAME = np.zeros((4, 4, 3), np.uint8)


class FakeWorker(Fake):
    """Counts what is loaded, and lets others run while it loads."""

    def __init__(self, name, need, loaded, *, fails=False):
        super().__init__()
        self.name, self.need, self.loaded, self.fails = name, need, loaded, fails

    @property
    def pid(self):
        return 1 if self.name in self.loaded else None

    def measure(self):
        return self.need if self.name in self.loaded else 0

    async def load(self):
        self.loaded.append(self.name)
        await asyncio.sleep(0)
        if self.fails:
            raise ModelFailed(f"{self.name} is broken")
        return 0.1

    async def infer(self, frame):
        await asyncio.sleep(0)
        assert self.name in self.loaded
        return Inferred(np.zeros(1), 0.0)

    async def unload(self):
        await asyncio.sleep(0)
        self.loaded.remove(self.name)


def make_pool(needs, limit, *, broken=()):
    loaded = []
    workers = {name: FakeWorker(name, need, loaded, fails=name in broken) for name, need in needs.items()}
    return ModelPool(workers, MemoryBudget(limit, needs), RunQueue(workers)), loaded


def test_what_does_not_fit_is_refused_before_it_is_loaded():
    async def story():
        pool, loaded = make_pool({"a": 4, "b": 6}, 8)
        await pool.load("a")
        with pytest.raises(OutOfMemory):
            await pool.load("b")
        assert loaded == ["a"]
        await pool.unload("a")
        await pool.load("b")
        assert loaded == ["b"] and pool.queue.loaded == {"b"} and pool.memory.reserved == {"b"}

    asyncio.run(story())


def test_a_model_that_does_not_load_leaves_its_place_to_others():
    async def story():
        pool, loaded = make_pool({"a": 8, "b": 8}, 8, broken=("a",))
        with pytest.raises(ModelFailed):
            await pool.load("a")
        await pool.load("b")
        assert loaded == ["b"] and pool.memory.reserved_bytes == 8

    asyncio.run(story())


def test_what_runs_or_waits_ends_before_its_model_goes():
    async def story():
        pool, loaded = make_pool({"a": 4}, 8)
        await pool.load("a")
        runs = [asyncio.create_task(pool.queue.run("a", FRAME)) for _ in range(3)]
        await asyncio.sleep(0)
        await pool.unload("a")
        assert not loaded and not pool.queue.loaded and not pool.memory.reserved
        await asyncio.gather(*runs)

    asyncio.run(story())


def test_memory_is_measured_at_every_load_and_unload_and_counts_from_then_on():
    async def story():
        pool, _ = make_pool({"a": 5, "b": 6}, 8)
        await pool.load("a")
        assert (pool.memory.stats().samples, pool.memory.stats().peak_bytes) == (1, 5)
        pool.workers["a"].need = 7
        await pool.unload("a")
        await pool.load("b")
        stats = pool.memory.stats()
        assert (stats.samples, stats.memory_bytes, stats.peak_bytes) == (3, 6, 7), "a's last size, then b's first"
        assert pool.memory.need("a") == 7

    asyncio.run(story())


def test_a_process_that_ends_while_others_are_measured_is_left_out():
    class Ending(FakeWorker):
        def measure(self):
            size = super().measure()
            self.loaded.remove("a")
            return size

    async def story():
        pool, loaded = make_pool({"a": 4, "b": 4}, 8)
        pool.workers["b"] = Ending("b", 4, loaded)
        loaded += ["a", "b"]
        await pool.sample()
        assert pool.memory.stats().memory_bytes == 4

    asyncio.run(story())
