"""What the queue needs of a worker, without processes."""

from infilink.cloud.runtime.batching import Batching
from infilink.errors import InfilinkError
from infilink.models.process_child import FRAME


class Fake:
    """One process that takes one input at a time; a subclass has `async def infer(self, frame)`."""

    lanes = processes = 1
    batches = False
    repeats = True
    pid = None
    digest = ""

    def __init__(self):
        self.batching = Batching()

    async def run(self, works):
        """The replies to a group."""
        return [await self._reply(work.tensors[FRAME]) for work in works]

    async def _reply(self, frame):
        try:
            return await self.infer(frame)
        except InfilinkError as error:
            return error
