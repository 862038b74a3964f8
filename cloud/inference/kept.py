"""What the ledger keeps of requests: the answers to pictures that belong to a stream, as if a device had sent them."""

import itertools
from uuid import uuid4

from ...links.answer import Answer
from ..coordinator import Coordinator
from ..ledger.rows import Answered, InputKey
from ..sessions.answers import output_message, result_message

WHY = "asked"
"""Why a model ran: somebody asked for what it says."""


class StreamAnswers:
    """Puts the answers to one coordinator's requests into its ledger.

    A request has no number that tells it from all others, so that each gets one of this run of the coordinator: asked
    again, it is another input.

    Args:
        coordinator: whose.

    Attributes:
        run: what stands for a device's run there.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.run = f"open-inference-{uuid4().hex}"
        self._numbers = itertools.count()

    def check(self) -> None:
        """Makes sure that an answer would be kept, before work is spent on it.

        Raises:
            Overloaded: it would be refused.
        """
        self.coordinator.ledger.check()

    async def keep(
        self,
        stream: str,
        model: str,
        answer: Answer,
        *,
        digest: str,
        age_s: float,
        captured_s: float,
        took_s: float,
        size: tuple[int, int] | None,
    ) -> None:
        """Returns once an answer is in the ledger, or may be given without.

        Args:
            stream: whose picture it is of.
            model: whose answer it is.
            answer: the answer.
            digest: of the model's file.
            age_s: how long ago, in capture time, the model last ran on the stream; -1: never.
            captured_s: when the picture was captured.
            took_s: how long it took.
            size: a picture's width and height.

        Raises:
            Overloaded: it can't be kept now, and may not be given without.
        """
        number, specs = next(self._numbers), self.coordinator.repository.specs
        output = output_message(specs[model], digest, answer, age_s)
        await self.coordinator.ledger.record(
            Answered(
                InputKey(stream, self.run, number),
                result_message(number, {model: output}, took_s),
                captured_ns=round(captured_s * 1e9),
                specs=specs,
                why={model: WHY} if answer.origin == "executed" else {},
                size=size,
            )
        )
