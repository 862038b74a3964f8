"""A worker: loaded, asked, started again when its process dies, and gone when it is unloaded."""

import asyncio
import os
import signal
import time

import numpy as np
import psutil
import pytest
from infilink.cloud.runtime.worker import Worker
from infilink.errors import InvalidInput, ModelFailed

FRAME = np.full((48, 64, 3), 80, np.uint8)


def worker(path, **options):
    return Worker("bright", path, **options)


def pid_of(one):
    return one._process.pid


def test_a_worker_answers_and_its_memory_is_free_after_unloading(model):
    async def story():
        one = worker(model)
        await one.load()
        assert float((await one.infer(FRAME))[0]) == pytest.approx(80, abs=1)
        assert one.measure() > 2**20 and one.stats().state == "loaded"
        pid = pid_of(one)
        await one.unload()
        assert not psutil.pid_exists(pid) and one.measure() == 0
        assert (one.stats().state, one.stats().executions, one.stats().loads) == ("unloaded", 1, 1)
        one.close()
        one.close()

    asyncio.run(story())


def test_a_process_that_was_killed_is_started_again_and_the_input_answered(model):
    async def story():
        one = worker(model)
        await one.load()
        os.kill(pid_of(one), signal.SIGKILL)
        assert float((await one.infer(FRAME))[0]) == pytest.approx(80, abs=1)
        assert one.stats().loads == 2
        one.close()

    asyncio.run(story())


def test_a_process_that_does_not_come_back_is_an_error_and_not_tried_at_once_again(model, tmp_path):
    async def story():
        path = tmp_path / model.name
        for suffix in (".onnx", ".toml"):
            path.with_suffix(suffix).write_bytes(model.with_suffix(suffix).read_bytes())
        one = worker(path)
        await one.load()
        path.unlink()
        os.kill(pid_of(one), signal.SIGKILL)
        with pytest.raises(InvalidInput, match="no such file"):
            await one.infer(FRAME)
        with pytest.raises(ModelFailed, match="does not stay alive"):
            await one.infer(FRAME)
        assert one.stats().state == "failed"
        one.close()

    asyncio.run(story())


def test_an_inference_that_hangs_is_ended_by_the_next_measurement(model):
    async def story():
        one = worker(model, infer_timeout_s=0.0)
        await one.load()
        first = pid_of(one)
        os.kill(first, signal.SIGSTOP)
        answer = asyncio.create_task(one.infer(FRAME))
        ends = time.monotonic() + 30
        while not answer.done() and psutil.pid_exists(first) and time.monotonic() < ends:
            await asyncio.to_thread(one.measure)
        one.infer_timeout_s = 30.0
        assert float((await answer)[0]) == pytest.approx(80, abs=1)
        assert one.stats().loads == 2
        one.close()

    asyncio.run(story())
