"""What runs on one input: the resident models, and rotating ones whose turn has come."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Hashable, Iterable, Mapping
from typing import Any

from ...errors import BadOutput, InfilinkError, ModelFailed
from ...links.answer import Answer
from ...links.escalation import Escalation
from ...links.planning.plan import Plan
from ...outputs import Array
from .rotation import Rotation
from .worker import Worker

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs an input's models concurrently, each in its own process.

    Args:
        plan: which models are resident and which rotate.
        workers: every model's worker; the residents are loaded.
        rotation: loads the others in turn, and keeps the residents loaded while they run.
        escalation: decides which untrusted answers are worth running their model for; None: none is.
    """

    def __init__(
        self, plan: Plan, workers: Mapping[str, Worker], rotation: Rotation, escalation: Escalation | None = None
    ) -> None:
        self.plan = plan
        self.workers = workers
        self.rotation = rotation
        self.escalation = escalation
        self._failing: set[str] = set()
        self._bad: set[str] = set()

    async def run(
        self, frame: Array, residents: Iterable[str], due: Iterable[str], stream: Hashable, *, wait: bool
    ) -> dict[str, Array]:
        """The outputs of the models that ran on this frame; one that failed, or gave nothing usable, is left out.

        Args:
            frame: uint8 BGR.
            residents: the resident models to run on it.
            due: the rotating models that are due on this stream.
            stream: the stream of the input.
            wait: whether the rotating models run on this very input, which then waits until they are loaded, or on a
                later one.

        Raises:
            ModelFailed: none of them could run.
        """
        # Through the pool, not the worker: while the plan changes a resident may be about to be unloaded, and must not
        # be loaded again outside the budget.
        runs = {name: self.rotation.infer(name, frame) for name in residents}
        if wait:
            # Loaded ones first, or the others would evict them.
            order = sorted(due, key=lambda name: not self.rotation.pool.is_loaded(name))
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
        """The outputs of rotating models whose predicted answers are not trusted, as far as the escalation decides.

        Args:
            frame: uint8 BGR.
            answers: what would be answered for the models that did not run.
            left_s: the time until the input's deadline; None: it has none.
        """
        if self.escalation is None:
            return {}
        # A model without a turn does not fit beside the residents, or is not worth one.
        rotating = {name: answer for name, answer in answers.items() if name in self.plan.refresh_s}
        loaded = frozenset(name for name in rotating if self.rotation.pool.is_loaded(name))
        chosen = self.escalation.choose(rotating, time.monotonic(), left_s=left_s, loaded=loaded)
        try:
            return await self._exact({name: self.rotation.infer(name, frame) for name in chosen})
        except ModelFailed:
            return {}

    async def _exact(self, runs: dict[str, Coroutine[Any, Any, Array]]) -> dict[str, Array]:
        """The outputs of all that ran; raises if none did.

        A failing model is logged once until it works again; one that has no usable output for some inputs, once.
        """
        exact: dict[str, Array] = {}
        failures = []
        outputs = await asyncio.gather(*runs.values(), return_exceptions=True)
        for name, output in zip(runs, outputs, strict=True):
            if isinstance(output, BadOutput):
                if name not in self._bad:
                    logger.warning("%s (such an output counts as none; told once of this model)", output)
                self._bad.add(name)
                failures.append(str(output))
            elif isinstance(output, InfilinkError):
                if name not in self._failing:
                    logger.warning("%s (logged once until it works again)", output)
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
