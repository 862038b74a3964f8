"""What runs on one input: the resident models and, when its turn has come, a rotating one."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Hashable, Iterable, Mapping
from typing import Any

from ...errors import InfilinkError, ModelFailed
from ...links.answer import Answer
from ...links.escalation import Escalation
from ...links.planning.plan import Plan
from ...outputs import Array
from .rotation import Rotation
from .worker import Worker

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs an input's models at once, each in its own process.

    Args:
        plan: which models rotate.
        workers: every model's worker; the residents are loaded.
        rotation: loads the others in turn, and holds the residents while they run.
        escalation: which answers are worth running the model for after all; None: none is.
    """

    def __init__(
        self, plan: Plan, workers: Mapping[str, Worker], rotation: Rotation, escalation: Escalation | None = None
    ) -> None:
        self.plan = plan
        self.workers = workers
        self.rotation = rotation
        self.escalation = escalation
        self._failing: set[str] = set()

    async def run(
        self, frame: Array, residents: Iterable[str], due: Iterable[str], stream: Hashable, *, wait: bool
    ) -> dict[str, Array]:
        """The exact outputs of the models that ran on this frame; one that failed is not among them.

        Args:
            frame: uint8 BGR.
            residents: the resident models that are to look at it.
            due: the rotating models that the stream is to see again.
            stream: whose input it is.
            wait: whether they run on this very input, which waits for their loads, or on a later one once loaded.

        Raises:
            ModelFailed: none of them could run.
        """
        # Held, each: while plans change a resident may be on its way out, and must not be loaded beside the budget.
        runs = {name: self.rotation.infer(name, frame) for name in residents}
        if wait:
            # First those that are loaded: else the others would push them out.
            order = sorted(due, key=lambda name: not self.rotation.room.holds(name))
            runs |= {name: self.rotation.infer(name, frame) for name in order}
            return await self._exact(runs)
        for name in due:
            self.rotation.request(name, stream)
        turn = self.rotation.take(stream)
        if turn is None:
            return await self._exact(runs)
        try:
            return await self._exact(runs | {turn: self.workers[turn].infer(frame)})
        finally:
            self.rotation.done()

    async def escalate(self, frame: Array, answers: Mapping[str, Answer], *, left_s: float | None) -> dict[str, Array]:
        """The exact outputs of rotating models whose answers are not trusted, as far as time is worth it.

        Args:
            frame: uint8 BGR.
            answers: how the models that did not run would be answered for.
            left_s: until the input's deadline; None: it has none.
        """
        if self.escalation is None:
            return {}
        # The others do not fit beside the residents, or are worth no turn.
        rotating = {name: answer for name, answer in answers.items() if name in self.plan.refresh_s}
        loaded = frozenset(name for name in rotating if self.rotation.room.holds(name))
        chosen = self.escalation.choose(rotating, time.monotonic(), left_s=left_s, loaded=loaded)
        try:
            return await self._exact({name: self.rotation.infer(name, frame) for name in chosen})
        except ModelFailed:
            return {}

    async def _exact(self, runs: dict[str, Coroutine[Any, Any, Array]]) -> dict[str, Array]:
        """The outputs of all that ran; a failure is logged once until it works again, raised only if nothing ran."""
        exact: dict[str, Array] = {}
        failures = []
        outputs = await asyncio.gather(*runs.values(), return_exceptions=True)
        for name, output in zip(runs, outputs, strict=True):
            if isinstance(output, InfilinkError):
                if name not in self._failing:
                    logger.warning("%s (told once, until it works again)", output)
                self._failing.add(name)
                failures.append(str(output))
            elif isinstance(output, BaseException):
                raise output
            else:
                self._failing.discard(name)
                exact[name] = output
        if failures and not exact:
            raise ModelFailed("; ".join(failures))
        return exact
