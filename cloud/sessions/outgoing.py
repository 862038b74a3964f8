"""What goes to a device: its answers in order, each once it is kept, and what it is told or asked in between."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ...protos import edge_pb2
from ...protos.tracing import InputTrace, within

Write = Callable[[edge_pb2.CoordinatorMessage], Awaitable[None]]
Answer = edge_pb2.CoordinatorMessage
Coming = Coroutine[Any, Any, Answer]
"""An answer that is waited for here: a task for each would cost as much as the waiting."""


class Outgoing:
    """Sends to one connection; that an answer is kept is waited for here, while the next input is worked on.

    Args:
        write: sends one message; it is not called while it has not returned.
        sent: is called after each answer.

    Attributes:
        notices: what is told with the next answer.
    """

    def __init__(self, write: Write, sent: Callable[[], None]) -> None:
        self.notices: list[str] = []
        self._write = write
        self._sent = sent
        self._writing = asyncio.Lock()
        # As many at most as inputs are read that are not answered.
        self._answers: asyncio.Queue[tuple[Answer | Coming, InputTrace | None] | None] = asyncio.Queue()

    def answer(self, answer: Answer | Coming, trace: InputTrace | None) -> None:
        """Sends an answer after those before it, once it is there."""
        self._answers.put_nowait((answer, trace))

    def end(self) -> None:
        """No more answers come."""
        self._answers.put_nowait(None)

    async def now(self, message: edge_pb2.CoordinatorMessage) -> None:
        """Sends a message before the answers that wait."""
        async with self._writing:
            await self._write(message)

    async def run(self) -> None:
        """Sends until the end."""
        while (item := await self._answers.get()) is not None:
            answer, trace = item
            with within(trace):
                message = answer if isinstance(answer, edge_pb2.CoordinatorMessage) else await answer
            if trace is not None:
                trace.end(answer=message.WhichOneof("message") or "")
            while self.notices:
                await self.now(edge_pb2.CoordinatorMessage(notice=edge_pb2.Notice(text=self.notices.pop(0))))
            await self.now(message)
            self._sent()

    def close(self) -> None:
        """Gives up what was not sent."""
        while not self._answers.empty():
            item = self._answers.get_nowait()
            if item is not None and not isinstance(item[0], edge_pb2.CoordinatorMessage):
                item[0].close()
