"""Raw tensors by the Open Inference Protocol: the coordinator beside what else one could take, 8 requests in flight.

`python tests/bench/cloud/bench_inference.py [--seconds 1] [--rounds 7]`: real processes, asked in turn, medians of the
rounds. The plain server is grpc.aio, a pool of threads and onnxruntime. Others run where an environment of theirs has
them: name its Python in PYTRITON, MLSERVER, KSERVE, LITSERVE or RAYSERVE (`other_inference_servers.py`).
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

import grpc
import numpy as np
import onnx
from infilink.models.spec import parse_spec, write_spec
from infilink.protos import open_inference_pb2 as pb
from onnx import TensorProto, helper
from pictures import MODELS, real_model
from rich.console import Console
from rich.table import Table
from servers import FOLDER, Running, _end, _started, edge

IN_FLIGHT = 8
CORES = len(os.sched_getaffinity(0))
IDENTITY = (1, 3, 9, 9)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
SHAPES = {"yolox_nano": (1, 3, 416, 416), "light_person": (1, 3, 192, 192), "identity": IDENTITY}
OTHERS = {"kserve": "grpc", "mlserver": "grpc", "pytriton": "grpc", "litserve": "form", "rayserve": "body"}
INFER = "/inference.GRPCInferenceService/ModelInfer"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each is asked in each round")
    parser.add_argument("--rounds", type=int, default=7, help="how often; the table has the medians")
    parser.add_argument("--models", nargs="*", choices=SHAPES, default=list(SHAPES))
    given = parser.parse_args()
    table = Table(title=f"raw tensors, {IN_FLIGHT} in flight, {CORES} cores shared with the client")
    for column in ("model", "MB in", "server", "per s", "p50 ms", "p99 ms", "CPU ms", "MiB", "of plain"):
        table.add_column(column, justify="left" if column in ("model", "server") else "right")
    with tempfile.TemporaryDirectory() as place:
        for model in given.models:
            folder = Path(place) / model
            file = identity(folder) if model == "identity" else real_file(folder, model)
            rows: dict[str, list[tuple[float, ...]]] = {}
            # All at once, each asked for a moment in turn: whatever else the machine does strikes them alike.
            with ExitStack() as stack:
                started = {
                    kind: stack.enter_context(server()) for kind, server in servers(folder, file, Path(place)).items()
                }
                for kind, running in started.items():
                    asyncio.run(first_answer(running.address, requests(file, model), OTHERS.get(kind, "grpc")))
                for _ in range(given.rounds):
                    for kind, running in started.items():
                        rows.setdefault(kind, []).append(measured(running, file, model, given.seconds))
            for kind, found in rows.items():
                per_s, p50, p99, cpu_ms, mib = (median(each) for each in zip(*found, strict=True))
                best = median(each[0] for each in rows["plain"])
                cells = f"{per_s:.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu_ms:.2f}", f"{mib:.0f}", f"{per_s / best:.2f}"
                table.add_row(model, f"{4 * np.prod(SHAPES[model]) / 1e6:.3f}", kind, *cells)
    Console(width=120).print(table)


def servers(folder: Path, file: Path, place: Path) -> dict[str, Callable[[], AbstractContextManager[Running]]]:
    """What is asked, by name."""
    others = {
        kind: lambda kind=kind, python=python: other(kind, python, file, folder.name)
        for kind in OTHERS
        if (python := os.environ.get(kind.upper()))
    }
    return {
        "plain": lambda: _started(
            "plain", [sys.executable, str(FOLDER / "plain_inference_server.py"), str(file), str(CORES)]
        ),
        "infilink": lambda: edge(folder, place),
        **others,
    }


@contextmanager
def other(kind: str, python: str, file: Path, name: str) -> Iterator[Running]:
    """Another server, in an environment of its own."""
    command = [python, str(FOLDER / "other_inference_servers.py"), kind, str(file)]
    environment = {**os.environ, "NAME": name}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment)
    try:
        assert process.stdout is not None
        ready = next((line for line in process.stdout if line.startswith("ready on ")), None)
        assert ready is not None, f"{kind} has ended"
        # What it says from now on is not to block it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Running(kind, ready.removeprefix("ready on ").strip(), process)
    finally:
        _end(process)


def identity(folder: Path) -> Path:
    """A model that gives back what it is given: what is left is what serving costs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "identity.onnx"
    graph = helper.make_graph(
        [helper.make_node("Identity", ["in"], ["out"])],
        "identity",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, IDENTITY)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, IDENTITY)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    spec = {"name": "identity", "input": {"size": IDENTITY[:1:-1]}}
    output = {"kind": "vector", "length": int(np.prod(IDENTITY))}
    write_spec(path, parse_spec({**spec, "output": output}, where="identity"))
    return path


