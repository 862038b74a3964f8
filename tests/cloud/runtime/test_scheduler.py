"""What runs on one input, and what happens when some of it fails."""

import asyncio

import numpy as np
import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.rotation import Rotation
from infilink.cloud.runtime.scheduler import Scheduler
from infilink.errors import BadOutput, ModelFailed
from infilink.links.planning.plan import Plan

FRAME = np.zeros((4, 4, 3), np.uint8)


class FakeWorker:
    pid = None

    def measure(self):
        return 0

    def __init__(self, value):
        self.value = value

    async def load(self, *, warm_up):
        pass

    async def unload(self):
        pass

    async def infer(self, frame):
        if isinstance(self.value, Exception):
            raise self.value
        return np.asarray([self.value], np.float32)


def run(one, due, *, wait):
    """All residents and these rotating models on one frame."""
    return one.run(FRAME, one.plan.resident, due, "x", wait=wait)


def scheduler(values, *, rotating=()):
    workers = {name: FakeWorker(value) for name, value in values.items()}
    plan = Plan(None, 0, tuple(name for name in values if name not in rotating), dict.fromkeys(rotating, 1.0))
    return Scheduler(plan, workers, Rotation(ModelPool(workers, MemoryBudget(None, {}))))


def test_a_model_that_fails_does_not_take_the_others_with_it():
    exact = asyncio.run(run(scheduler({"a": 1, "b": ModelFailed("b is broken")}), (), wait=False))
    assert list(exact) == ["a"]


def test_a_model_that_keeps_failing_is_logged_once(caplog):
    async def story():
        one = scheduler({"a": 1, "b": ModelFailed("b is broken")})
        for _ in range(3):
            await run(one, (), wait=False)
        one.workers["b"].value = 2
        await run(one, (), wait=False)
        one.workers["b"].value = ModelFailed("b is broken again")
        await run(one, (), wait=False)

    asyncio.run(story())
    assert [record.args[0].args[0] for record in caplog.records] == ["b is broken", "b is broken again"]


def test_a_model_with_a_bad_output_now_and_then_is_named_once_and_the_others_answer(caplog):
    async def story():
        one = scheduler({"a": 1, "b": 2})
        for value in (BadOutput("b: holds NaN"), 2) * 3:
            one.workers["b"].value = value
            assert list(await run(one, (), wait=False)) == (["a", "b"] if value == 2 else ["a"])

    asyncio.run(story())
    assert [record.args[0].args[0] for record in caplog.records] == ["b: holds NaN"]


def test_if_all_fail_the_input_fails_and_says_why():
    with pytest.raises(ModelFailed, match="b is broken; c too"):
        asyncio.run(run(scheduler({"b": ModelFailed("b is broken"), "c": ModelFailed("c too")}), (), wait=False))


def test_a_rotating_model_runs_on_a_later_input():
    async def story():
        one = scheduler({"a": 1, "r": 2}, rotating=("r",))
        task = asyncio.create_task(one.rotation.run())
        assert list(await run(one, ("r",), wait=False)) == ["a"]
        async with asyncio.timeout(10):
            while "r" not in await run(one, (), wait=False):
                await asyncio.sleep(0)
        assert list(await run(one, (), wait=False)) == ["a"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_an_input_that_may_wait_gets_the_rotating_model_at_once():
    async def story():
        one = scheduler({"a": 1, "r": 2, "s": 3}, rotating=("r", "s"))
        assert list(await run(one, ("r", "s"), wait=True)) == ["a", "r", "s"]
        assert list(await run(one, (), wait=True)) == ["a"]
        assert one.rotation.pool.is_loaded("r") and one.rotation.pool.is_loaded("s")

    asyncio.run(story())


def test_only_the_residents_that_are_to_look_at_it_run():
    one = scheduler({"a": 1, "b": 2})
    assert list(asyncio.run(one.run(FRAME, ["b"], (), "x", wait=False))) == ["b"]
    assert asyncio.run(one.run(FRAME, [], (), "x", wait=False)) == {}


def test_without_room_for_the_rotating_model_the_others_still_answer():
    async def story():
        one = scheduler({"a": 1, "r": 2}, rotating=("r",))
        one.rotation.pool.memory = MemoryBudget(10, {"r": 20})
        assert list(await run(one, ("r",), wait=True)) == ["a"]

    asyncio.run(story())
