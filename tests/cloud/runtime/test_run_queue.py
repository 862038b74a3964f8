"""Runs that wait for their model: the most worth first, few at once, and nobody longer than he said."""

import asyncio
from math import inf

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.models.process_child import Inferred

from .fake import Fake

FRAME = np.zeros((4, 4, 3), np.uint8)


class FakeWorker(Fake):
    """Runs until it is told to go on, and notes in which order it was asked."""

    def __init__(self, name, order, now):
        super().__init__()
        self.name, self.order, self.now = name, order, now
        self.go = asyncio.Event()

    async def infer(self, frame):
        self.order.append((self.name, int(frame[0, 0, 0])))
        self.now.add(self.name)
        await self.go.wait()
        self.now.remove(self.name)
        return Inferred(np.asarray([1.0]), 0.1, 0.1)


def make_queue(names, *, at_once=None):
    order, now = [], set()
    queue = RunQueue({name: FakeWorker(name, order, now) for name in names}, at_once=at_once)
    queue.loaded |= set(names)
    return queue, order, now


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def let_go(queue):
    for worker in queue.workers.values():
        worker.go.set()


def frame(number):
    return np.full_like(FRAME, number)


def test_the_most_worth_goes_first_and_the_oldest_among_equals():
    async def story():
        queue, order, _ = make_queue("a")
        worths = [1.0, 5.0, 2.0, 5.0, inf]
        runs = [asyncio.create_task(queue.run("a", frame(at), worth=worth)) for at, worth in enumerate(worths)]
        await settle()
        let_go(queue)
        await asyncio.gather(*runs)
        assert [number for _, number in order] == [0, 4, 1, 3, 2], "the first began at once"

    asyncio.run(story())


def test_only_so_many_run_at_once_whatever_model_they_wait_for():
    async def story():
        queue, order, now = make_queue("abc", at_once=2)
        runs = [asyncio.create_task(queue.run(name, FRAME, worth=at)) for at, name in enumerate("abc")]
        await settle()
        assert now == {"a", "b"} == set(queue.running)
        queue.workers["a"].go.set()
        await settle()
        assert now == {"b", "c"}
        let_go(queue)
        await asyncio.gather(*runs)
        assert not queue.running and len(order) == 3

    asyncio.run(story())


def test_a_run_whose_turn_does_not_come_in_time_is_left_out_and_one_that_began_is_not():
    async def story():
        queue, order, _ = make_queue("a")
        began = asyncio.create_task(queue.run("a", frame(1), within_s=1e-3))
        await settle()
        for number in range(2, 100):
            assert await queue.run("a", frame(number), within_s=1e-6) is None
        assert not queue._waiting["a"], "what is left out is forgotten"
        let_go(queue)
        assert (await began).cpu_s == 0.1 and order == [("a", 1)]

    asyncio.run(story())


def test_a_model_that_was_unloaded_before_the_turn_came_is_not_asked():
    async def story():
        queue, order, _ = make_queue("a")
        runs = [asyncio.create_task(queue.run("a", frame(number))) for number in range(2)]
        await settle()
        queue.loaded.clear()
        let_go(queue)
        assert (await runs[0]) is not None and (await runs[1]) is None
        assert order == [("a", 0)] and not queue.running

    asyncio.run(story())


def test_a_queue_is_drained_when_nothing_runs_or_waits_any_more():
    async def story():
        queue, order, _ = make_queue("a")
        runs = [asyncio.create_task(queue.run("a", FRAME)) for _ in range(3)]
        await settle()
        drained = asyncio.create_task(queue.drained("a"))
        await settle()
        assert not drained.done()
        let_go(queue)
        await drained
        assert len(order) == 3
        await asyncio.gather(*runs)

    asyncio.run(story())


@given(steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), max_size=20), at_once=st.integers(1, 3))
def test_whoever_goes_away_leaves_its_turn_to_the_others(steps, at_once):
    async def story():
        queue, _, _ = make_queue("ab", at_once=at_once)
        let_go(queue)
        for name, passes in steps:
            task = asyncio.create_task(queue.run(name, FRAME))
            for _ in range(passes):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(10):
            assert await queue.run("a", FRAME) is not None
        assert not queue.running and not any(queue._waiting.values())

    asyncio.run(story())
