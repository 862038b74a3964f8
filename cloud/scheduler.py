"""What runs on one input: the resident models and, when its turn has come, a rotating one."""

import asyncio
import logging
from collections.abc import Coroutine, Hashable, Mapping
from typing import Any

from ..errors import InfilinkError, ModelFailed
from ..links.plan import Plan
from ..outputs import Array
from .rotation import Rotation
from .worker import Worker

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs an input's models at once, each in its own process.

    Args:
        plan: which models are resident and which rotate.
        workers: every model's worker; the residents are loaded.
        rotation: loads the others in turn.
    """

    def __init__(self, plan: Plan, workers: Mapping[str, Worker], rotation: Rotation) -> None:
        self.plan = plan
        self.workers = workers
        self.rotation = rotation
        self._failing: set[str] = set()

    async def run(self, frame: Array, due: tuple[str, ...], stream: Hashable, *, wait: bool) -> dict[str, Array]:
        """The exact outputs of the models that ran on this frame; one that failed is not among them.

        Args:
            frame: uint8 BGR.
            due: the rotating models that the stream is to see again.
            stream: whose input it is.
            wait: whether they run on this very input, which waits for their loads, or on a later one once loaded.

        Raises:
            ModelFailed: none of them could run.
        """
        runs = {name: self.workers[name].infer(frame) for name in self.plan.resident}
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
