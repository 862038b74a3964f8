"""What runs on an input and what is loaded, by the site's schedule, and what happens when some of it fails."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.meter import Reading
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.cloud.runtime.scheduler import Scheduler
from infilink.errors import BadOutput, ModelFailed
from infilink.links.scheduling.schedule import Choice, SiteSchedule
from infilink.models.cost import ModelCost
from infilink.models.process_child import Inferred
from infilink.models.supervisor import RETRY_S

from .fake import Fake

FRAME = np.zeros((4, 4, 3), np.uint8)


class FakeWorker(Fake):
    """Says its value, or fails with it; loads unless it is told not to."""

    pid = None

    def __init__(self, value):
        super().__init__()
        self.value = value
        self.loads = 0
        self.broken = None
        self.took_s = (0.02, 0.02)

    def measure(self):
        return 0

    async def load(self):
        self.loads += 1
        if self.broken:
            raise self.broken
        return 0.02

    async def unload(self):
        pass

    async def infer(self, frame):
        if isinstance(self.value, Exception):
            raise self.value
        return Inferred(np.asarray([self.value], np.float32), *self.took_s)


class Site:
    """A scheduler with fake workers, of which the clock is told; every model takes 1 byte and 10 ms."""

    def __init__(self, values, *, loaded=None, cores=100.0, budget_bytes=None, fixed=False):
        self.now_s = 0.0
        self.workers = {name: FakeWorker(value) for name, value in values.items()}
        needs = dict.fromkeys(values, 1)
        self.pool = ModelPool(self.workers, MemoryBudget(budget_bytes, needs), RunQueue(self.workers))
        self.pool.queue.loaded |= set(values if loaded is None else loaded)
        for name in self.pool.queue.loaded:
            self.pool.memory.reserve(name)
        costs = {name: ModelCost(1, 0.01, 0.1) for name in values}
        schedule = None if fixed else SiteSchedule(costs, compute_cores=cores, budget_bytes=budget_bytes)
        self.one = Scheduler(self.pool, schedule, clock=lambda: self.now_s)
        if schedule is not None:
            schedule.join("x", name="x")

    def choose(self, **options):
        self.now_s += 1.0
        return self.one.choose("x", dict.fromkeys(self.workers, 0.5), **options)

    async def run(self, choice=None, **options):
        return await self.one.run("x", FRAME, self.choose() if choice is None else choice, **options)


async def loaded(site, name):
    """Waits until a model is loaded in the background."""
    task = asyncio.create_task(site.one.keep_loaded())
    async with asyncio.timeout(10):
        while name not in site.pool.queue.loaded:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_model_that_fails_does_not_take_the_others_with_it_and_rests():
    async def story():
        site = Site({"a": 1, "b": ModelFailed("b is broken")})
        assert list(await site.run()) == ["a"]
        assert site.choose().run == ("a",)
        site.now_s += RETRY_S
        assert set(site.choose().run) == {"a", "b"}, "it is tried again"

    asyncio.run(story())


def test_a_model_that_keeps_failing_is_logged_once_until_it_works_again(caplog):
    async def story():
        site = Site({"a": 1, "b": ModelFailed("b is broken")})
        both = Choice(("a", "b"), frozenset("ab"))
        for _ in range(3):
            await site.run(both)
        site.workers["b"].value = 2
        await site.run(both)
        site.workers["b"].value = ModelFailed("b is broken again")
        await site.run(both)

    asyncio.run(story())
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(" (")[0] for text in told] == ["b is broken", "b is broken again"]


def test_what_failed_gives_its_seconds_back_and_a_bad_output_took_them():
    async def story():
        site = Site({"a": 1, "b": 2})
        spent = []
        for value in (ModelFailed("b is broken"), BadOutput("b: holds NaN")):
            site.workers["b"].value = value
            await site.run(Choice(("b",), frozenset("b")))
            spent.append(site.one.schedule.spent_s)
        assert spent == [0.0, pytest.approx(0.01)]

    asyncio.run(story())


def test_if_all_fail_and_nothing_runs_them_later_the_input_fails_and_says_why():
    async def story():
        values = {"b": ModelFailed("b is broken"), "c": ModelFailed("c too")}
        with pytest.raises(ModelFailed, match="b is broken; c too"):
            await Site(values, fixed=True).run(Choice(("b", "c"), frozenset("bc")))
        assert await Site(values).run() == {}

    asyncio.run(story())


def test_a_model_that_is_not_loaded_is_loaded_in_the_background_for_later_inputs():
    async def story():
        site = Site({"a": 1, "b": 2}, loaded=["a"])
        assert site.choose().run == ("a",)
        await loaded(site, "b")
        assert set(site.choose().run) == {"a", "b"} and site.workers["b"].loads == 1
        assert "all streams that wait" in site.one.why["b"]

    asyncio.run(story())


def test_an_audit_runs_on_what_is_loaded_and_waits_for_nothing():
    async def story():
        site = Site({"a": 1, "b": 2, "c": 3}, loaded=["a", "c"], budget_bytes=2, cores=1e-6)
        choice = site.choose(must=tuple("abc"))
        assert set(choice.run) == choice.audits == {"a", "c"}
        assert set(await site.run(choice)) == {"a", "c"}

    asyncio.run(story())


def test_a_model_that_does_not_load_is_told_once_and_tried_later(caplog):
    async def story():
        site = Site({"a": 1, "b": 2}, loaded=["a"])
        site.workers["b"].broken = ModelFailed("does not load")
        site.choose()
        for _ in range(3):
            load = site.one._next_load()
            assert load is not None and load.model == "b"
            await site.one._load(load)
            assert site.one._next_load() is None and site.pool.memory.reserved == {"a"}
            site.now_s += RETRY_S
            site.choose()
        assert site.workers["b"].loads == 3

    asyncio.run(story())
    assert caplog.text.count("does not load") == 1


def test_whatever_goes_wrong_with_one_load_others_are_loaded(caplog):
    async def story():
        site = Site({"a": 1, "b": 2}, loaded=["a"])
        site.workers["b"].broken = OSError("too many files")
        site.choose()
        await site.one._load(site.one._next_load())
        assert site.pool.memory.reserved == {"a"} and site.one._next_load() is None
        site.now_s += RETRY_S
        site.workers["b"].broken = None
        site.choose()
        await loaded(site, "b")

    asyncio.run(story())
    assert "b can't be loaded: too many files" in caplog.text


def test_a_run_whose_turn_comes_too_late_is_left_out_and_counted():
    async def story():
        site = Site({"a": 1})
        site.pool.queue.at_once = 0
        choice = site.choose()
        booked_s = site.one.schedule.spent_s
        assert await site.run(choice, within_s=1e-3) == {}
        assert site.one.late == 1 and site.one.schedule.spent_s < booked_s
        going = asyncio.create_task(site.run())
        await asyncio.sleep(0)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        assert site.one.schedule.spent_s == 0.0, "whose stream went away, too"

    asyncio.run(story())


def test_the_schedule_counts_with_what_is_measured():
    async def story():
        site = Site({"a": 1, "b": 2}, loaded=["a"], budget_bytes=10)
        site.choose()
        site.pool.memory.sample(Reading({"a": 7}))
        assert site.one._next_load() is not None
        assert site.one.schedule.costs["a"].memory_bytes == 7
        site.one.schedule.costs["b"] = replace(site.one.schedule.costs["b"], load_s=99.0)
        await loaded(site, "b")
        assert site.one.schedule.costs["b"].load_s < 99.0

    asyncio.run(story())


def test_a_run_costs_what_goes_by_while_it_has_its_place_and_a_load_what_it_takes_of_processors():
    async def story():
        site = Site({"a": 1, "b": 2}, loaded=["a"], cores=2.0)
        site.pool.queue.at_once = 2
        spent = []
        for took_s in ((0.02, 0.02), (0.3, 0.02)):
            site.workers["a"].took_s = took_s
            before_s = site.one.schedule.spent_s
            await site.run()
            spent.append(site.one.schedule.spent_s - before_s)
        assert spent == pytest.approx([0.02, 0.3]), "on a busy machine more goes by than is used"
        site.pool.queue.at_once = 1
        site.one.schedule.compute_cores = 0.1
        await site.run()
        assert site.one.schedule.spent_s - sum(spent) == pytest.approx(0.03), "of a tenth of a place"
        before_s = site.one.schedule.spent_s
        await site.one._load(site.one._next_load())
        assert site.one.schedule.spent_s - before_s == pytest.approx(0.02), "and not the 0.1 s it was expected to take"

    asyncio.run(story())


def test_that_compute_is_short_passes_with_time():
    site = Site({"a": 1}, cores=0.01)
    assert not site.one.is_short()
    for _ in range(20):
        site.choose(must=("a",))
        site.now_s -= 1.0
    assert site.one.is_short()
    site.now_s += 60.0
    assert not site.one.is_short() and not Site({"a": 1}, fixed=True).one.is_short()


def test_models_that_have_grown_beyond_the_budget_go_until_they_fit():
    async def story():
        site = Site({"a": 1, "b": 2}, budget_bytes=10)
        site.choose()
        site.pool.memory.sample(Reading({"a": 7, "b": 7}))
        await site.one._shrink()
        assert len(site.pool.queue.loaded) == 1 and site.pool.memory.reserved_bytes <= 10

    asyncio.run(story())


def test_that_there_is_more_to_run_than_compute_is_said_once(caplog):
    async def story():
        site = Site({"a": 1}, cores=0.001)
        with caplog.at_level("INFO"):
            watch = asyncio.create_task(site.one.watch(every_s=0.0))
            async with asyncio.timeout(10):
                while "more is worth" not in caplog.text:
                    await site.run()
                    await asyncio.sleep(0)
            for _ in range(100):
                await site.run()
                await asyncio.sleep(0)
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    asyncio.run(story())
    assert caplog.text.count("more is worth running than 0.001 cores can") == 1


def test_memory_is_measured_while_a_process_starts():
    async def story():
        site, starts, looks = Site({"a": 1}, budget_bytes=10), asyncio.Event(), list[int]()

        class Starting:
            async def adapt(self):
                starts.set()
                await asyncio.Event().wait()

        class Meter:
            def read(self, *_):
                looks.append(1)
                return Reading({"a": 1})

        site.one.scaling, site.pool.meter = Starting(), Meter()
        watch = asyncio.create_task(site.one.watch(every_s=0.0))
        async with asyncio.timeout(30):
            await starts.wait()
            while len(looks) < 20:
                await asyncio.sleep(0)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "what starts is given up with it"

    asyncio.run(story())


def test_a_number_of_processes_that_cannot_be_changed_ends_no_measuring(caplog):
    async def story():
        site = Site({"a": 1})

        class Failing:
            async def adapt(self):
                raise OSError("no more processes")

        site.one.scaling = Failing()
        watch = asyncio.create_task(site.one.watch(every_s=0.0))
        async with asyncio.timeout(30):
            while "no more processes" not in caplog.text:
                await asyncio.sleep(0)
        assert not watch.done()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)

    asyncio.run(story())
