"""A worker: the event loop asks its processes without waiting for them, and closes them whatever they do."""

import asyncio
import os
import signal

import numpy as np
import psutil
import pytest
from infilink.cloud.runtime.batching import Batching
from infilink.cloud.runtime.worker import Worker
from infilink.errors import ModelFailed
from infilink.models.process import ModelProcess, ProcessEnded
from infilink.models.process_child import FRAME, Work
from infilink.models.supervisor import Supervisor

from ...models.made import write_batching

BRIGHTNESSES = (80, 10, 200)


def work(brightness: int) -> Work:
    return Work({FRAME: np.full((48, 64, 3), brightness, np.uint8)})


def values(replies) -> list[int]:
    return [round(float(reply.value[0])) for reply in replies]


def test_a_worker_answers_in_the_order_asked_and_its_memory_is_free_after_unloading(model):
    async def story():
        one = Worker(Supervisor("bright", model))
        assert 0.0 <= await one.load() < 60.0
        replies = await one.run(list(map(work, BRIGHTNESSES)))
        assert values(replies) == list(BRIGHTNESSES)
        assert sum(reply.cpu_s for reply in replies) == pytest.approx(one.stats().cpu_s)
        taken = one.measure()
        assert taken > 2**20 and one.stats().memory_bytes == taken and one.stats().state == "loaded"
        pid = one.pid
        await one.unload()
        assert not psutil.pid_exists(pid) and one.measure() == 0
        stats = one.stats()
        assert (stats.state, stats.executions, stats.loads, stats.memory_bytes) == ("unloaded", 3, 1, 0)
        one.close()
        one.close()

    asyncio.run(story())


def test_several_processes_answer_at_once_and_what_one_did_stays_counted_when_it_goes(model):
    async def story():
        one = Worker(Supervisor("bright", model), processes=2)
        await one.load()
        os.kill(one.pid, signal.SIGSTOP)
        stands = asyncio.ensure_future(one.run([work(80)]))
        await asyncio.sleep(0)
        assert values(await one.run([work(10)])) == [10], "by the other one"
        os.kill(one.pid, signal.SIGCONT)
        assert values(await stands) == [80]
        assert one.lanes == one.stats().processes == 2
        assert await one.shrink() and not await one.shrink(), "the first stays"
        assert one.lanes == 1 and one.stats().executions == 2 and one.stats().loads == 2
        await one.unload()
        one.close()

    asyncio.run(story())


def test_it_is_unloaded_only_once_what_was_asked_is_answered(model):
    async def story():
        one = Worker(Supervisor("bright", model))
        await one.load()
        os.kill(one.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(one.run([work(80)]))
        await asyncio.sleep(0)
        unloaded = asyncio.ensure_future(one.unload())
        await asyncio.sleep(0)
        os.kill(one.pid, signal.SIGCONT)
        await unloaded
        assert values(await asked) == [80] and one.pid is None

    asyncio.run(story())


def test_closing_it_ends_what_it_is_doing(model):
    async def story():
        one = Worker(Supervisor("bright", model, repeat=True))
        await one.load(warm_up=False)
        pid = one.pid
        os.kill(pid, signal.SIGSTOP)
        # It stands still until it is closed, and the loop goes on.
        answer = asyncio.ensure_future(one.run([work(80)]))
        await asyncio.sleep(0)
        await asyncio.to_thread(one.close)
        with pytest.raises(ModelFailed):
            await answer
        assert not psutil.pid_exists(pid) and one.stats().loads == 1

    asyncio.run(story())


def test_a_process_that_hangs_is_ended_and_the_next_one_answers(model):
    async def story():
        one = Worker(Supervisor("bright", model, infer_timeout_s=0.3))
        await one.load()
        os.kill(one.pid, signal.SIGSTOP)
        with pytest.raises(ProcessEnded, match=r"no output after 0.3 s; its process was ended"):
            await one.run([work(80)])
        one.model.infer_timeout_s = 60.0
        assert values(await one.run([work(80)])) == [80]
        await one.unload()

    asyncio.run(story())


def test_whoever_is_cancelled_leaves_no_reply_to_the_next_one(model):
    async def story():
        one = Worker(Supervisor("bright", model))
        await one.load()
        os.kill(one.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(one.run([work(80)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        with pytest.raises(ProcessEnded):
            await one.run([work(10)])
        assert values(await one.run([work(10)])) == [10]
        await one.unload()

    asyncio.run(story())


def test_a_process_that_ends_while_nobody_asks_is_let_go_and_the_next_one_answers(model):
    async def story():
        one = Worker(Supervisor("bright", model))
        await one.load()
        assert values(await one.run([work(80)])) == [80]
        (lane,) = one._lanes
        assert not lane.idle.is_set(), "listened to until the next group"
        os.kill(one.pid, signal.SIGKILL)
        while not lane.idle.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(ProcessEnded):
            await one.run([work(10)])
        assert values(await one.run([work(10)])) == [10]
        one.close()
        assert one.pid is None, "on the event loop, as it has nothing to do"

    asyncio.run(story())


def test_a_worker_serves_one_event_loop_after_another(model):
    one = Worker(Supervisor("bright", model))
    asyncio.run(one.load())
    for brightness in BRIGHTNESSES:
        assert values(asyncio.run(one.run([work(brightness)]))) == [brightness]
    one.close()
    assert one.pid is None


def test_what_a_full_batch_takes_is_taken_when_it_is_loaded(tmp_path):
    groups = []

    class ToldProcess(ModelProcess):
        def send(self, works):
            groups.append(len(works))
            super().send(works)

    async def story():
        one = Worker(Supervisor("many", write_batching(tmp_path / "many.onnx"), kind=ToldProcess), batching=Batching(4))
        assert not one.batches
        await one.load()
        assert one.batches and groups == [1, 4]
        await one.unload()

    asyncio.run(story())
