"""What runs on one input: the resident models and, when its turn has come, a rotating one."""

import asyncio
import logging
from collections.abc import Hashable, Mapping

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

    async def run(self, frame: Array, due: tuple[str, ...], stream: Hashable) -> dict[str, Array]:
        """The exact outputs of the models that ran on this frame; one that failed is not among them.

        Args:
            frame: uint8 BGR.
            due: the rotating models that the stream is to see again; they run on a later input, once loaded.
            stream: whose input it is.

        Raises:
            ModelFailed: none of them could run.
        """
        for name in due:
            self.rotation.request(name, stream)
        turn = self.rotation.take(stream)
        names = self.plan.resident if turn is None else (*self.plan.resident, turn)
        try:
            outputs = await asyncio.gather(*(self.workers[name].infer(frame) for name in names), return_exceptions=True)
        finally:
            if turn is not None:
                self.rotation.done()
        return _exact(dict(zip(names, outputs, strict=True)))


def _exact(outputs: dict[str, Array | BaseException]) -> dict[str, Array]:
    exact: dict[str, Array] = {}
    failures = []
    for name, output in outputs.items():
        if isinstance(output, InfilinkError):
            logger.warning("%s", output)
            failures.append(str(output))
        elif isinstance(output, BaseException):
            raise output
        else:
            exact[name] = output
    if failures and not exact:
        raise ModelFailed("; ".join(failures))
    return exact
