"""What the stream costs: inputs per second over `Edge.Connect`, beside a bare gRPC echo and the models alone.

`python tests/bench/bench_transport.py`: every row sends the same JPEGs over the loopback with the same window.

- echo: a bare grpc.aio stream that sends back one small message for each: the floor.
- edge: the coordinator with one model that does next to nothing: decoding, the model's process, links, ledger.
- decode: decoding the JPEGs alone, in this process: what the coordinator can't do without.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
from infilink import __version__
from infilink.cloud.config import CloudConfig
from infilink.cloud.daemon import serve
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.protos import edge_pb2, edge_pb2_grpc
from rich.console import Console
from rich.table import Table

SIZES = ((320, 240), (768, 432), (1280, 720))


def payloads(width: int, height: int, count: int = 16) -> list[bytes]:
    """JPEGs with as much detail as a street."""
    random = np.random.default_rng(0)
    coarse = (cv2.resize(random.integers(0, 256, (40, 60, 3), np.uint8), (width, height)) for _ in range(count))
    return [encode_jpeg(frame) for frame in coarse]


class Echo(edge_pb2_grpc.EdgeServicer):
    """Answers every input with an empty result."""

    async def Connect(self, messages: Any, context: Any) -> None:  # noqa: N802
        async for message in messages:
            if message.HasField("hello"):
                await context.write(edge_pb2.CoordinatorMessage(welcome=edge_pb2.Welcome(max_in_flight=16)))
            else:
                result = edge_pb2.Result(sequence=message.input.sequence)
                await context.write(edge_pb2.CoordinatorMessage(result=result))


def serve_echo(port: int) -> None:
    """An echo server, until killed."""

    async def run() -> None:
        server = grpc.aio.server()
        edge_pb2_grpc.add_EdgeServicer_to_server(Echo(), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()

    asyncio.run(run())


def serve_edge(port: int, folder: str) -> None:
    """A coordinator, until killed."""
    root = Path(folder)
    config = CloudConfig(listen=f"127.0.0.1:{port}", models=root, ledger=root / f"ledger-{port}.sqlite")
    # "ready on ..." is not for the table.
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        serve(config)


def stream(address: str, jpegs: list[bytes], seconds: float, window: int) -> float:
    """Inputs per second over one stream."""
    room, stop = threading.Semaphore(window), threading.Event()

    def messages() -> Iterator[edge_pb2.DeviceMessage]:
        hello = edge_pb2.Hello(device="bench", version=__version__, session=str(time.time_ns()))
        yield edge_pb2.DeviceMessage(hello=hello)
        sequence = 0
        while True:
            room.acquire()
            if stop.is_set():
                return
            sequence += 1
            payload = jpegs[sequence % len(jpegs)]
            yield edge_pb2.DeviceMessage(
                input=edge_pb2.Input(sequence=sequence, payload=payload, encoding=edge_pb2.ENCODING_JPEG)
            )

    answered, started = 0, time.perf_counter()
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(60)
        for message in edge_pb2_grpc.EdgeStub(channel).Connect(messages()):
            if message.HasField("welcome"):
                started = time.perf_counter()
                continue
            answered += 1
            if time.perf_counter() - started >= seconds:
                stop.set()
            room.release()
    return answered / (time.perf_counter() - started)


def decoding(jpegs: list[bytes], seconds: float) -> float:
    """JPEGs decoded per second."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        decode_jpeg(jpegs[done % len(jpegs)])
        done += 1
    return done / (time.perf_counter() - started)


def write_model(folder: Path) -> None:
    """A model that does next to nothing."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["bright"], axes=[1, 2, 3], keepdims=0)],
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("bright", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "bright.onnx"))
    (folder / "bright.toml").write_text('[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\n')


def free_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def with_server(target: Callable[..., None], jpegs: list[bytes], seconds: float, *arguments: str) -> float:
    """Runs a server in a process of its own while it is measured."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(port, *arguments))
    process.start()
    try:
        return stream(f"127.0.0.1:{port}", jpegs, seconds, window=8)
    finally:
        process.terminate()
        process.join()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each row is measured")
    seconds = parser.parse_args().seconds
    table = Table(title="inputs per second over one stream, window 8")
    for column in ("frame", "KiB", "echo", "edge", "decode", "edge, ms each"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder))
        for width, height in SIZES:
            jpegs = payloads(width, height)
            echo = with_server(serve_echo, jpegs, seconds)
            edge = with_server(serve_edge, jpegs, seconds, folder)
            decode = decoding(jpegs, seconds)
            size = sum(map(len, jpegs)) / len(jpegs) / 1024
            cells = (f"{size:.0f}", f"{echo:.0f}", f"{edge:.0f}", f"{decode:.0f}", f"{1000 / edge:.2f}")
            table.add_row(f"{width}x{height}", *cells)
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
