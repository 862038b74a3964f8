"""50,000 messages as strangers may send them, to a real coordinator, while a healthy device is served.

    python tests/bench/cloud/fuzz_wire.py [--messages 50000] [--seed 1] [--answers full]

It fails on a traceback in the log, an answer that the healthy device lacks, or memory that does not come back.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from infilink.models.spec import digest
from mutations import Mutations
from strangers import Healthy, bad_ends, drive, serve_healthy

sys.path.append(str(Path(__file__).parents[2]))
import kinds

_SETTLES_S = 3.0
_LOOKS_EVERY_S = 0.1
_KEEPS_BYTES = 48 * 2**20


def main() -> int:
    """Runs it and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--answers", nargs="+", default=["full", "hold"])
    options = parser.parse_args()
    failed = False
    for answers in options.answers:
        with tempfile.TemporaryDirectory() as folder:
            failed |= _fuzz(Path(folder), answers, options.messages // len(options.answers), options.seed)
    return int(failed)


def _fuzz(folder: Path, answers: str, messages: int, seed: int) -> bool:
    """One coordinator's run; whether it failed."""
    models, path = folder / "models", folder / "log"
    kinds.write_models(models)
    digests = {path.stem: digest(path) for path in models.glob("*.onnx")}
    streams = {
        of.form.model_dump_json(): [way for level in of.inputs for way in of.ways(level)]
        for kind, of in kinds.KINDS.items()
        if kind != "image"
    }
    seen, quiet = Healthy(), Healthy()
    with _coordinator(models, path, answers) as (address, process):
        ends, memory_bytes = asyncio.run(
            _both(address, Mutations(seed, digests, streams), messages, seen, quiet, lambda: process.memory_info().rss)
        )
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    log = path.read_text(errors="replace")
    before_bytes, _, after_bytes = memory_bytes
    wrong = {
        "the coordinator ended": not alive,
        "a traceback in its log": "Traceback" in log or "a call failed" in log,
        f"streams that ended badly: {bad_ends(ends)}": bool(bad_ends(ends)),
        f"the healthy device lacks answers: {seen.wrong[:3]}": bool(seen.wrong),
        "memory does not come back": after_bytes > before_bytes * 1.1 + _KEEPS_BYTES,
    }
    print(f"answers = {answers!r}: {messages} messages, seed {seed}")
    print(f"  streams: {dict(ends.most_common())}")
    print("  MiB before, at most, after:", ", ".join(f"{each / 2**20:.0f}" for each in memory_bytes))
    for name, one in (("alone", quiet), ("meanwhile", seen)):
        print(
            f"  a healthy device {name}: {len(one.latencies_s)} answers, p50 {one.percentile(0.5) * 1e3:.1f} ms, "
            f"p99 {one.percentile(0.99) * 1e3:.1f} ms"
        )
    for text, holds in wrong.items():
        if holds:
            print(f"  FAILED: {text}")
    if any(wrong.values()):
        begin = log.find("Traceback")
        print(log[max(0, begin - 500) : begin + 6000] if begin >= 0 else log[-3000:])
    return any(wrong.values())


async def _both(
    address: str, mutations: Mutations, messages: int, seen: Healthy, quiet: Healthy, memory: Callable[[], int]
) -> tuple[Counter[str], tuple[int, int, int]]:
    """The healthy device alone, then beside the changed messages; memory before, at most, and after."""
    taken_bytes: list[int] = []

    async def watch() -> None:
        while True:
            taken_bytes.append(memory())
            await asyncio.sleep(_LOOKS_EVERY_S)

    # Strangers have a process of their own: what they take to make messages is none of the healthy device's time.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        strangers = partial(asyncio.get_running_loop().run_in_executor, pool, _send, address, mutations)
        await _for(address, quiet, asyncio.sleep(_SETTLES_S), session="quiet")
        # What is made once, for the first messages of each kind, is no loss.
        await strangers(min(500, messages))
        before_bytes = memory()
        watching = asyncio.create_task(watch())
        ends = await _for(address, seen, strangers(messages), session="busy")
        watching.cancel()
    await asyncio.sleep(_SETTLES_S)
    return ends, (before_bytes, max(taken_bytes), memory())


def _send(address: str, mutations: Mutations, messages: int) -> Counter[str]:
    return asyncio.run(drive(address, mutations, messages))


async def _for(address: str, seen: Healthy, work: Awaitable[Any], *, session: str) -> Any:
    """Serves the healthy device for as long as the work takes."""
    stop = asyncio.Event()
    healthy = asyncio.create_task(serve_healthy(address, seen, stop, session=session))
    done = await work
    stop.set()
    await healthy
    return done


@contextmanager
def _coordinator(models: Path, log: Path, answers: str) -> Iterator[tuple[str, psutil.Process]]:
    """A coordinator as a user starts it: its address and process."""
    config = log.with_name("cloud.toml")
    config.write_text(f'listen = "127.0.0.1:0"\nmodels = "{models}"\nledger = "ledger.sqlite"\nanswers = "{answers}"\n')
    command = [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config)]
    with log.open("w") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready on "), log.read_text()
            yield line.removeprefix("ready on ").strip(), psutil.Process(process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
