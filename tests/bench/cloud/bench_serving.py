"""The coordinator as a serving system, beside what else one could take, on the same pictures and models.

`python tests/bench/cloud/bench_serving.py [throughput|overload|streams|large ...]`: real processes, one after another.

- throughput: 8 in flight; the plain server (grpc.aio, a pool of threads) and mosec with two workers beside it. mosec
  runs in an environment of its own: name its Python in MOSEC_PYTHON.
- overload: so many times the peak is offered by 32 devices; what counts is what comes within a deadline. They wait as
  they are told, as our agent does, and in the last row they do not.
- streams: 1,000 streams with one small picture a second each, on a model that does next to nothing.
- large: 64 pictures of 33 megapixels from 16 devices, and how long a healthy device waits meanwhile.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import grpc
from clients import OPTIONS, Device, HttpCaller, Measured, ask_at_rate, keep_asking, plain_caller
from pictures import MODELS, clips, made, real_model
from rich.console import Console
from rich.table import Table
from servers import Running, edge, mosec, plain

IN_FLIGHT = 8
CORES = len(os.sched_getaffinity(0))
DEADLINE_S = 1.0
# A model that does next to nothing.
LIGHT = '[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\n'


def main() -> None:
    """Runs what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to run (everything)")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each row is measured")
    parser.add_argument("--rounds", type=int, default=1, help="how often; the table has the medians")
    parser.add_argument("--model", action="append", choices=MODELS, help="of the real models, only this one")
    parser.add_argument("--send-large", metavar="ADDRESS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.send_large:
        print(asyncio.run(send_large(given.send_large)))
        return
    for name in given.parts or PARTS:
        PARTS[name](given)


def throughput(given: argparse.Namespace) -> None:
    """The three servers side by side."""
    seconds, rounds = given.seconds, given.rounds
    table = Table(title=f"{IN_FLIGHT} in flight, {CORES} cores")
    for column in ("model", "pictures", "server", "per s", "p50 ms", "p99 ms", "CPU ms", "MiB", "of plain"):
        table.add_column(column)
    pictures = clips()
    with tempfile.TemporaryDirectory() as place:
        for model in given.model or MODELS:
            folder = real_model(Path(place) / model, model)
            file = folder / f"{MODELS[model]}.onnx"
            for name, jpegs in pictures.items():
                rows: dict[str, list[tuple[float, ...]]] = {}
                for _ in range(rounds):
                    for server in _servers(folder, file, Path(place)):
                        with server() as running:
                            rows.setdefault(running.kind, []).append(asyncio.run(_driven(running, jpegs, seconds)))
                best = _median(rows["plain"], 0)
                for kind, found in rows.items():
                    per_s, p50, p99, cpu_ms, mib = (_median(found, at) for at in range(5))
                    cells = f"{per_s:.1f}", f"{p50:.0f}", f"{p99:.0f}", f"{cpu_ms:.1f}", f"{mib:.0f}"
                    table.add_row(model, name, kind, *cells, f"{per_s / best:.2f}")
    _print(table)


def _servers(folder: Path, file: Path, place: Path) -> Iterator[Callable[[], object]]:
    yield lambda: plain(file, CORES)
    yield lambda: edge(folder, place)
    if python := os.environ.get("MOSEC_PYTHON"):
        yield lambda: mosec(python, file, 2)


async def _driven(running: Running, jpegs: Sequence[bytes], seconds: float) -> tuple[float, ...]:
    async with AsyncExitStack() as stack:
        if running.kind == "mosec":
            asks = [HttpCaller(running.address).ask for _ in range(IN_FLIGHT)]
        elif running.kind == "plain":
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(running.address, options=OPTIONS))
            asks = [plain_caller(channel)] * IN_FLIGHT
        else:
            devices = await stack.enter_async_context(connected(running.address, IN_FLIGHT))
            asks = [device.ask for device in devices]
        await keep_asking(asks, jpegs, seconds=0.0, warm_s=3.0)
        cpu_s, began = running.cpu_s(), time.perf_counter()
        measured = await keep_asking(asks, jpegs, seconds=seconds, warm_s=0.5)
        took_s = time.perf_counter() - began
        cpu_ms = 1000 * (running.cpu_s() - cpu_s) / max(1.0, measured.per_s * took_s)
        return measured.per_s, measured.quantile_ms(0.5), measured.quantile_ms(0.99), cpu_ms, _mib(running)


def overload(given: argparse.Namespace) -> None:
    """What comes in time when more is offered than can be answered."""
    seconds = given.seconds
    table = Table(title=f"offered by 32 devices; in time: within {DEADLINE_S:g} s")
    columns = "model", "offered", "per s", "answered", "in time", "of the peak", "p50 ms", "p99 ms", "refused", "MiB"
    for column in columns:
        table.add_column(column)
    jpegs = clips()["lobby 768x432"]

    async def story(running: Running, model: str) -> None:
        async with connected(running.address, 32) as devices:
            peak = (await keep_asking([each.ask for each in devices[:IN_FLIGHT]], jpegs, seconds=seconds)).per_s
            table.add_row(model, "peak", "", f"{peak:.1f}", *[""] * 5, f"{_mib(running):.0f}")
            for times, heeds in ((2, True), (5, True), (10, True), (10, False)):
                offered = {"per_s": times * peak, "seconds": seconds, "deadline_s": DEADLINE_S, "warm_s": 2.0}
                found = await ask_at_rate(devices, jpegs, heeds=heeds, **offered)
                good = found.within_per_s(DEADLINE_S)
                cells = f"{times * peak:.0f}", f"{found.per_s:.1f}", f"{good:.1f}", f"{good / peak:.2f}"
                cells = *cells, f"{found.quantile_ms(0.5):.0f}", f"{found.quantile_ms(0.99):.0f}"
                table.add_row(
                    model, f"{times}x" + ("" if heeds else ", rude"), *cells, str(found.refused), f"{_mib(running):.0f}"
                )

    for model in given.model or MODELS:
        with tempfile.TemporaryDirectory() as place, edge(real_model(Path(place) / "m", model), Path(place)) as running:
            asyncio.run(story(running, model))
    _print(table)


