"""The tuner's long work: one piece at a time, in a process of its own that is ended when nobody wants its answer."""

import asyncio
import itertools
import json
import logging
import os
import signal
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from ...errors import InvalidInput, Overloaded
from .tuner_questions import Asked

logger = logging.getLogger(__name__)

MOST_ANSWER_BYTES = 16 * 2**20
MOST_KEPT_BYTES = 48 * 2**20
MOST_KNOWN = 32
"""So many of the newest pieces of work are told of."""
LONGEST_S = 3600.0
"""What takes longer is ended."""
_MOST_LOG_BYTES = 4096
_COMMAND = (sys.executable, "-m", __name__.rpartition(".")[0] + ".tuner_work")
State = Literal["running", "done", "failed", "cancelled"]


@dataclass(eq=False)
class Job:
    """One piece of work.

    Attributes:
        number: counts them.
        key: what was asked, of which files: the same has the same answer.
        title: what it is, for people.
        asked: what was asked.
        state: how it is.
        done: the share of it that is done.
        doing: what it does now.
        why: why it failed.
        began_s: when it began, by a clock that never jumps.
        ended_s: when it ended.
    """

    number: int
    key: str
    title: str
    asked: Asked
    state: State = "running"
    done: float = 0.0
    doing: str = "starting"
    why: str = ""
    began_s: float = field(default_factory=time.monotonic)
    ended_s: float = 0.0

    def told(self) -> dict[str, Any]:
        """As the page is told it; `left_s` is an estimate, None where nothing can be said yet."""
        seconds = (self.ended_s or time.monotonic()) - self.began_s
        left_s = seconds * (1.0 - self.done) / self.done if 0.02 < self.done < 1.0 and seconds > 1.0 else None
        return {
            "number": self.number,
            "key": self.key,
            "title": self.title,
            "question": self.asked.question.model_dump(mode="json"),
            "state": self.state,
            "done": self.done,
            "doing": self.doing,
            "why": self.why,
            "seconds": round(seconds, 1),
            "left_s": None if left_s is None else round(left_s),
        }


class Jobs:
    """Does one piece of work at a time, and keeps the newest answers within a bound on their bytes."""

    def __init__(self) -> None:
        self.current: Job | None = None
        self.size_bytes = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        # A page that asks on after a restart is not to take another's work for its own.
        self._numbers = itertools.count(time.time_ns() // 10**6)
        self._known: OrderedDict[int, Job] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def answer(self, key: str) -> bytes | None:
        """What came of it, as JSON; None: it is not kept (any more)."""
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def find(self, number: int) -> Job | None:
        """A piece of work by its number; None: it is not known (any more)."""
        return self._known.get(number)

    def start(self, asked: Asked, key: str, title: str) -> Job:
        """Begins a piece of work.

        Raises:
            Overloaded: another one is under way.
        """
        if self.current is not None and self.current.state == "running":
            raise Overloaded(f"one thing at a time: {self.current.title} is under way; wait for it, or cancel it")
        self.current = job = Job(next(self._numbers), key, title, asked)
        self._known[job.number] = job
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        self._task = asyncio.create_task(self._work(job))
        return job

    def cancel(self, number: int) -> None:
        """Ends it, if that is still under way.

        Raises:
            InvalidInput: it is not.
        """
        job = self.current
        if job is None or job.number != number or job.state != "running" or self._task is None:
            raise InvalidInput("this is not under way any more")
        job.state = "cancelled"
        self._task.cancel()

    async def ended(self) -> None:
        """Waits until nothing is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _keep(self, key: str, answer: bytes) -> None:
        self.size_bytes -= len(self._answers.pop(key, b""))
        self._answers[key] = answer
        self.size_bytes += len(answer)
        while self.size_bytes > MOST_KEPT_BYTES:
            self.size_bytes -= len(self._answers.popitem(last=False)[1])

    async def _work(self, job: Job) -> None:
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._ask(job)
        except TimeoutError:
            job.state, job.why = "failed", f"it took more than {LONGEST_S / 60:.0f} minutes and was ended"
        except asyncio.CancelledError:
            job.state = "cancelled"
            raise
        except Exception:
            logger.exception("tuner: %s failed", job.title)
            job.state, job.why = "failed", "it failed in an unforeseen way; the coordinator's log says more"
        finally:
            if job.state == "running":
                job.state, job.why = "failed", job.why or "its process ended"
            job.ended_s = time.monotonic()

    async def _ask(self, job: Job) -> None:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MOST_ANSWER_BYTES,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        said = asyncio.create_task(_last_of(process.stderr))
        try:
            process.stdin.write(job.asked.model_dump_json().encode() + b"\n")
            while line := await process.stdout.readline():
                self._hear(job, line)
            await process.wait()
            if job.state == "running":
                log = (await said).decode(errors="replace").strip()
                logger.warning("tuner: %s: its process ended with %s: %s", job.title, process.returncode, log)
                job.why = (
                    "its process was killed, as by a lack of memory: take a shorter recording"
                    if (process.returncode or 0) < 0
                    else "its process ended without an answer; the coordinator's log says more"
                )
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdin.close()
            said.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(process.wait())

    def _hear(self, job: Job, line: bytes) -> None:
        told = json.loads(line)
        if "answer" in told:
            self._keep(job.key, json.dumps(told["answer"], separators=(",", ":")).encode())
            job.state, job.done, job.doing = "done", 1.0, ""
        elif "error" in told:
            job.state, job.why = "failed", str(told["error"])
        else:
            job.done, job.doing = float(told["done"]), str(told["doing"])


async def _last_of(stream: asyncio.StreamReader) -> bytes:
    """The end of what a process says, read so that it never waits for somebody to read it."""
    kept = b""
    while piece := await stream.read(4096):
        kept = (kept + piece)[-_MOST_LOG_BYTES:]
    return kept
