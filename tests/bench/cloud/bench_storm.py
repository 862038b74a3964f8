"""Models that come, change, break and go for ten minutes, under traffic on two that do not.

`python tests/bench/cloud/bench_storm.py [--seconds 600]`: a real coordinator, two devices, a busy operator.
Must be true: no input fails on a healthy model, what answers is what it says, and the memory is back within 10 %.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
from infilink import __version__
from infilink.protos import edge_pb2, edge_pb2_grpc, models_pb2, models_pb2_grpc
from infilink.protos.arrays import read_array
from rich.console import Console
from rich.table import Table
from servers import Running, edge

sys.path.insert(0, str(Path(__file__).parents[2]))
from cloud.made import write_damaged, write_hanging, write_number

HEALTHY = {"steady": 1.0, "heavy": 2.0}
STORM = ("one", "two", "three")
SIZES_BYTES = (2**12, 2**22, 2**24)
LABEL = 'input = { size = [16, 16] }\noutput = { kind = "label", classes = ["a", "b"] }\n'


def main() -> None:
    """Runs the storm; exit code 1 if what must be true is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it blows")
    parser.add_argument("--seed", type=int, default=0, help="of what happens when")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "models"
        for name, number in HEALTHY.items():
            write_number(folder / f"{name}.onnx", number, size_bytes=2**22)
        for name in STORM:
            write_number(folder / name / "1" / "model.onnx", 1.0)
        with edge(folder, Path(place), watch_models_s=0.2, infer_timeout_s=1.0) as server:
            held = asyncio.run(_storm(server, folder, given.seconds, random.Random(given.seed)))
    raise SystemExit(0 if held else 1)


async def _storm(server: Running, folder: Path, seconds: float, chance: random.Random) -> bool:
    counts: Counter[str] = Counter()
    latencies_s: list[float] = []
    over = asyncio.Event()
    async with grpc.aio.insecure_channel(server.address) as channel:
        # Everything once, so that what is there for good is there.
        operator = Operator(channel, folder, chance, counts)
        for _ in range(2):
            await operator.all_once()
        await operator.back_to_the_start()
        asking = [asyncio.create_task(_ask(channel, at, over, counts, latencies_s)) for at in range(2)]
        await asyncio.sleep(min(5.0, seconds))
        before_bytes, peak_bytes, began_s = server.memory_bytes(), 0, time.perf_counter()
        while time.perf_counter() < began_s + seconds:
            await operator.do_something()
            peak_bytes = max(peak_bytes, server.memory_bytes())
        await operator.back_to_the_start()
        await asyncio.sleep(min(5.0, seconds))
        after_bytes = server.memory_bytes()
        over.set()
        await asyncio.gather(*asking)
    failed = sum(count for what, count in counts.items() if what.startswith("input "))
    back = after_bytes <= 1.1 * before_bytes
    memory = ", ".join(f"{size / 2**20:.0f} MiB" for size in (before_bytes, peak_bytes, after_bytes))
    table = Table(title=f"{seconds:.0f} s of models that come, change, break and go", show_header=False)
    for key, value in (
        ("inputs answered by both healthy models", f"{counts['answered']}"),
        ("of them failed or wrong", f"{failed}"),
        ("p50, p99, most", ", ".join(f"{1000 * float(np.quantile(latencies_s, q)):.0f} ms" for q in (0.5, 0.99, 1.0))),
        (
            "memory before, at most, after",
            memory,
        ),
        ("changes", ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if what.startswith("did "))),
        ("refused", ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if what.startswith("not "))),
    ):
        table.add_row(key, value)
    Console().print(table)
    for what, count in counts.items():
        if what.startswith("input "):
            print(f"{count} x {what}")
    return not failed and back


