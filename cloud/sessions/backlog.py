"""What was read from devices and is not answered: one limit in bytes for all streams."""

import asyncio


class Backlog:
    """Whoever reads waits here until there is room for what it has read; gRPC's flow control then stops its device.

    Args:
        limit_bytes: what all streams together may have read and not answered; one input alone may be larger.

    Attributes:
        size_bytes: what they have.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._freed = asyncio.Event()

    async def add(self, size_bytes: int) -> None:
        """Counts an input, once there is room for it."""
        while self.size_bytes and self.size_bytes + size_bytes > self.limit_bytes:
            self._freed.clear()
            await self._freed.wait()
        self.size_bytes += size_bytes

    def remove(self, size_bytes: int) -> None:
        """An input is answered, or given up."""
        self.size_bytes -= size_bytes
        self._freed.set()
