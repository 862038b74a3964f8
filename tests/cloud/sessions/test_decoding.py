"""Where inputs are decoded: the memory that one is decoded into is nobody else's until that has ended."""

import asyncio
import gc
import threading

import numpy as np
import pytest
from infilink.cloud.runtime.input_pool import InputPool
from infilink.cloud.sessions.decoding import decode_payload
from infilink.errors import InvalidInput
from infilink.models.inputs.payload import Payload
from infilink.outputs import Array

SHAPE = (400, 600, 3)


def test_memory_that_is_still_decoded_into_is_given_to_nobody_though_its_input_is_given_up() -> None:
    began, go = threading.Event(), threading.Event()

    def slow(into: Array) -> None:
        began.set()
        go.wait()
        into.fill(7)

    async def run() -> tuple[Array, int]:
        pool = InputPool(2**28)
        given_up = asyncio.create_task(decode_payload(Payload(SHAPE, np.dtype(np.uint8), slow), pool))
        await asyncio.to_thread(began.wait)
        given_up.cancel()
        await asyncio.wait({given_up})
        del given_up
        gc.collect()
        # Where it is not waited for what decodes the first one: on one core that is a single thread.
        beside = Payload(SHAPE, np.dtype(np.uint8), lambda into: into.fill(1), is_elsewhere=True)
        other = await decode_payload(beside, pool)
        go.set()
        while pool.stats().held_bytes > other.size_bytes:  # The other one's memory comes back once it is decoded.
            await asyncio.sleep(0)
        return np.array(other.frame), pool.stats().held_bytes

    try:
        found, held_bytes = asyncio.run(asyncio.wait_for(run(), 60))
    finally:
        go.set()
    assert (found == 1).all()
    assert held_bytes > 0


def test_an_input_that_can_not_be_read_holds_no_memory_however_long_its_error_is_remembered() -> None:
    def read(into: Array) -> None:
        raise InvalidInput("it is none")

    async def run() -> InvalidInput:
        pool = InputPool(2**28)
        with pytest.raises(InvalidInput, match="it is none") as raised:
            await decode_payload(Payload(SHAPE, np.dtype(np.uint8), read), pool)
        while pool.stats().held_bytes:  # What another thread gives back comes by the loop.
            await asyncio.sleep(0)
        return raised.value

    asyncio.run(asyncio.wait_for(run(), 60))