class Operator:
    """Changes what is served, by the service and by the folder."""

    def __init__(self, channel: Any, folder: Path, chance: random.Random, counts: "Counter[str]") -> None:
        self.stub = models_pb2_grpc.ModelsStub(channel)
        self.folder = folder
        self.chance = chance
        self.counts = counts
        self.actions = (
            self.add, self.add_broken, self.drop_in, self.drop_broken, self.write_over, self.rollback, self.unload,
            self.load, self.pin, self.remove,
        )  # fmt: skip

    async def do_something(self) -> None:
        """One of all that can be done."""
        await self.chance.choice(self.actions)()

    async def all_once(self) -> None:
        """Each of it, in turn."""
        for action in self.actions:
            await action()

    async def back_to_the_start(self) -> None:
        """The models that were there at first, each loaded once."""
        for path in (*self.folder.glob("broken*"), *self.folder.glob("extra*")):
            path.unlink(missing_ok=True)
        for name in STORM:
            await self._change(models_pb2.MODEL_ACTION_REMOVE, name)
            await self._add(name, write_number(self.folder / ".storm" / "model.onnx", 1.0))
        await asyncio.sleep(1.0)

    async def add(self) -> None:
        """A new version, by the service."""
        await self._add(self._name(), self._made())

    async def add_broken(self) -> None:
        """One that can't be served, by the service."""
        path = self.folder / ".storm" / "model.onnx"
        kind = self.chance.choice(("damaged", "hanging", "no spec", "wrong spec"))
        if kind == "damaged":
            write_damaged(path)
        elif kind == "hanging":
            write_hanging(path)
        else:
            write_number(path, 1.0, spec=False)
        await self._add(self._name(), path, spec=LABEL if kind == "wrong spec" else "")

    async def drop_in(self) -> None:
        """A new version, in the folder."""
        home = self.folder / self._name()
        versions = [int(path.name) for path in home.iterdir() if path.name.isdigit()] if home.is_dir() else []
        if versions:
            shutil.copytree(self._made().parent, home / str(max(versions) + 1))
            self.counts["did drop in"] += 1
        await asyncio.sleep(0.5)

    async def drop_broken(self) -> None:
        """One that can't be served, in the folder."""
        write_damaged(self.folder / f"broken{self.chance.randrange(3)}.onnx")
        self.counts["did drop broken"] += 1

    async def write_over(self) -> None:
        """A flat file that comes, or is written over in place, slowly."""
        path, made = self.folder / "extra.onnx", self._made(name="extra").read_bytes()
        with path.open("wb") as file:
            for at in range(0, len(made), max(1, len(made) // 4)):
                file.write(made[at : at + max(1, len(made) // 4)])
                file.flush()
                await asyncio.sleep(0.05)
        self.counts["did write over"] += 1

    async def rollback(self) -> None:
        """The version before."""
        await self._change(models_pb2.MODEL_ACTION_ROLLBACK, self._name())

    async def unload(self) -> None:
        """Away."""
        await self._change(models_pb2.MODEL_ACTION_UNLOAD, self._name())

    async def load(self) -> None:
        """And back."""
        await self._change(models_pb2.MODEL_ACTION_LOAD, self._name())

    async def pin(self) -> None:
        """To stay."""
        await self._change(models_pb2.MODEL_ACTION_PIN, self._name())

    async def remove(self) -> None:
        """For good, until it is added again."""
        await self._change(models_pb2.MODEL_ACTION_REMOVE, self._name())

    def _name(self) -> str:
        return self.chance.choice(STORM)

    def _made(self, name: str = "model") -> Path:
        folder = self.folder / ".storm"
        return write_number(folder / f"{name}.onnx", self.chance.random(), size_bytes=self.chance.choice(SIZES_BYTES))

    async def _add(self, name: str, path: Path, spec: str = "") -> None:
        content = path.read_bytes()

        async def pieces() -> AsyncIterator[models_pb2.ModelPiece]:
            new = models_pb2.NewModel(name=name, spec=spec, files=[models_pb2.ModelFile(size_bytes=len(content))])
            yield models_pb2.ModelPiece(new=new)
            for at in range(0, len(content), 2**19):
                yield models_pb2.ModelPiece(content=content[at : at + 2**19])

        await self._try("add", self.stub.Add(pieces()))

    async def _change(self, action: "models_pb2.ModelAction", name: str) -> None:
        what = models_pb2.ModelAction.Name(action).removeprefix("MODEL_ACTION_").lower()
        await self._try(what, self.stub.Change(models_pb2.ChangeModel(name=name, action=action)))

    async def _try(self, what: str, call: Any) -> None:
        try:
            await call
            self.counts[f"did {what}"] += 1
        except grpc.aio.AioRpcError as error:
            if "its log says how" in str(error.details()) or error.code() == grpc.StatusCode.UNAVAILABLE:
                raise
            self.counts[f"not {what}"] += 1


async def _ask(
    channel: Any, number: int, over: asyncio.Event, counts: "Counter[str]", latencies_s: list[float]
) -> None:
    """A device that asks the healthy models alone, and connects anew when it is asked to."""
    stub, session = edge_pb2_grpc.EdgeStub(channel), str(time.time_ns())
    jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 100 + number, np.uint8))[1].tobytes()
    sequence = 0
    while not over.is_set():
        call = stub.Connect()
        hello = edge_pb2.Hello(device=f"device-{number}", session=session, version=__version__, models=list(HEALTHY))
        try:
            await call.write(edge_pb2.DeviceMessage(hello=hello))
            await call.read()
            while not over.is_set():
                message = edge_pb2.Input(
                    sequence=sequence,
                    captured_ns=time.time_ns(),
                    payload=jpeg,
                    encoding=edge_pb2.ENCODING_JPEG,
                    policy=edge_pb2.POLICY_ALL,
                )
                asked_s = time.perf_counter()
                await call.write(edge_pb2.DeviceMessage(input=message))
                answer = await call.read()
                while answer is not grpc.aio.EOF and answer.WhichOneof("message") == "notice":
                    answer = await call.read()
                if answer is grpc.aio.EOF:
                    break
                latencies_s.append(time.perf_counter() - asked_s)
                _count(answer, counts)
                sequence += 1
            call.cancel()
        except grpc.aio.AioRpcError as error:
            # It is asked to connect anew where the models it was told of have changed, and may be writing then.
            if "its log says how" in str(error.details()):
                raise
        counts["connections"] += 1


def _count(answer: Any, counts: "Counter[str]") -> None:
    if answer.WhichOneof("message") != "result":
        counts[f"input refused: {answer.refused.message[:80]}"] += 1
        return
    for output in answer.result.outputs:
        if output.origin != edge_pb2.ORIGIN_EXECUTED:
            counts[f"input {output.model} not executed: {output.origin}"] += 1
        elif float(read_array(output)[0]) != HEALTHY[output.model]:
            counts[f"input {output.model} wrong"] += 1
    if {output.model for output in answer.result.outputs} != set(HEALTHY):
        counts["input lacks a model"] += 1
    counts["answered"] += 1


if __name__ == "__main__":
    main()
