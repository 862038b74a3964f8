"""The answers to inputs, as they come: one for each, also where they can't be read, or come again."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from ...errors import InfilinkError, InvalidInput
from ...protos import edge_pb2
from .connection_window import ConnectionWindow
from .memory_outbox import MemoryOutbox
from .spool_outbox import SpoolOutbox
from .spool_rows import SpoolRow

logger = logging.getLogger(__name__)

# Where an overloaded coordinator does not say when to come again.
_POSTPONED_S = 0.5
# An answer that can't be read is asked for so often.
_MOST_ANSWERS = 3
_TOO_LATE = "its deadline passed before it could be sent"


class Answers:
    """Takes the Results and Refuseds of one stream.

    Args:
        outbox: knows which inputs wait for one.
        on_answer: called once for each input's, where there is no spool.
        on_spool_answer: the same for the inputs of a spool, with their rows there.
        coordinator: who answers, for the log.
    """

    def __init__(
        self,
        outbox: MemoryOutbox | SpoolOutbox,
        on_answer: Callable[[Any], None],
        on_spool_answer: Callable[[Any, SpoolRow], None],
        *,
        coordinator: str = "",
    ) -> None:
        self.on_answer = on_answer
        self.on_spool_answer = on_spool_answer
        self.coordinator = coordinator
        self._outbox = outbox
        self._unread: Counter[int] = Counter()
        self._told_unread = False

    def take(self, connection: ConnectionWindow, answer: Any) -> None:
        """Takes one.

        Raises:
            InfilinkError: a spool's input's can't be read: it is to be asked for again.
        """
        outbox, sequence = self._outbox, answer.sequence
        if outbox.is_unanswered(sequence):
            if not isinstance(outbox, SpoolOutbox):
                self._take_plain(answer)
            elif getattr(answer, "code", 0) == edge_pb2.REFUSED_CODE_OVERLOADED:
                outbox.postpone(connection, sequence, answer.retry_after_s or _POSTPONED_S)
                return
            elif (row := outbox.row(sequence)) is not None:
                self._take(answer, row)
        outbox.answered(connection, sequence)

    def refuse_late(self, connection: ConnectionWindow, sequence: int) -> None:
        """Nobody wants an input's answer any more: it need not travel."""
        code = edge_pb2.REFUSED_CODE_DEADLINE
        self.take(connection, edge_pb2.Refused(sequence=sequence, code=code, message=_TOO_LATE))

    def _take(self, answer: Any, row: SpoolRow) -> None:
        try:
            self.on_spool_answer(answer, row)
        except InfilinkError as error:
            self._unread[answer.sequence] += 1
            if self._unread[answer.sequence] < _MOST_ANSWERS:
                raise
            self.on_spool_answer(self._unreadable(answer.sequence, error), row)
        self._unread.pop(answer.sequence, None)

    def _take_plain(self, answer: Any) -> None:
        """The answer to an input that no spool keeps; one that can't be read counts as refused."""
        try:
            self.on_answer(answer)
        except InvalidInput as error:
            self.on_answer(self._unreadable(answer.sequence, error))

    def _unreadable(self, sequence: int, error: InfilinkError) -> edge_pb2.Refused:
        text = f"its answer can't be read: {error}"
        if not self._told_unread:
            self._told_unread = True
            logger.warning("%s: input %d: %s (told once)", self.coordinator, sequence, text)
        return edge_pb2.Refused(sequence=sequence, code=edge_pb2.REFUSED_CODE_FAILED, message=text)
