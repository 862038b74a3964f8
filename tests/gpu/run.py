"""What only a card can show, as one table: `python tests/gpu/run.py [--cycles 200] [--seconds 10] [--model FILE ...]`.

Without a card it says why, and runs as far as it can on the processors (`--dry`), to show that it would run.

- The budget is never exceeded over 200 loads and unloads, as the driver sees it, and the bytes are back within 10 %.
- Throughput over bare onnxruntime-gpu with the same models and inputs: what the coordinator's process and pipe cost.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from infilink.cloud.config import CloudConfig
from infilink.cloud.model_store import ServedModel, Source, read_source_spec
from infilink.cloud.runtime.card import Card
from infilink.cloud.runtime.machine import Machine
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.meter import Meter, Reading
from infilink.cloud.runtime.pool import ModelPool
from infilink.cloud.runtime.run_queue import RunQueue
from infilink.errors import InvalidInput, OutOfMemory
from infilink.models.doctor import cards
from infilink.models.onnx_model import OnnxModel
from infilink.models.providers import Execution, Provider
from infilink.models.spec import digest
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from cloud.made import write_number

MIB = 2**20
SIZES = (32 * MIB, 64 * MIB, 128 * MIB)
PLACE = "cuda:0"
IN_FLIGHT = 8


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    value: str
    holds: bool | None = None


class ProcessMeter:
    """Where there is no card: its process's own memory stands for it."""

    total_bytes = 2**34

    def __init__(self) -> None:
        self.process: Any = None

    def read(self) -> Reading:
        return Reading(whole_bytes=0 if self.process is None else self.process.memory_bytes())


def main() -> None:
    """Runs everything; exit code 1 if something does not hold, 0 with a reason where there is no card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200, help="loads and unloads")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each throughput is measured")
    parser.add_argument("--model", type=Path, action="append", default=[], help="a real model, its spec beside it")
    parser.add_argument("--dry", action="store_true", help="on the processors, as far as that goes")
    given = parser.parse_args()
    why = no_card()
    if why and not given.dry:
        print(f"skipped: {why}; --dry runs it on the processors")
        return
    with tempfile.TemporaryDirectory() as place:
        made = [write_number(Path(place) / f"made{at}.onnx", at, size_bytes=size) for at, size in enumerate(SIZES)]
        rows = asyncio.run(measure(Path(place), [*made, *given.model], given, dry=bool(why)))
    table = Table(title=f"{why or card_name()}; onnxruntime {ort.__version__}")
    for column in ("what", "measured", "holds"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.what, row.value, "" if row.holds is None else "yes" if row.holds else "NO")
    Console().print(table)
    raise SystemExit(any(row.holds is False for row in rows))


def no_card() -> str:
    """Why nothing can be measured here; empty: it can."""
    found = cards()
    if not found:
        return "the driver shows no card" if found is not None else "no NVIDIA driver, or nvidia-ml-py is missing"
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "the installed onnxruntime has no CUDA: install onnxruntime-gpu in its place"
    return ""


def card_name() -> str:
    """The first card's."""
    return (cards() or [("no card", 0, 0)])[0][0]


async def measure(place: Path, paths: Sequence[Path], given: argparse.Namespace, *, dry: bool) -> list[Row]:
    """Loads and unloads, then throughput."""
    meter = ProcessMeter()
    meters: dict[str, Meter] = {PLACE: meter} if dry else {}
    provider = Provider("cuda")
    config = CloudConfig(models=place, ledger=place / "ledger.sqlite", providers=[provider], reserve={"cuda": "1GiB"})
    machine = Machine(config, meters=meters)
    for path in paths:
        # As configured; without a card the session falls back by itself.
        machine.use(path.stem, Execution((provider,)))
    models = {path.stem: served(path) for path in paths}
    workers = {name: machine.worker(model) for name, model in models.items()}
    card = machine.cards[PLACE]
    meter.process = card.process
    pool = ModelPool(
        workers, MemoryBudget(None, {}), RunQueue(workers), cards=machine.cards, places=dict.fromkeys(models, PLACE)
    )
    try:
        rows = await loads(pool, card, list(models), given.cycles)
        rows += await throughput(pool, models, given.seconds)
    finally:
        for worker in workers.values():
            worker.close()
        machine.close()
    return rows


