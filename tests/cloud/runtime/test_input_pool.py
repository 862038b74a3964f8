"""Memory for inputs: one limit for all, first come first served, and whoever goes gives it back."""

import asyncio
import gc
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.cloud.runtime.input_pool import InputPool
from infilink.errors import QueueFull
from infilink.models.process_child import FRAME
from infilink.models.shared_memory import SharedReader

MIB = 2**20


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [(8, 8), (300, 400)], ids=["small, in the message", "in shared memory"])
def test_a_picture_is_read_where_it_was_decoded(size):
    async def story():
        pool = InputPool(MIB)
        held = await pool.hold(3 * size[0] * size[1])
        held.make((*size, 3), np.dtype(np.uint8))[:] = 7
        sent = held.sent[FRAME]
        read = sent if isinstance(sent, np.ndarray) else SharedReader().read(sent)
        assert read.shape == (*size, 3) and (read == 7).all() and (held.frame == 7).all()

    asyncio.run(story())


def test_tensors_are_copied_in_and_text_goes_as_it_is():
    async def story():
        arrays = {"a": np.arange(30_000), "none": np.empty((0, 3)), "text": np.asarray(["ä"], object), "b": np.ones(9)}
        held, reader = InputPool(MIB).copy(arrays), SharedReader()
        for name, array in arrays.items():
            sent = held.sent[name]
            np.testing.assert_array_equal(sent if isinstance(sent, np.ndarray) else reader.read(sent), array)
        assert not isinstance(held.sent["a"], np.ndarray)

    asyncio.run(story())


def test_who_finds_no_room_waits_for_it_in_turn_and_what_is_dropped_is_used_again():
    async def story():
        pool = InputPool(MIB)
        held = [await pool.hold(MIB // 16) for _ in range(16)]
        held[-1].make((16, 16, 3), np.dtype(np.uint8))
        kept = held[-1]._memory
        first, second = (asyncio.create_task(pool.hold(MIB // 16)) for _ in range(2))
        await settle()
        assert not first.done() and pool.stats().waiting == 2
        held.pop()
        await settle()
        assert first.done() and not second.done()
        first.result().make((16, 16, 3), np.dtype(np.uint8))
        assert first.result()._memory is kept
        held.pop()
        await settle()
        assert second.done() and pool.stats().held_bytes == MIB == pool.stats().peak_bytes

    asyncio.run(story())


def test_who_finds_no_room_in_time_is_told_when_to_try_again_and_holds_nothing_up():
    async def story():
        pool = InputPool(MIB)
        held = await pool.hold(MIB)
        with pytest.raises(QueueFull, match=r"take 1 MiB of 1 MiB .`max_waiting_bytes`.; try again in 0.001 s"):
            await pool.hold(MIB, within_s=0.001)
        assert pool.stats().waiting == 0
        del held
        assert (await pool.hold(MIB)).size_bytes == MIB

    asyncio.run(story())


def test_one_that_is_larger_than_the_limit_goes_alone():
    async def story():
        pool = InputPool(MIB)
        large = await pool.hold(5 * MIB)
        small = asyncio.create_task(pool.hold(10))
        await settle()
        assert not small.done()
        del large
        assert (await small).size_bytes == 10

    asyncio.run(story())


def test_a_small_one_does_not_wait_behind_large_ones():
    async def story():
        pool = InputPool(8 * MIB)
        large = [await pool.hold(3 * MIB) for _ in range(2)]
        waits = asyncio.create_task(pool.hold(3 * MIB))
        await settle()
        assert not waits.done() and (await pool.hold(MIB // 4)).size_bytes == MIB // 4
        large.clear()
        await waits

    asyncio.run(story())


def test_who_is_cancelled_gives_back_what_came_meanwhile():
    async def story():
        pool = InputPool(MIB)
        held = await pool.hold(MIB)
        waits = asyncio.create_task(pool.hold(MIB))
        await settle()
        del held
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        del waits
        gc.collect()
        assert pool.stats().held_bytes == 0

    asyncio.run(story())


def test_it_is_given_back_from_any_thread():
    async def story():
        pool = InputPool(MIB)
        holders = [await pool.hold(MIB)]
        thread = threading.Thread(target=holders.clear)
        thread.start()
        await asyncio.to_thread(thread.join)
        await settle()
        assert pool.stats().held_bytes == 0

    asyncio.run(story())


@settings(max_examples=12)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(1, 3 * MIB)), max_size=20))
def test_the_limit_holds_whatever_comes_and_goes(steps):
    async def story():
        pool, held, waiting = InputPool(2 * MIB), [], []
        for comes, size_bytes in steps:
            if comes:
                waiting.append(asyncio.create_task(pool.hold(size_bytes)))
            elif held:
                held.pop(size_bytes % len(held))
            await settle()
            held += [task.result() for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            stats = pool.stats()
            assert stats.held_bytes == sum(each.size_bytes for each in held)
            assert stats.held_bytes <= 2 * MIB or len(held) == 1
            assert stats.held_bytes or not waiting, "nobody waits for nothing"
            assert pool.taken_bytes <= 2.5 * MIB or len(held) == 1
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        each = None
        waiting.clear()
        held.clear()
        gc.collect()
        assert pool.stats().held_bytes == 0 == pool.stats().waiting
        pool.close()
        assert pool.taken_bytes == 0

    if steps:
        asyncio.run(story())
