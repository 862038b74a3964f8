"""How much each device may send: inputs and bytes a second; what is above waits on the device's side, or is refused."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

_BURST_S = 1.0


class Rate:
    """So much a second, and at once what some time gives.

    Args:
        per_s: how much; 0: any.
        burst_s: what how much time gives is taken at once.
        clock: seconds that never go back.
    """

    def __init__(self, per_s: float, *, burst_s: float = _BURST_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_s = per_s
        self.burst_s = burst_s
        self.clock = clock
        self._free_s = float("-inf")

    def take(self, amount: float) -> float:
        """Takes so much; returns how many seconds to wait before it is used."""
        if not self.per_s:
            return 0.0
        now_s = self.clock()
        self._free_s = max(self._free_s, now_s - self.burst_s) + amount / self.per_s
        return max(0.0, self._free_s - now_s)

    @property
    def owed_s(self) -> float:
        """How many seconds to wait before what was taken so far is used."""
        return max(0.0, self._free_s - self.clock()) if self.per_s else 0.0


class Quota:
    """What one device may send, over all its streams.

    Args:
        inputs_per_s: how many inputs; 0: any.
        bytes_per_s: how many bytes of them; 0: any.
        clock: seconds that never go back.
    """

    def __init__(self, inputs_per_s: float, bytes_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inputs = Rate(inputs_per_s, clock=clock)
        self._bytes = Rate(bytes_per_s, clock=clock)

    def take(self, size_bytes: int) -> float:
        """Takes one input; returns how many seconds to wait before the next message is read."""
        return max(self._inputs.take(1), self._bytes.take(size_bytes))

    def take_now(self, size_bytes: int) -> float:
        """Takes one input, unless those before it are to be waited for; for how many seconds, or 0: it is taken."""
        owed_s = max(self._inputs.owed_s, self._bytes.owed_s)
        if not owed_s:
            self.take(size_bytes)
        return owed_s

    async def wait(self, size_bytes: int, *, is_input: bool = True) -> bool:
        """Takes one input, or more bytes of one, and waits as long as it has to; whether it had to."""
        wait_s = self.take(size_bytes) if is_input else self._bytes.take(size_bytes)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return wait_s > 0


class Quotas:
    """The quota of each device by its name; the newest `most` of them are remembered."""

    def __init__(self, inputs_per_s: float, bytes_per_s: float, *, most: int) -> None:
        self.inputs_per_s = inputs_per_s
        self.bytes_per_s = bytes_per_s
        self.most = most
        self._by_device: OrderedDict[str, Quota] = OrderedDict()

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self.inputs_per_s or self.bytes_per_s)

    def of(self, device: str) -> Quota:
        """A device's."""
        quota = self._by_device.setdefault(device, Quota(self.inputs_per_s, self.bytes_per_s))
        self._by_device.move_to_end(device)
        while len(self._by_device) > self.most:
            self._by_device.popitem(last=False)
        return quota
