"""Runs that wait for their model: the most worth first, few at once, and nobody longer than he said."""

import asyncio
import gc
import time
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.runtime.batching import Batching
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.errors import BadOutput, DeadlineExceeded, ModelFailed, QueueFull
from infilink.models.process import ProcessEnded
from infilink.models.process_child import FRAME as NAME
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
        assert "a" not in queue._waiting, "what is left out is forgotten"
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
        assert not queue.running and not len(queue._waiting)

    asyncio.run(story())


def test_what_would_end_after_its_deadline_does_not_begin():
    async def story():
        queue, order, _ = make_queue("a")
        now_s = [1000.0]
        queue.clock = lambda: now_s[0]
        began = asyncio.create_task(queue.run("a", frame(0)))
        await settle()
        late = asyncio.create_task(queue.run("a", frame(1), deadline_s=1001.0))
        soon = asyncio.create_task(queue.run("a", frame(2), deadline_s=1009.0))
        await settle()
        now_s[0] = 1000.9
        let_go(queue)
        assert await began is not None and await soon is not None
        with pytest.raises(DeadlineExceeded, match="a: the deadline passed"):
            await late
        assert order == [("a", 0), ("a", 2)] and queue.expired == 1, "it takes .9 s"

    asyncio.run(story())


def test_nobody_waits_beyond_the_deadline_even_for_what_runs():
    async def story():
        queue, _, _ = make_queue("a")
        with pytest.raises(DeadlineExceeded):
            await queue.run("a", frame(0), deadline_s=time.monotonic() + 0.01)
        let_go(queue)
        assert await queue.run("a", frame(1)) is not None

    asyncio.run(story())


def test_an_input_is_refused_where_those_before_it_make_it_late_and_told_when_to_come_again():
    async def story():
        queue, _, _ = make_queue("a")
        now_s = [1000.0]
        queue.clock = lambda: now_s[0]
        first = asyncio.create_task(queue.run("a", frame(0)))
        await settle()
        now_s[0] += 2.0
        let_go(queue)
        await first
        assert queue.expected_s("a") == pytest.approx(2.0), "what one takes"
        with queue.admitted("a", 1005.0):
            with pytest.raises(QueueFull, match="too much waits") as refused, queue.admitted("a", 1005.0):
                raise AssertionError
            assert refused.value.retry_after_s == pytest.approx(1002.0 + 1.3 * 4.0 - 1005.0)
            with queue.admitted("a", 1008.0), queue.admitted("a"):
                pass
        with queue.admitted("a", 1005.0):
            pass
        with pytest.raises(DeadlineExceeded), queue.admitted("a", 1001.0):
            raise AssertionError
        queue.answered(1e6)
        with queue.admitted("a", 1003.0), pytest.raises(QueueFull), queue.admitted("a", 1003.0):
            raise AssertionError("one always goes, or nobody would see that it is fast again")

    asyncio.run(story())


def test_what_waits_behind_an_input_is_no_reason_to_refuse_it():
    async def story():
        queue, order, _ = make_queue("a")
        now_s = [1000.0]
        queue.clock = lambda: now_s[0]
        queue._took_s["a"] = 1.0
        first = asyncio.create_task(queue.run("a", frame(0)))
        behind = [asyncio.create_task(queue.run("a", frame(9), worth=-2.0)) for _ in range(5)]
        await settle()
        with queue.admitted("a", worth=-2.0), queue.admitted("a", 1004.0):
            assert queue.expected_s("a") == pytest.approx(2.0) and queue.expected_s("a", -2.0) == pytest.approx(7.0)
            with pytest.raises(QueueFull, match="too much waits"), queue.admitted("a", 1004.0, worth=-2.0):
                raise AssertionError
        let_go(queue)
        await asyncio.gather(first, *behind)
        assert len(order) == 6

    asyncio.run(story())


def test_inputs_for_a_model_that_hangs_hold_up_no_others():
    async def story():
        queue = RunQueue({}, ahead=2)
        async with queue.turn(["hangs"]), queue.turn(["hangs"]):
            third = asyncio.create_task(queue.turn(["hangs"]).__aenter__())
            async with queue.turn(["fine"]), queue.turn(["hangs", "fine"]):
                await settle()
                assert not third.done()
        await third

    asyncio.run(story())


def test_where_too_many_wait_one_that_is_worth_less_goes_for_one_that_is_worth_more():
    async def story():
        queue, order, _ = make_queue("ab")
        queue.most_waiting = 2
        runs = [asyncio.create_task(queue.run("a", frame(number), worth=-2.0)) for number in range(3)]
        await settle()
        with queue.admitted("b"), pytest.raises(QueueFull, match="2 inputs wait"), queue.admitted("b", worth=-3.0):
            raise AssertionError
        runs.append(asyncio.create_task(queue.run("a", frame(3))))
        await settle()
        with pytest.raises(QueueFull, match="2 inputs wait for models already"):
            await runs.pop(2)
        let_go(queue)
        await asyncio.gather(*runs)
        assert order == [("a", 0), ("a", 3), ("a", 1)]

    asyncio.run(story())


