"""What the ledger gets of one session: its answers, with what is kept beside them, and its audits."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from ...links.answer import Answer
from ...models.inputs.payload import Payload
from ...outputs import Array
from ...protos import edge_pb2
from ..ledger.ledger import Ledger
from ..ledger.rows import Answered, InputKey
from ..metrics import Metrics
from ..repository import Repository
from .looking import Executed, Looked
from .session import SessionKey

Keeping = asyncio.Future[edge_pb2.CoordinatorMessage]
Take = Callable[[Answered, edge_pb2.Input, Payload | None, int], None]
"""Takes an answer that was kept, its input, what of that can be decoded again, and Unix time in microseconds."""


class Keeper:
    """Puts one session's answers and audits into the ledger.

    Args:
        ledger: where.
        repository: the models' specs.
        metrics: counts the audits, and measures how long answers take to be kept.
        session: whose.
        has_pictures: whether its inputs are pictures, or clips, whose size is kept.
        took: is told how long each answer took to be kept.
        show: takes what was kept, for whoever looks on; None: nobody does.
    """

    def __init__(
        self,
        ledger: Ledger,
        repository: Repository,
        metrics: Metrics,
        session: SessionKey,
        *,
        has_pictures: bool,
        took: Callable[[float], None],
        show: Take | None = None,
    ) -> None:
        self.ledger = ledger
        self.repository = repository
        self.metrics = metrics
        self.session = session
        self.has_pictures = has_pictures
        self._took = took
        self._show = show

    async def find(self, message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage | None:
        """The answer that an input got before; None: it has none.

        Raises:
            Overloaded: the ledger does not answer.
            InvalidInput: no ledger can keep such an input.
        """
        return await self.ledger.find(self._key(message))

    def keep(
        self, message: edge_pb2.Input, result: edge_pb2.CoordinatorMessage, looked: Looked, executed: Executed
    ) -> Keeping:
        """Has an answer kept; gives the one that stands for its input, once it is in the ledger; not to be cancelled.

        Raises, now or when it is waited for:
            Overloaded: it can't be kept now, and may not be given without.
            InvalidInput: it can't be kept.
        """
        size = None
        if looked.shape is not None and self.has_pictures and self.repository.tail is None:
            size = (looked.shape[-2], looked.shape[-3])
        answered = Answered(
            self._key(message),
            result,
            captured_ns=message.captured_ns,
            specs=self.repository.specs,
            given=tuple(message.outputs),
            why=executed.why,
            size=size,
        )
        keeping = self.ledger.standing(answered)
        # Not where it is waited for: a device that does not read holds the answers behind it up, but not the ledger.
        keeping.add_done_callback(partial(self._measure, time.perf_counter()))
        if self._show is not None:
            keeping.add_done_callback(partial(self._shown, self._show, answered, message, looked.picture))
        return keeping

    def note_audit(self, message: edge_pb2.Input, answer: Answer, name: str, exact: Array) -> None:
        """Notes how far what would have been answered without a model agrees with what it said."""
        agreement = self.repository.specs[name].output.agreement(answer.value, exact)
        self.metrics.audited(name, agreement)
        self.ledger.audited(
            self._key(message),
            name,
            origin=answer.origin,
            confidence=answer.confidence,
            trusted=answer.trusted,
            agreement=agreement,
        )

    def _measure(self, began_s: float, keeping: Keeping) -> None:
        if not keeping.cancelled() and keeping.exception() is None:
            took_s = time.perf_counter() - began_s
            self.metrics.stage("ledger", took_s)
            self._took(took_s)

    def _shown(
        self, show: Take, answered: Answered, message: edge_pb2.Input, picture: Payload | None, keeping: Keeping
    ) -> None:
        if not keeping.cancelled() and keeping.exception() is None:
            show(answered, message, picture, time.time_ns() // 1000)

    def _key(self, message: edge_pb2.Input) -> InputKey:
        return InputKey(self.session.name, self.session.session, message.sequence)