def streams(given: argparse.Namespace, count: int = 1000) -> None:
    """Many streams that each send little."""
    seconds = given.seconds
    table = Table(title=f"{count} streams, one picture of 64x48 a second each")
    for column in ("per s", "p50 ms", "p99 ms", "refused", "KiB a stream", "CPU ms"):
        table.add_column(column)

    async def story(running: Running) -> None:
        before = running.memory_bytes()
        async with connected(running.address, count, channels=8) as devices:
            await ask_at_rate(devices, made(64, 48), per_s=count, seconds=2.0)
            cpu_s = running.cpu_s()
            found = await ask_at_rate(devices, made(64, 48), per_s=count, seconds=max(seconds, 5.0))
            cpu_ms = 1000 * (running.cpu_s() - cpu_s) / max(1, len(found.latencies_s))
            kib = (running.memory_bytes() - before) / 1024 / count
        cells = f"{found.per_s:.0f}", f"{found.quantile_ms(0.5):.0f}", f"{found.quantile_ms(0.99):.0f}"
        table.add_row(*cells, str(found.refused), f"{kib:.0f}", f"{cpu_ms:.2f}")

    with light_edge(max_devices=count) as running:
        asyncio.run(story(running))
    _print(table)


def large(given: argparse.Namespace) -> None:
    """A healthy device beside 16 that send as large pictures as are allowed."""
    seconds = given.seconds
    table = Table(title="a device with pictures of 320x240, alone and beside 64 of 33 megapixels from 16 devices")
    for column in ("", "per s", "p50 ms", "p99 ms", "most MiB", "large: answered", "refused", "s"):
        table.add_column(column)
    small = made(320, 240)

    async def story(running: Running) -> None:
        async with connected(running.address, 1) as (healthy,):
            alone = await ask_at_rate([healthy], small, per_s=20, seconds=seconds)
            table.add_row("alone", *_cells(alone), f"{_mib(running):.0f}", "", "", "")
            began, most = time.perf_counter(), 0.0
            others = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--send-large", running.address, stdout=asyncio.subprocess.PIPE
            )
            rest, beside = asyncio.create_task(others.communicate()), Measured()
            while not rest.done():
                part = await ask_at_rate([healthy], small, per_s=20, seconds=1.0)
                beside.latencies_s += part.latencies_s
                beside.seconds += 1.0
                most = max(most, _mib(running))
            answered = int((await rest)[0])
            took_s = time.perf_counter() - began
            table.add_row("beside", *_cells(beside), f"{most:.0f}", str(answered), str(64 - answered), f"{took_s:.0f}")

    with light_edge(max_input_bytes=2**25) as running:
        asyncio.run(story(running))
    _print(table)


async def send_large(address: str, devices: int = 16, times: int = 4) -> int:
    """How many large pictures were answered; devices are no part of the process that measures."""
    (big,) = made(7600, 4400, count=1, quality=60)
    async with connected(address, devices, prefix="large") as others:
        return sum(await asyncio.gather(*(keep_sending(each, big, times) for each in others)))


async def keep_sending(device: Device, jpeg: bytes, times: int) -> int:
    """How many of these were answered."""
    return sum(await asyncio.gather(*(device.ask(jpeg) for _ in range(times))))


@asynccontextmanager
async def connected(
    address: str, count: int, *, channels: int = 1, prefix: str = "bench"
) -> AsyncIterator[list[Device]]:
    """Devices that have said Hello."""
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])
            )
            for _ in range(channels)
        ]
        devices = []
        for at in range(count):
            devices.append(await Device(opened[at % channels], f"{prefix}-{at}").open())
            stack.push_async_callback(devices[-1].close)
        yield devices


@contextmanager
def light_edge(**settings: object) -> Iterator[Running]:
    """A coordinator with a model that does next to nothing."""
    import onnx
    from onnx import TensorProto, helper

    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models = place / "models"
        models.mkdir()
        graph = helper.make_graph(
            [helper.make_node("ReduceMean", ["image"], ["bright"], axes=[1, 2, 3], keepdims=0)],
            "bright",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
            [helper.make_tensor_value_info("bright", TensorProto.FLOAT, [1])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, str(models / "bright.onnx"))
        (models / "bright.toml").write_text(LIGHT)
        yield stack.enter_context(edge(models, place, **settings))


def _cells(measured: Measured) -> tuple[str, str, str]:
    return f"{measured.per_s:.0f}", f"{measured.quantile_ms(0.5):.0f}", f"{measured.quantile_ms(0.99):.0f}"


def _median(rows: Sequence[tuple[float, ...]], at: int) -> float:
    return sorted(row[at] for row in rows)[len(rows) // 2]


def _mib(running: Running) -> float:
    return running.memory_bytes() / 2**20


def _print(table: Table) -> None:
    Console(file=sys.stdout, width=140).print(table)


PARTS = {"throughput": throughput, "overload": overload, "streams": streams, "large": large}

if __name__ == "__main__":
    main()
