"""Where inputs are decoded: at once if it takes no time, else beside the event loop; what is large, behind others."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

from ...errors import InvalidInput
from ...models.inputs.payload import Payload
from ...outputs import Array
from ..runtime.input_pool import Held, InputPool

# Decoded sooner than another thread takes it over; and what takes so long that others are not to feel it.
_SMALL_BYTES, _LARGE_BYTES = 3 * 2**15, 3 * 2**22
_DECODERS = ThreadPoolExecutor(
    len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), "decode"
)


def _give_way() -> None:
    with suppress(OSError, AttributeError):  # Linux alone knows how urgent a single thread is.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_LARGE_DECODER = ThreadPoolExecutor(1, "decode-large", initializer=_give_way)
# These wait for other processes: they take no processor from the others.
_ELSEWHERE = ThreadPoolExecutor(8, "decode-elsewhere")

Ready = Callable[[], Awaitable[None]]
"""Waited for once there is room for an input, before anything is decoded."""


async def at_once() -> None:
    """Waits for nothing."""


async def decode_payload(
    opened: Payload,
    inputs: InputPool,
    *,
    check: Callable[[Array], object] = lambda value: None,
    within_s: float | None = None,
    is_urgent: bool = False,
    ready: Ready = at_once,
    models: Collection[str] = (),
) -> Held:
    """An input in the memory that models are given it in.

    Args:
        opened: the input.
        inputs: that memory.
        check: called with what was decoded; raises what it is refused with.
        within_s: how long to wait for room; None: as long as it takes.
        is_urgent: others wait for it, and it for nothing.
        ready: waited for once there is room, before anything is decoded.
        models: whose turn that waits for: of large ones for the same models one waits for it, and the others for that.

    Raises:
        InvalidInput: it can't be read, or what `check` raises.
        QueueFull: there was no room in time.
    """
    needed_bytes = opened.size_bytes + opened.beside_bytes
    held = inputs.hold_now(needed_bytes) if is_urgent else await inputs.hold(needed_bytes, within_s=within_s)
    is_large = needed_bytes >= _LARGE_BYTES
    # One is decoded at a time: those that wait for that take no turn, which small ones could have. Where a model hangs,
    # its turn does not come: what others look at does not wait for that.
    async with inputs.large(models) if is_large and not is_urgent else nullcontext():
        await ready()
        held.make(opened.shape, opened.dtype)
        try:
            if needed_bytes <= _SMALL_BYTES and not opened.is_elsewhere:
                _decode(opened, [held], check)
            else:
                decoders = _ELSEWHERE if opened.is_elsewhere else _LARGE_DECODER if is_large else _DECODERS
                await asyncio.get_running_loop().run_in_executor(decoders, _decode, opened, [held], check)
        except InvalidInput as error:
            del held  # The error remembers what had a name here, or there, and may be remembered for long.
            raise error.with_traceback(None) from error.__cause__
    return held


def _decode(opened: Payload, only: list[Held], check: Callable[[Array], object]) -> None:
    """Holds the memory as long as it is written to, as whoever waits may be gone; and no longer, as they may go on."""
    held = only.pop()
    try:
        opened.read(held.frame)
        check(held.frame)
    finally:
        del held
