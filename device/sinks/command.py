"""A command of the user's as a sink: run for each change or event, with JSON on its standard input."""

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from ...errors import InvalidInput
from .delivered import Delivered, EventPicture, Said
from .settings import CommandConfig

logger = logging.getLogger(__name__)


class Command:
    """Runs a command beside the agent.

    Args:
        config: which, and when.
        clock: seconds that do not go back.

    Attributes:
        runs: how many were begun.
        left_out: how many were not, as too many ran, or the last was not long ago.
        failures: runs that ended with an error, or were killed as they took too long.

    Raises:
        InvalidInput: there is no such program.
    """

    wants_pictures = False

    def __init__(self, config: CommandConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        if shutil.which(config.run[0]) is None:
            raise InvalidInput(f"sinks: run: there is no program {config.run[0]!r} that can be run")
        self.config = config
        self.clock = clock
        self.runs = self.left_out = self.failures = 0
        self._states: dict[tuple[str, str], object] = {}
        self._last_s: dict[str, float] = {}
        self._running: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def take(self, delivered: Delivered) -> None:
        """Runs the command, if this input is one for it."""
        if self.config.on == "event":
            return
        said = [
            each for each in delivered.results if each.value is not None and _is_one_of(each.model, self.config.models)
        ]
        if self.config.on == "change":
            # What comes late says nothing of now.
            said = [] if delivered.late else [each for each in said if self._changes(delivered.stream, each)]
        elif self.config.classes:
            said = [each for each in said if set(each.classes) & set(self.config.classes)]
        if said:
            changed = {"changed": [each.model for each in said]}
            self._start(delivered.stream, {**delivered.as_json(), **changed})

    def take_event(self, event: EventPicture) -> None:
        """Runs the command, if it is for events."""
        wanted = _is_one_of(event.model, self.config.models) and _is_one_of(event.what, self.config.classes)
        if self.config.on == "event" and wanted:
            self._start(event.stream, event.as_json())

    def close(self) -> None:
        """Waits for the runs, as long as they may take."""
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(self.config.timeout_s + 1.0)

    def _changes(self, stream: str, said: Said) -> bool:
        state = _state(said, self.config.classes)
        before = self._states.get((stream, said.model))
        self._states[stream, said.model] = state
        # At the start nothing is there: what is there already is a change.
        return state != (_state_of_nothing(said, self.config.classes) if before is None else before)

    def _start(self, stream: str, found: dict[str, Any]) -> None:
        now_s = self.clock()
        with self._lock:
            if now_s - self._last_s.get(stream, -self.config.every_s) < self.config.every_s:
                self.left_out += 1
                return
            if len(self._running) >= self.config.at_once:
                self.left_out += 1
                self._tell("busy", f"{self.config.at_once} runs are still at work: what comes meanwhile is left out")
                return
            self._last_s[stream] = now_s
            self.runs += 1
            thread = threading.Thread(target=self._run, args=(json.dumps(found).encode(),), daemon=True)
            self._running.add(thread)
        thread.start()

    def _run(self, text: bytes) -> None:
        try:
            failure = self._failure_of(text)
        except OSError as error:
            failure = f"can't be run: {error}"
        with self._lock:
            self._running.discard(threading.current_thread())
            if failure:
                self.failures += 1
                self._tell(failure, failure)

    def _failure_of(self, text: bytes) -> str:
        """Runs it; what went wrong, or nothing."""
        # A group of its own, so that what it starts is killed with it. What it says to people goes where ours goes.
        with subprocess.Popen(
            self.config.run, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                process.communicate(text, timeout=self.config.timeout_s)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                return f"was killed after {self.config.timeout_s:g} s"
        return f"ended with code {process.returncode}" if process.returncode else ""

    def _tell(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            logger.warning("sink command %s: %s (told once)", self.config.run[0], text)


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _state(said: Said, classes: tuple[str, ...]) -> object:
    """What a change is told by: of boxes how many of each class; of classes that were asked for which are there."""
    assert said.value is not None
    if classes:
        return frozenset(said.classes) & frozenset(classes)
    if said.output.kind == "boxes":
        return tuple(said.output.counts(said.value).tolist())
    if said.output.kind in ("label", "multilabel"):
        return said.classes
    if said.output.kind in ("count", "scalar"):
        return float(said.value[0])
    return hash(said.value.tobytes())


def _state_of_nothing(said: Said, classes: tuple[str, ...]) -> object:
    if classes:
        return frozenset()
    return (0.0,) * len(said.output.classes) if said.output.kind == "boxes" else None