async def loads(pool: ModelPool, card: Card, names: Sequence[str], cycles: int) -> list[Row]:
    """So many loads and unloads under a budget that not all models fit."""
    for name in names:
        await pool.load(name)
    whole_bytes, needs = card.taken_bytes(), {name: card.budget.need(name) for name in names}
    for name in names:
        await pool.unload(name)
    baseline_bytes = card.taken_bytes()
    card.budget.limit_bytes = baseline_bytes + int(0.7 * (whole_bytes - baseline_bytes)) + 16 * MIB
    random, peak_bytes, refused, done, times = np.random.default_rng(0), 0, 0, 0, []
    while done < cycles:
        name = str(random.choice(names))
        if name in pool.queue.loaded:
            await pool.unload(name)
            continue
        began_s = time.perf_counter()
        try:
            await pool.load(name)
        except OutOfMemory:
            refused += 1
            if pool.queue.loaded:
                await pool.unload(sorted(pool.queue.loaded)[0])
            continue
        times.append(time.perf_counter() - began_s)
        done += 1
        await pool.queue.run(name, np.full((64, 64, 3), done % 256, np.uint8))
        peak_bytes = max(peak_bytes, card.taken_bytes())
    for name in sorted(pool.queue.loaded):
        await pool.unload(name)
    after_bytes, limit_bytes = card.taken_bytes(), card.budget.limit_bytes
    by_process = getattr(card.meter, "by_process", True)
    card.budget.limit_bytes = None
    budget = f"{peak_bytes / MIB:.0f} of {limit_bytes / MIB:.0f} MiB at most, {refused} refused"
    back = f"{after_bytes / MIB:.0f} MiB, {card.recycled} processes recycled"
    return [
        Row("measured", "by process" if by_process else "by what the card has less free"),
        Row("context and what stays", f"{baseline_bytes / MIB:.0f} MiB"),
        Row("models take", ", ".join(f"{name} {need / MIB:.0f} MiB" for name, need in needs.items())),
        Row(f"budget over {cycles} loads", budget, peak_bytes <= limit_bytes and not card.budget.stats().violations),
        Row("bytes back", back, after_bytes <= 1.1 * baseline_bytes + MIB),
        Row("a load", f"{1000 * statistics.median(times):.0f} ms"),
    ]


async def throughput(pool: ModelPool, models: dict[str, ServedModel], seconds: float) -> list[Row]:
    """Each model by the coordinator's queue, and by bare onnxruntime in this process, with as many in flight."""
    rows, frame = [], np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    for name, model in models.items():
        await pool.load(name)
        ours = await asked(pool, name, frame, seconds)
        await pool.unload(name)
        bare = await asyncio.to_thread(bare_per_s, model, frame, seconds)
        rows.append(Row(f"{name}: a second", f"{ours:.0f} of {bare:.0f} bare: {ours / bare:.2f}"))
    return rows


async def asked(pool: ModelPool, name: str, frame: np.ndarray, seconds: float) -> float:
    """Outputs a second, so many in flight."""
    until_s, count = time.perf_counter() + seconds, 0

    async def one() -> int:
        done = 0
        while time.perf_counter() < until_s:
            await pool.queue.run(name, frame)
            done += 1
        return done

    count = sum(await asyncio.gather(*(one() for _ in range(IN_FLIGHT))))
    return count / seconds


def bare_per_s(model: ServedModel, frame: np.ndarray, seconds: float) -> float:
    """The same model, preprocessing and decoding in a pool of threads, with one session."""
    one = OnnxModel(model.path, providers=Execution((Provider("cuda"),)).for_session())
    one.infer(frame)
    until_s = time.perf_counter() + seconds

    def run() -> int:
        done = 0
        while time.perf_counter() < until_s:
            one.infer(frame)
            done += 1
        return done

    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        return sum(each.result() for each in [threads.submit(run) for _ in range(IN_FLIGHT)]) / seconds


def served(path: Path) -> ServedModel:
    """A model that runs from where it is."""
    beside = path.with_suffix(".toml")
    source = Source(path, beside if beside.is_file() else None)
    spec = read_source_spec(source)
    if spec.name != path.stem:
        raise InvalidInput(f"{path}: is called {spec.name!r}: name the file so")
    return ServedModel(path.stem, spec.version, digest(path), spec, path, source)


if __name__ == "__main__":
    main()