def real_file(folder: Path, model: str) -> Path:
    """A real model's file."""
    return real_model(folder, model) / f"{MODELS[model]}.onnx"


def requests(file: Path, model: str, count: int = 4) -> list[bytes]:
    """Requests as they travel, so that the client's own protobuf is not measured."""
    node = onnx.load(str(file), load_external_data=False).graph.input[0].name
    shape, random = SHAPES[model], np.random.default_rng(0)
    found = []
    for _ in range(count):
        value = random.uniform(0, 255, shape).astype(np.float32)
        request = pb.ModelInferRequest(model_name=model, raw_input_contents=[value.tobytes()])
        request.inputs.add(name=node, datatype="FP32", shape=shape)
        found.append(request.SerializeToString())
    return found


def measured(running: Running, file: Path, model: str, seconds: float) -> tuple[float, ...]:
    """Answers a second, two quantiles of the latency, processors' time of an answer, and memory."""
    sent, way = requests(file, model), OTHERS.get(running.kind, "grpc")
    asyncio.run(asked(running.address, sent, min(0.3, seconds), way))
    cpu_s = running.cpu_s()
    latencies, took_s = asyncio.run(asked(running.address, sent, seconds, way))
    cpu_ms = 1e3 * (running.cpu_s() - cpu_s) / len(latencies)
    p50, p99 = (1e3 * float(each) for each in np.quantile(latencies, (0.5, 0.99)))
    return len(latencies) / took_s, p50, p99, cpu_ms, running.memory_bytes() / 2**20


async def first_answer(address: str, sent: list[bytes], way: str) -> None:
    """Waits until it answers: some listen before their model is loaded."""
    for _ in range(300):
        try:
            await asked(address, sent, 1e-9, way)
        except (OSError, AssertionError, grpc.aio.AioRpcError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError("it never answers")


async def asked(address: str, sent: list[bytes], seconds: float, way: str = "grpc") -> tuple[list[float], float]:
    """The latencies of what was answered, and over how long."""
    latencies: list[float] = []
    if way != "grpc":
        bodies = [bytes(pb.ModelInferRequest.FromString(each).raw_input_contents[0]) for each in sent]
        sent = [http_request(each, way) for each in bodies]
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=OPTIONS))
        infer = channel.unary_unary(INFER)
        began_s = time.perf_counter()

        async def ask(at: int) -> None:
            call = infer if way == "grpc" else await http_caller(address, stack)
            while (at_s := time.perf_counter()) < began_s + seconds or not latencies:
                await call(sent[at % len(sent)])
                latencies.append(time.perf_counter() - at_s)
                at += 1

        await asyncio.gather(*(ask(at) for at in range(IN_FLIGHT)))
        return latencies, time.perf_counter() - began_s


def http_request(body: bytes, way: str) -> bytes:
    """A tensor's bytes as an HTTP request: its body, or the one file of a form."""
    path, kind = ("/inference", "application/octet-stream") if way == "body" else ("/predict", FORM)
    if way == "form":
        head = b'--tensor\r\nContent-Disposition: form-data; name="tensor"; filename="tensor"\r\n\r\n'
        body = head + body + b"\r\n--tensor--\r\n"
    lines = f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "", ""
    return "\r\n".join(lines).encode() + body


FORM = "multipart/form-data; boundary=tensor"


async def http_caller(address: str, stack: AsyncExitStack) -> Callable[[bytes], Awaitable[None]]:
    """Asks over one connection that is kept."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)

    async def close() -> None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    stack.push_async_callback(close)

    async def call(request: bytes) -> None:
        writer.write(request)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert b" 200" in lines[0], lines
        size = next((int(each.split(b":")[1]) for each in lines if each.startswith(b"content-length")), None)
        if size is not None:
            await reader.readexactly(size)
            return
        while (length := int(await reader.readline(), 16)) or not await reader.readline():
            await reader.readexactly(length + 2)

    return call


if __name__ == "__main__":
    main()
