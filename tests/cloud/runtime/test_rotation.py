"""Rotation: one model after another has its turn, and no input waits for a load."""

import asyncio

from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.rotation import Rotation
from infilink.errors import ModelFailed


class FakeWorker:
    """Records what is loaded and unloaded."""

    pid = None

    def measure(self):
        return 0

    def __init__(self, events, name, *, fails=False):
        self.events, self.name, self.fails = events, name, fails

    async def load(self, *, warm_up):
        self.events.append(f"load {self.name}")
        if self.fails:
            raise ModelFailed(f"{self.name} is broken")

    async def unload(self):
        self.events.append(f"unload {self.name}")


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def rotating(story, *, limit=100, needs=None, broken=(), idle_s=10.0):
    async def run():
        events, memory = [], MemoryBudget(limit, needs or {"a": 60, "b": 60})
        workers = {name: FakeWorker(events, name, fails=name in broken) for name in memory_names(memory)}
        rotation = Rotation(ModelPool(workers, memory), idle_s=idle_s)
        task = asyncio.create_task(rotation.run())
        try:
            await story(rotation, events, memory)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def memory_names(memory):
    return list(memory._needs)


def test_models_take_turns_and_each_stream_runs_it_once():
    async def story(rotation, events, memory):
        for stream in ("x", "y"):
            rotation.request("a", stream)
        rotation.request("b", "x")
        assert rotation.take("x") is None
        await until(lambda: rotation.take("x") == "a")
        assert events == ["load a"] and memory.reserved_bytes == 60
        assert rotation.take("x") is None
        rotation.done()
        assert rotation.take("y") == "a"
        rotation.done()
        await until(lambda: rotation.take("x") == "b")
        assert events == ["load a", "unload a", "load b"] and rotation.take("y") is None
        rotation.done()
        assert rotation.take("x") is None
        rotation.request("b", "y")
        await until(lambda: rotation.take("y") == "b")
        assert events == ["load a", "unload a", "load b"]

    rotating(story)


def test_a_model_for_which_there_is_no_room_is_passed_over():
    async def story(rotation, events, memory):
        rotation.request("a", "x")
        rotation.request("b", "x")
        await until(lambda: events == ["load b"])

    rotating(story, needs={"a": 200, "b": 50})


def test_a_model_that_does_not_load_holds_nobody_up():
    async def story(rotation, events, memory):
        rotation.request("a", "x")
        rotation.request("b", "x")
        await until(lambda: "load b" in events)
        assert events == ["load a", "unload a", "load b"] and memory.reserved_bytes == 60

    rotating(story, broken=("a",))


def test_a_stream_that_ends_is_not_waited_for():
    async def story(rotation, events, memory):
        rotation.request("a", "x")
        rotation.request("b", "y")
        await until(lambda: events == ["load a"])
        rotation.forget("x")
        await until(lambda: events == ["load a", "unload a", "load b"])

    rotating(story)


def test_a_model_nobody_comes_for_makes_way():
    async def story(rotation, events, memory):
        rotation.request("a", "x")
        rotation.request("b", "y")
        await until(lambda: "load b" in events)

    rotating(story, idle_s=0.0)
