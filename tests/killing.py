"""An agent with a spool and its coordinator, killed at any moment; and what may not be lost by that."""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FPS = 25
_HUNG_S = 120.0
_LIVE = """
import time
from pathlib import Path
import numpy as np

def frames():
    number = 0
    while not Path({stop!r}).exists():
        number += 1
        time.sleep({step_s})
        yield np.full((60, 80, 3), 20 + (number * 37) % 200, np.uint8)

frames.live = True
"""


def brightness(index: int) -> int:
    """How bright frame `index` of the recording is: no two neighbours are alike."""
    return 20 + (index * 37) % 200


def write_recording(path: Path, frames: int) -> Path:
    """Frames of 80 x 60 that can be told apart."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (80, 60))
    for index in range(frames):
        writer.write(np.full((60, 80, 3), brightness(index), np.uint8))
    writer.release()
    return path


@dataclass
class Outcome:
    """What became of all that an agent had acknowledged.

    Attributes:
        kills: how often the agent, and the coordinator, were killed.
        taken: how many inputs counted as taken at some moment.
        lost: those of them that have no answer at the end.
        duplicates: inputs that stand under two names in the coordinator's ledger.
        wrong: inputs of a recording whose answer is another input's.
        holes: inputs of a recording that have no row.
        inputs: how many rows there are at the end.
        late: how many of these were answered late.
        tracebacks: how often the agent has said that something failed; what is left of a killed coordinator may.
    """

    kills: dict[str, int] = field(default_factory=lambda: {"agent": 0, "coordinator": 0})
    taken: set[int] = field(default_factory=set)
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0
    holes: int = 0
    inputs: int = 0
    late: int = 0
    tracebacks: int = 0


class Site:
    """A coordinator and an agent, each in a process of its own.

    Args:
        folder: where all their files lie.
        models: a folder with one model, `bright`, that says how bright a frame is.
        frames: the length of the recording; None: the source is live, and gives frames until it is stopped.
        settings: of the agent, more than those that it needs.
    """

    def __init__(self, folder: Path, models: Path, *, frames: int | None, **settings: Any) -> None:
        self.folder = folder
        self.frames = frames
        self.outcome = Outcome()
        folder.mkdir(parents=True, exist_ok=True)
        self.results, self.spool = folder / "r.sqlite", folder / "spool" / "_only.spool"
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        cloud = {"listen": address, "models": str(models), "ledger": str(folder / "ledger.sqlite")}
        self._stop = folder / "stop"
        if frames is None:
            (folder / "frames.py").write_text(_LIVE.format(stop=str(self._stop), step_s=1 / FPS))
            source = f"call({folder / 'frames.py'}:frames)"
        else:
            source = str(write_recording(folder / "v.avi", frames))
        device = {
            "name": "camera",
            "source": source,
            "coordinator": address,
            "results": str(self.results),
            "answer_timeout_s": _HUNG_S,
            "encoding": "jpeg",
            **settings,
        }
        _write_toml(folder / "cloud.toml", cloud)
        _write_toml(folder / "device.toml", device, {"folder": str(self.spool.parent), "sync_every_s": 0.05})
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, who: str) -> None:
        """Starts the agent or the coordinator."""
        kind = {"agent": "device", "coordinator": "cloud"}[who]
        command = [sys.executable, "-m", "infilink.cli", kind, "--config", str(self.folder / f"{kind}.toml")]
        with (self.folder / f"{who}.log").open("a") as log:
            self._processes[who] = subprocess.Popen(
                [*command, *(["--json"] if who == "agent" else [])], stdout=subprocess.PIPE, stderr=log, text=True
            )

    def kill(self, who: str) -> None:
        """Kills it; what the agent counts as taken then is noted."""
        process = self._processes[who]
        assert process.poll() is None, f"the {who} has ended by itself: {self._log(who)[-2000:]}"
        process.kill()
        process.communicate()
        self.outcome.kills[who] += 1
        if who == "agent":
            self._note()

    def run(self, kills: int, chance: random.Random, *, within_s: tuple[float, float] = (0.0, 1.5)) -> Outcome:
        """Kills one or the other so often, at random moments under load, and lets them come to an end.

        Args:
            kills: how often.
            chance: draws who and when.
            within_s: how long after it was started again, and works, the next one may be killed.
        """
        for who in ("coordinator", "agent"):
            self.start(who)
        for _ in range(kills):
            self._wait_until_it_works()
            time.sleep(chance.uniform(*within_s))
            victim = chance.choice(("agent", "coordinator"))
            if self._processes["agent"].poll() is not None:
                break
            self.kill(victim)
            self.start(victim)
        if self.frames is None:
            self._wait_until_it_works()
            self._stop.touch()
        self._finish()
        return self.outcome

    def close(self) -> None:
        """Ends what still runs."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.communicate()

    def _finish(self) -> None:
        """Lets the agent answer all that it has, and looks at what there is."""
        printed, _ = self._processes["agent"].communicate(timeout=10 * _HUNG_S)
        assert self._processes["agent"].returncode == 0, self._log("agent")[-3000:]
        summary = json.loads(printed)
        self._note()
        self._processes["coordinator"].terminate()
        self._processes["coordinator"].communicate(timeout=_HUNG_S)
        outcome = self.outcome
        rows = _rows(self.results, "SELECT sequence, kept, received_s, late FROM inputs")
        answered = {sequence for sequence, _, received_s, _ in rows if received_s is not None}
        outcome.lost = len(outcome.taken - answered) + summary["spooled"]
        outcome.inputs, outcome.late = len(rows), sum(late for *_, late in rows)
        names = _rows(self.folder / "ledger.sqlite", "SELECT session, sequence, captured_ns FROM answers")
        outcome.duplicates = len(names) - len({captured_ns for *_, captured_ns in names})
        outcome.duplicates += len(names) - len({(session, sequence) for session, sequence, _ in names})
        if self.frames is not None:
            outcome.holes = self.frames - len({row[0] for row in rows})
            outcome.wrong = self._wrong()
        outcome.tracebacks = self._log("agent").count("Traceback")

    def _wrong(self) -> int:
        values = _rows(self.results, "SELECT sequence, value FROM results WHERE model = 'bright'")
        from infilink.codec import unpack

        told = {sequence: float(unpack(value)[0]) for sequence, value in values}
        return sum(abs(value - brightness(sequence)) > 4.0 for sequence, value in told.items())

    def _note(self) -> None:
        """What counts as taken now: what stands in the results file, and what waits in the spool."""
        for path, sql in (
            (self.results, "SELECT sequence FROM inputs WHERE kept = 1"),
            (self.spool, "SELECT sequence FROM inputs"),
        ):
            self.outcome.taken |= {sequence for (sequence,) in _rows(path, sql)}

    def _wait_until_it_works(self) -> None:
        """Until the agent has taken something that it had not before, or has ended."""
        known = self._newest()
        agent = self._processes["agent"]
        _wait(lambda: agent.poll() is not None or self._newest() > known, "an agent that takes inputs")

    def _newest(self) -> int:
        rows = _rows(self.results, "SELECT MAX(sequence) FROM inputs")
        return -1 if not rows or rows[0][0] is None else int(rows[0][0])

    def _log(self, who: str) -> str:
        return (self.folder / f"{who}.log").read_text()


def _rows(path: Path, sql: str) -> list[Any]:
    """What a database says that others may be writing to; nothing, if it is not there yet."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()
    return []


def _wait(condition: Callable[[], bool], what: str) -> None:
    pause, ends = threading.Event(), time.monotonic() + _HUNG_S
    while not condition():
        assert time.monotonic() < ends, f"{what}: not in {_HUNG_S:g} s"
        pause.wait(0.02)


def _write_toml(path: Path, values: dict[str, Any], spool: dict[str, Any] | None = None) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if spool is not None:
        lines += ["[spool]", *(f"{key} = {json.dumps(value)}" for key, value in spool.items())]
    path.write_text("\n".join(lines) + "\n")
    os.chmod(path, 0o600)
