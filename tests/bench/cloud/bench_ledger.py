"""Answers kept in a second, and what waiting for the disk costs: both databases, with full sync and without.

`python tests/bench/cloud/bench_ledger.py [--seconds 2] [--rounds 3] [--folder .]`: so many streams each record their
next answer (five models) when the one before is kept; the ways take turns, the figures are medians. "one blob" is how
the ledger was before: a row an answer, SQLite with synchronous = NORMAL, which a power failure may take back.
PostgreSQL is measured where INFILINK_POSTGRES (or 127.0.0.1) answers.
"""

import argparse
import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.rows import Answered, InputKey
from infilink.models.spec import ModelSpec, parse_spec
from infilink.protos import edge_pb2
from infilink.protos.arrays import write_array
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

POSTGRES = os.environ.get("INFILINK_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
SCHEMA = "infilink_bench"
STREAMS = (1, 8, 64)
SPECS = {
    f"detector_{number}": parse_spec(
        {"name": f"detector_{number}", "input": {"size": [8, 8]}, "output": {"kind": "boxes", "classes": ["a", "b"]}},
        where="a spec",
    )
    for number in range(5)
}


class OneBlob:
    """The ledger as it was: one row an answer, in groups, without waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, check_same_thread=False)
        self._file.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self._file.execute(
            "CREATE TABLE answers (number INTEGER PRIMARY KEY, device TEXT, session TEXT, sequence INTEGER, "
            "answer BLOB, UNIQUE (device, session, sequence))"
        )
        self._waiting: list[tuple[Answered, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def record(self, answered: Answered) -> None:
        """Writes an answer."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answered, written))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await written

    async def close(self) -> None:
        """Closes the file."""
        self._file.close()

    async def _flush(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await asyncio.get_running_loop().run_in_executor(None, self._write, [each for each, _ in group])
            for _, written in group:
                written.set_result(None)

    def _write(self, group: list[Answered]) -> None:
        rows = [(e.key.device, e.key.session, e.key.sequence, e.message.SerializeToString()) for e in group]
        with self._file:
            self._file.executemany("INSERT INTO answers VALUES (NULL, ?, ?, ?, ?)", rows)


def an_answer(device: str, sequence: int) -> Answered:
    """Five detectors' answer, of three boxes each."""
    result = edge_pb2.Result(sequence=sequence)
    for name in SPECS:
        output = result.outputs.add(model=name, digest="0" * 64, kind="boxes", origin=1, confidence=1.0, trusted=True)
        write_array(output, np.full((3, 6), 0.5, np.float32))
    message = edge_pb2.CoordinatorMessage(result=result)
    specs: dict[str, ModelSpec] = SPECS
    return Answered(InputKey(device, "run", sequence), message, captured_ns=sequence, specs=specs, size=(1280, 720))


def opened(place: Path | str, statement: str) -> Ledger:
    """A ledger whose connections begin with a statement."""
    database = Database(place)
    event.listen(database._engine, "connect", lambda connection, _: connection.execute(statement))
    if database.path is None:
        event.listen(database._engine, "connect", lambda connection, _: connection.commit())
    database._engine.dispose()
    return Ledger(database)


def ways(folder: Path) -> dict[str, Callable[[], Any]]:
    """How answers are kept, by name; each call begins with an empty ledger."""

    def file() -> Path:
        return Path(tempfile.mkdtemp(dir=folder)) / "ledger.sqlite"

    def server(sync: str) -> Ledger:
        engine = create_engine(POSTGRES)
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        engine.dispose()
        url = engine.url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
        return opened(url.render_as_string(hide_password=False), f"SET synchronous_commit = {sync}")

    found: dict[str, Callable[[], Any]] = {
        "one blob, SQLite, NORMAL (before)": lambda: OneBlob(file()),
        "SQLite, NORMAL": lambda: opened(file(), "PRAGMA synchronous = NORMAL"),
        "SQLite, FULL": lambda: opened(file(), "PRAGMA synchronous = FULL"),
    }
    try:
        create_engine(POSTGRES, connect_args={"connect_timeout": 3}).connect().close()
    except (ModuleNotFoundError, SQLAlchemyError):
        return found
    return found | {
        "PostgreSQL, off": lambda: server("off"),
        "PostgreSQL, on": lambda: server("on"),
    }


async def measured(ledger: Any, streams: int, seconds: float) -> tuple[float, float, float, float]:
    """Answers a second, median and 99th percentile of what one waits for, CPU per answer."""
    took_s: list[float] = []

    async def stream(device: str) -> None:
        sequence = 0
        while time.perf_counter() < until_s:
            answered = an_answer(device, sequence)
            began_s = time.perf_counter()
            await ledger.record(answered)
            took_s.append(time.perf_counter() - began_s)
            sequence += 1

    began_s, cpu_s = time.perf_counter(), time.process_time()
    until_s = began_s + seconds
    await asyncio.gather(*(stream(f"camera {number}") for number in range(streams)))
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    await ledger.close()
    return len(took_s) / wall_s, *(1e3 * np.quantile(took_s, [0.5, 0.99])), 1e6 * cpu_s / len(took_s)


async def look_ups(ledger: Ledger, times: int = 20_000) -> tuple[float, float]:
    """Microseconds to know that an input is new, and to find one that was answered."""
    for sequence in range(100):
        await ledger.record(an_answer("camera", sequence))
    began_s = time.perf_counter()
    for sequence in range(100, 100 + times):
        assert await ledger.find(InputKey("camera", "run", sequence)) is None
    new_s = (time.perf_counter() - began_s) / times
    began_s = time.perf_counter()
    for number in range(times // 20):
        assert await ledger.find(InputKey("camera", "run", number % 100)) is not None
    known_s = (time.perf_counter() - began_s) / (times // 20)
    await ledger.close()
    return 1e6 * new_s, 1e6 * known_s


def fsync_ms(folder: Path) -> float:
    """How long the disk takes for one page."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(100):
            file.write(bytes(4096))
            file.flush()
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began_s)
    return 1e3 * median(took)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are made: on the disk to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder, rows = Path(place), dict[tuple[str, int], list[tuple[float, ...]]]()
        for _ in range(given.rounds):
            for streams in STREAMS:
                for name, make in ways(folder).items():
                    rows.setdefault((name, streams), []).append(asyncio.run(measured(make(), streams, given.seconds)))
        table = Table(title=f"answers of five models kept; one fdatasync takes {fsync_ms(folder):.2f} ms here")
        for column in ("ledger", "streams", "answers/s", "p50 ms", "p99 ms", "CPU us/answer"):
            table.add_column(column, justify="left" if column == "ledger" else "right")
        for (name, streams), found in rows.items():
            per_s, p50, p99, cpu = (median(each) for each in zip(*found, strict=True))
            table.add_row(name, str(streams), f"{per_s:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:.0f}")
        console = Console(width=120)
        console.print(table)
        for name, make in ways(folder).items():
            if not name.endswith("(before)"):
                new, known = asyncio.run(look_ups(make()))
                console.print(
                    f"{name}: a new input is known as new in {new:.2f} us, a repeated one found in {known:.0f} us"
                )


if __name__ == "__main__":
    main()
