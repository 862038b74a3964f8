"""Runs the updates of a filter at work, each in a process of its own, so that torch is never loaded beside it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .folder import OnlineFolder

COMMAND = (sys.executable, "-m", "infilink.filters.online.update")
_KILL_TIMEOUT_S = 5.0
_SAID = 400


class Updater:
    """At most one update at a time. Close it.

    Args:
        folder: where the labels are and the new filter comes.
        command: what is run, with the folder's path as the last argument.
    """

    def __init__(self, folder: OnlineFolder, command: Sequence[str] = COMMAND) -> None:
        self.folder = folder
        self.command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether one was started and its end was not told."""
        return self._process is not None

    def start(self) -> None:
        """Starts the next update."""
        assert not self.running, "one at a time"
        with self.folder.log.open("wb") as log:
            # In a session of its own, so that Ctrl-C reaches the agent alone, which waits for it.
            self._process = subprocess.Popen(
                [*self.command, str(self.folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ended(self) -> str | None:
        """None while it runs, or if none does; else, once, why it failed, "" if it did not."""
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return None
        self._process = None
        if not code:
            return ""
        said = _tail(self.folder.log)
        return said or (f"it was killed by signal {-code}" if code < 0 else f"it ended with {code}")

    def close(self, timeout_s: float) -> str | None:
        """Waits for the one that runs and says how it ended, as `ended`; one that takes longer is stopped: None."""
        if self._process is None:
            return None
        try:
            self._process.wait(timeout_s)
            return self.ended()
        except subprocess.TimeoutExpired:
            return None
        finally:
            self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(log: Path) -> str:
    return " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-_SAID:]
