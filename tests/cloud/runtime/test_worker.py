"""A worker: the event loop asks its model without waiting for it, and closes it whatever it does."""

import asyncio
import os
import signal
import threading

import numpy as np
import psutil
import pytest
from infilink.cloud.runtime.worker import Worker
from infilink.errors import ModelFailed
from infilink.models.process import ModelProcess
from infilink.models.supervisor import Supervisor

BRIGHTNESSES = (80, 10, 200)


def frame(brightness: int):
    return np.full((48, 64, 3), brightness, np.uint8)


def test_a_worker_answers_in_the_order_asked_and_its_memory_is_free_after_unloading(model):
    async def story():
        one = Worker(Supervisor("bright", model))
        assert 0.0 <= await one.load() < 60.0
        answers = await asyncio.gather(*(one.infer(frame(brightness)) for brightness in BRIGHTNESSES))
        assert [round(float(answer.value[0])) for answer in answers] == list(BRIGHTNESSES)
        assert sum(answer.cpu_s for answer in answers) == pytest.approx(one.stats().cpu_s)
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


def test_closing_it_ends_what_it_is_doing(model):
    begun = threading.Event()

    class ToldProcess(ModelProcess):
        def infer(self, frame, *, timeout_s=None):
            begun.set()
            return super().infer(frame, timeout_s=timeout_s)

    async def story():
        one = Worker(Supervisor("bright", model, repeat=True, kind=ToldProcess))
        await one.load(warm_up=False)
        pid = one.pid
        os.kill(pid, signal.SIGSTOP)
        # It stands still until it is closed, and the loop goes on.
        answer = asyncio.ensure_future(one.infer(frame(80)))
        await asyncio.to_thread(begun.wait)
        one.close()
        with pytest.raises(ModelFailed):
            await answer
        assert not psutil.pid_exists(pid) and one.stats().loads == 1

    asyncio.run(story())
