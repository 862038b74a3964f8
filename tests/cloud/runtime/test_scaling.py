"""A model whose inputs wait for it gets another process, and gives it up when it has nothing to do."""

import asyncio

import numpy as np
import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.meter import Reading
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.cloud.runtime.scaling import Scaling
from infilink.errors import ModelFailed
from infilink.models.process_child import Inferred

from .fake import Fake

FRAME = np.zeros((4, 4, 3), np.uint8)


class FakeWorker(Fake):
    """Runs until it is told to go on; every process takes 10 bytes."""

    def __init__(self):
        super().__init__()
        self.go, self.broken = asyncio.Event(), False

    async def infer(self, frame):
        await self.go.wait()
        return Inferred(np.ones(1), 0.01)

    async def grow(self):
        if self.broken:
            raise ModelFailed("it does not start")
        self.lanes += 1
        return 0.1

    async def unload(self):
        self.lanes = 1

    async def shrink(self):
        self.lanes -= 1
        return True


class Site:
    """One model that is loaded, and its inputs."""

    def __init__(self, *, limit_bytes=None, cores=2.0, fixed=()):
        self.worker = FakeWorker()
        workers = {"a": self.worker}
        memory = MemoryBudget(limit_bytes, {"a": 10})
        meter = type("Meter", (), {"read": lambda _: Reading({"a": 10 * self.worker.lanes})})()
        self.pool = ModelPool(workers, memory, RunQueue(workers), meter=meter)
        self.pool.queue.loaded.add("a")
        memory.reserve("a")
        self.scaling = Scaling(self.pool, cores=cores, fixed=fixed)
        self.runs = []

    async def ask(self, count):
        self.runs += [asyncio.create_task(self.pool.queue.run("a", FRAME)) for _ in range(count)]
        await asyncio.sleep(0)

    async def look(self, times):
        for _ in range(times):
            await self.scaling.adapt()

    async def end(self):
        self.worker.go.set()
        await asyncio.gather(*self.runs)


def test_it_grows_while_inputs_wait_and_shrinks_when_none_come_for_long():
    async def story():
        site = Site()
        await site.ask(3)
        await site.look(1)
        assert site.worker.lanes == 1, "a moment is not enough"
        await site.look(10)
        assert site.worker.lanes == 2, "as many as there are processors"
        assert len(site.pool.queue.running) == 1 and site.pool.queue.waiting() == {"a": 1}
        await site.end()
        await site.look(200)
        assert site.worker.lanes == 1 and site.pool.memory.need("a") == 10

    asyncio.run(story())


@pytest.mark.parametrize(
    ("options", "lanes"),
    [({"limit_bytes": 19}, 1), ({"limit_bytes": 20}, 2), ({"cores": 1.0}, 1), ({"fixed": ("a",)}, 1)],
    ids=["no room in the budget", "room for one", "one processor", "their number was set"],
)
def test_it_grows_no_further_than_it_may(options, lanes):
    async def story():
        site = Site(**options)
        await site.ask(3)
        await site.look(10)
        assert site.worker.lanes == lanes
        await site.end()

    asyncio.run(story())


def test_one_that_does_not_start_changes_nothing(caplog):
    async def story():
        site = Site()
        site.worker.broken = True
        await site.ask(3)
        await site.look(4)
        assert site.worker.lanes == 1 and "no other process can be started" in caplog.text
        await site.end()

    asyncio.run(story())


def test_what_is_left_of_a_budget_is_for_models_that_are_not_loaded():
    async def story():
        site = Site(limit_bytes=100)
        site.pool.workers["b"] = FakeWorker()
        await site.ask(3)
        await site.look(10)
        assert site.worker.lanes == 1
        await site.end()

    asyncio.run(story())


def test_a_model_that_is_unloaded_needs_one_process_when_it_comes_back():
    async def story():
        site = Site(limit_bytes=100)
        await site.ask(3)
        await site.look(10)
        assert site.pool.memory.need("a") == 20
        await site.end()
        await site.pool.unload("a")
        assert site.pool.memory.need("a") == 10 and site.worker.lanes == 1

    asyncio.run(story())