def test_only_so_many_wait():
    async def story():
        queue, order, _ = make_queue("a")
        queue.most_waiting = 3
        runs = [asyncio.create_task(queue.run("a", frame(number))) for number in range(4)]
        await settle()
        for refused in (queue.run("a", frame(9)), queue.run("b", frame(9))):
            with pytest.raises(QueueFull, match="3 inputs wait for models already"):
                await refused
        let_go(queue)
        await asyncio.gather(*runs)
        assert len(order) == 4

    asyncio.run(story())


def test_whose_caller_went_away_does_not_run():
    async def story():
        queue, order, _ = make_queue("a")
        runs = [asyncio.create_task(queue.run("a", frame(number))) for number in range(3)]
        await settle()
        runs[1].cancel()
        await settle()
        assert queue.inputs.stats().held_bytes > 0
        let_go(queue)
        await asyncio.gather(*runs, return_exceptions=True)
        assert order == [("a", 0), ("a", 2)]
        runs.clear()
        await settle()
        assert queue.inputs.stats().held_bytes == 0

    asyncio.run(story())


class Counted(Fake):
    """Takes whatever it is given at once, and notes the sizes; ends on input 13."""

    def __init__(self, *, lanes=1, batching=None):
        super().__init__()
        self.lanes, self.sizes, self.now, self.most = lanes, [], 0, 0
        self.batching, self.batches = batching or self.batching, batching is not None

    async def run(self, works):
        self.sizes.append(len(works))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if any(work.tensors[NAME][0, 0, 0] == 13 for work in works):
            raise ProcessEnded("a: its process has ended")
        return [Inferred(work.tensors[NAME][0, 0, :1], 0.001) for work in works]


def test_a_model_runs_in_as_many_processes_as_it_has():
    async def story():
        worker = Counted(lanes=3)
        queue = RunQueue({"a": worker})
        queue.loaded.add("a")
        await asyncio.gather(*(queue.run("a", frame(number)) for number in range(10)))
        assert worker.most == 3

    asyncio.run(story())


def test_those_that_wait_share_a_run_and_each_gets_its_own_answer():
    async def story():
        worker = Counted(batching=Batching(4))
        queue = RunQueue({"a": worker})
        queue.loaded.add("a")
        replies = await asyncio.gather(*(queue.run("a", frame(number)) for number in range(9)))
        assert [int(reply.value[0]) for reply in replies] == list(range(9))
        assert sum(worker.sizes) == 9 and max(worker.sizes) == 4

    asyncio.run(story())


def test_an_input_waits_for_others_no_longer_than_the_delay():
    async def story():
        worker = Counted(batching=Batching(2, delay_s=0.01))
        queue = RunQueue({"a": worker})
        queue.loaded.add("a")
        await queue.run("a", frame(1))
        await asyncio.gather(*(queue.run("a", frame(number)) for number in range(2)))
        assert worker.sizes == [1, 2]

    asyncio.run(story())


def test_an_input_that_ends_a_process_is_tried_once_more_alone_and_the_others_are_answered():
    async def story():
        worker = Counted(batching=Batching(4))
        queue = RunQueue({"a": worker})
        queue.loaded.add("a")
        runs = [queue.run("a", frame(number)) for number in (1, 2, 13, 3, 4)]
        *_, replies = await asyncio.gather(asyncio.sleep(0), asyncio.gather(*runs, return_exceptions=True))
        assert [type(reply).__name__ for reply in replies].count("ProcessEnded") == 1
        assert isinstance(replies[2], ProcessEnded)
        assert not queue.running and not len(queue._waiting)

    asyncio.run(story())


def test_a_worker_that_breaks_leaves_nobody_waiting():
    class Broken(Fake):
        async def run(self, works):
            raise RuntimeError("broken")

    async def story():
        queue = RunQueue({"a": Broken()})
        queue.loaded.add("a")
        with pytest.raises(ModelFailed, match="a: RuntimeError: broken"):
            await queue.run("a", frame(1))
        assert not queue.running

    asyncio.run(story())


def test_an_input_that_failed_or_was_late_gives_its_memory_back_at_once():
    class Failing(Fake):
        async def infer(self, frame):
            raise BadOutput("a: no")

    async def story():
        queue = RunQueue({"a": Failing()})
        queue.loaded.add("a")
        gc.disable()
        try:
            for deadline_s in (inf, 0.0):
                with pytest.raises((BadOutput, DeadlineExceeded)):
                    await queue.run("a", np.zeros((200, 200, 3), np.uint8), deadline_s=deadline_s)
            await settle()
            assert queue.inputs.stats().held_bytes == 0
        finally:
            gc.enable()

    asyncio.run(story())
