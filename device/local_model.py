"""One model that runs on the device, in a process of its own that is started again when it dies."""

import time
from functools import cached_property
from pathlib import Path

from ..errors import ModelFailed
from ..models import ModelSpec, digest
from ..outputs import Array
from ..process import ModelProcess

_RETRY_S = 5.0


class LocalModel:
    """A model's process and, after it, the next; used by one thread at a time, but for `kill` and `memory_bytes`.

    Args:
        name: the model's.
        path: its file.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.executions = 0
        self.infer_s = 0.0
        self._process: ModelProcess | None = None
        self._spec: ModelSpec | None = None
        self._retry_at = 0.0

    @cached_property
    def digest(self) -> str:
        """The file's: which version says what it says."""
        return digest(self.path)

    @property
    def spec(self) -> ModelSpec:
        """The model's spec, once it is loaded."""
        assert self._spec is not None, "load() comes first"
        return self._spec

    def load(self, *, warm_up: bool = True) -> None:
        """Starts the process and loads the model; warmed up, its first output is as fast as the others.

        Raises:
            InvalidInput: it is no model.
            ModelFailed: its process ended, or was not ready in time.
        """
        self._process = ModelProcess(self.path).load(warm_up=warm_up)
        self._spec = self._process.spec

    def infer(self, image: Array) -> Array:
        """The output for a frame (uint8 BGR). A process that died is started again for the next one.

        Raises:
            ModelFailed: the model failed on this frame, or its process ended or does not stay alive.
        """
        process = self._process or self._restarted()
        try:
            inferred = process.infer(image)
        except ModelFailed:
            if not process.memory_bytes():
                self.close()
            raise
        self.executions += 1
        self.infer_s += inferred.infer_s
        return inferred.value

    def memory_bytes(self) -> int:
        """What the process takes now; 0 when it does not run."""
        process = self._process
        return 0 if process is None else process.memory_bytes()

    def kill(self) -> None:
        """Ends what the process is doing: whoever waits for it is told that it failed."""
        process = self._process
        if process is not None:
            # Not close(): its pipe is in use by the thread that waits.
            process.kill()

    def close(self) -> None:
        """Ends the process; closing twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _restarted(self) -> ModelProcess:
        if time.monotonic() < self._retry_at:
            raise ModelFailed(f"{self.name}: its process does not stay alive")
        self._retry_at = time.monotonic() + _RETRY_S
        self.load(warm_up=False)
        assert self._process is not None
        return self._process
