"""A card's memory over loads and unloads: a real process with several models, its own memory taken for the card's."""

import asyncio
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from infilink.cloud.runtime.card import Card
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.meter import Reading
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.cloud.runtime.worker import Worker
from infilink.errors import InvalidInput, OutOfMemory
from infilink.models.shared_process import SharedModelProcess, SharedProcess
from infilink.models.supervisor import Supervisor

from ..made import write_damaged, write_number

MIB = 2**20
FRAME = np.full((16, 16, 3), 100, np.uint8)
SIZES = {"one": 8 * MIB, "two": 16 * MIB, "three": 24 * MIB}


class ProcessMeter:
    """Takes the process's own memory for the card's, and what is said to be lost on top of it."""

    total_bytes = 2**30

    def __init__(self, process):
        self.process, self.lost_bytes, self.lost_in = process, 0, None

    def read(self):
        lost = self.lost_bytes if self.process.pid == self.lost_in else 0
        return Reading(whole_bytes=self.process.memory_bytes() + lost)

    def lose(self, size_bytes):
        self.lost_bytes, self.lost_in = size_bytes, self.process.pid


@pytest.fixture
def shared():
    with closing(SharedProcess("cuda:0")) as shared:
        yield shared


@pytest.fixture
def make_pool(shared, tmp_path):
    pools = []

    def make(limit_bytes, *, first_bytes=64 * MIB):
        workers = {}
        for at, (name, size_bytes) in enumerate(SIZES.items()):
            path = write_number(tmp_path / f"{name}.onnx", at, size_bytes=size_bytes)
            workers[name] = worker(path)
        budget = MemoryBudget(limit_bytes, {}, first_bytes=first_bytes, place="cuda:0")
        card = Card("cuda:0", ProcessMeter(shared), budget, shared)
        places = dict.fromkeys(workers, "cuda:0")
        pool = ModelPool(workers, MemoryBudget(None, {}), RunQueue(workers), cards={"cuda:0": card}, places=places)
        pools.append(pool)
        return pool, card

    def worker(path):
        return Worker(Supervisor(path.stem, path, kind=partial(SharedModelProcess, shared=shared)))

    make.worker = worker
    yield make
    for pool in pools:
        for each in pool.workers.values():
            each.close()
        pool.close()


async def says(pool, name):
    return float((await pool.queue.run(name, FRAME)).value[0])


def test_a_model_needs_what_its_load_added_and_the_context_counts_once(make_pool, shared):
    async def story():
        pool, card = make_pool(None)
        for name in SIZES:
            await pool.load(name)
        assert [await says(pool, name) for name in SIZES] == [0.0, 1.0, 2.0]
        needs = {name: card.budget.need(name) for name in SIZES}
        assert SIZES["two"] <= needs["two"] < SIZES["two"] + 8 * MIB
        assert SIZES["three"] <= needs["three"] < SIZES["three"] + 8 * MIB
        assert card.budget.stats().memory_bytes == pytest.approx(card.budget.reserved_bytes, rel=0.1)
        host = pool.memory.stats()
        assert pool.memory.need("cuda:0") == pytest.approx(shared.memory_bytes(), rel=0.1)
        assert host.memory_bytes == pytest.approx(shared.memory_bytes(), rel=0.1), "the process counts once"

    asyncio.run(story())


def test_the_budget_is_never_exceeded_and_the_bytes_come_back(make_pool, shared):
    async def story():
        pool, card = make_pool(80 * MIB, first_bytes=40 * MIB)
        names, peak, refused, readings = list(SIZES), 0, 0, []
        for turn in range(24):
            name = names[turn % 3]
            try:
                await pool.load(name)
            except OutOfMemory:
                refused += 1
                await pool.unload(min(pool.queue.loaded))
                continue
            peak = max(peak, card.taken_bytes())
            if turn % 4 == 3:
                for each in sorted(pool.queue.loaded):
                    await pool.unload(each)
                readings.append(card.taken_bytes())
        assert peak <= 80 * MIB and card.budget.stats().violations == 0 and refused
        assert max(readings) < readings[0] + SIZES["one"], "not even the smallest model is left"

    asyncio.run(story())


def test_what_does_not_come_back_has_the_process_recycled(make_pool, shared):
    async def story():
        pool, card = make_pool(400 * MIB)
        await pool.load("one")
        await pool.unload("one")
        assert card.baseline_bytes and not card.recycled
        for name in SIZES:
            await pool.load(name)
        before = shared.pid
        card.meter.lose(100 * MIB)
        await pool.unload("one")
        assert card.recycled == 1 and shared.pid != before and pool.queue.loaded == {"two", "three"}
        assert await says(pool, "two") == 1.0 and card.budget.shared_bytes < 40 * MIB
        card.meter.lose(30 * MIB)
        await pool.unload("two")
        assert card.recycled == 1, "to load another one again is worth more than that"
        await pool.unload("three")
        assert card.recycled == 2 and shared.pid is None and card.taken_bytes() == 0
        await pool.load("one")
        assert await says(pool, "one") == 0.0

    asyncio.run(story())


def test_a_model_that_can_not_be_loaded_takes_nothing_of_the_card(make_pool, tmp_path):
    async def story():
        pool, card = make_pool(None)
        await pool.load("one")
        before = card.budget.reserved_bytes
        pool.workers["two"] = make_pool.worker(write_damaged(tmp_path / "two.onnx"))
        with pytest.raises(InvalidInput):
            await pool.load("two")
        assert card.budget.reserved == {"one"} and card.budget.reserved_bytes == pytest.approx(before, rel=0.1)

    asyncio.run(story())


def test_a_new_version_takes_over_on_the_card(make_pool, tmp_path):
    async def story():
        pool, card = make_pool(None)
        await pool.load("one")
        newer = make_pool.worker(write_number(tmp_path / "new" / "one.onnx", 9.0, size_bytes=4 * MIB))
        await pool.replace("one", newer, place="cuda:0")
        assert await says(pool, "one") == 9.0 and card.budget.reserved == {"one"}
        assert card.budget.need("one") < SIZES["one"] and card.process.models == 1

    asyncio.run(story())
