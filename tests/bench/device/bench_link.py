"""An agent on bad lines, through a proxy; and fifty whose coordinator was away.

`python tests/bench/device/bench_link.py [--queues latest all] [--devices 50]`: a real agent with a source of 30
pictures a second, 640x360, every one of them sent, and a real coordinator. Must be true, in either queue policy: no
decision is late by more than a frame, a dead line is noticed within 10 s, and what is healed is found within 5 s.
"""

import argparse
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import grpc
import numpy as np
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.protos import edge_pb2, edge_pb2_grpc
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "cloud"))
sys.path.insert(0, str(Path(__file__).parents[2]))
from cloud.made import write_number
from link import Link
from servers import Running, edge

DATA = Path(os.environ.get("INFILINK_DATA", Path(__file__).parents[4] / "shared" / "data"))
CLIP = DATA / "video" / "table_bottles.mp4"
FPS, SIZE = 30, (640, 360)
FRAME_S = 1.0 / FPS
CLIP_S, LASTS_S = 40.0, 400.0
HUNG_S = 90.0
RATE_BYTES_S = 64_000 / 8


@dataclass
class Phase:
    """What one fault did.

    Attributes:
        name: the fault.
        first: the first input that was decided on while it lasted.
        noticed_s: how long it took until the agent gave the connection up; None: that is not asked.
        recovered_s: from when it was healed to the first answer.
        answered: how many inputs were answered while it lasted.
    """

    name: str
    first: int
    noticed_s: float | None = None
    recovered_s: float | None = None
    answered: int = 0


def main() -> None:
    """Runs both parts; exit code 1 if what must be true is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", nargs="*", default=["latest", "all"], help="queue policies to try")
    parser.add_argument("--devices", type=int, default=50, help="how many come at once; 0: leave that part out")
    parser.add_argument("--spool", action=argparse.BooleanOptionalAction, default=True, help="keep inputs on disk")
    given = parser.parse_args()
    # Fifty devices would say the same.
    logging.disable()
    held = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_number(folder / "models" / "bright.onnx", 1.0)
        clip = repeat(CLIP if CLIP.exists() else write_clip(folder / "short.mp4"), folder / "clip.mp4")
        for queue in given.queues:
            held &= one_agent(folder / queue, folder / "models", clip, queue, spool=given.spool)
        if given.devices:
            held &= many(folder / "many", folder / "models", given.devices)
    raise SystemExit(0 if held else 1)


def write_clip(path: Path) -> Path:
    """Forty seconds of something that moves, where the real clip is not there."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, SIZE)
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], 2 * SIZE[0], 3), np.uint8)
    for index in range(40 * FPS):
        writer.write(np.ascontiguousarray(noise[:, index % SIZE[0] :][:, : SIZE[0]]))
    writer.release()
    return path


def repeat(clip: Path, path: Path) -> Path:
    """The clip again and again as one that lasts as long as the bench: where a file begins anew an agent is late."""
    offset, times = 0, 0
    with av.open(str(path), "w") as out:
        while times * CLIP_S < LASTS_S:
            with av.open(str(clip)) as source:
                stream = source.streams.video[0]
                made = out.streams[0] if times else out.add_stream_from_template(stream)
                newest = 0
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    newest = max(newest, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = made
                    out.mux(packet)
                offset += newest
            times += 1
    return path


def one_agent(folder: Path, models: Path, clip: Path, queue: str, *, spool: bool) -> bool:
    """One agent, one fault after another."""
    folder.mkdir()
    with ExitStack() as stack:
        cloud = stack.enter_context(edge(models, folder))
        link = stack.enter_context(Link(cloud.address))
        agent = Agent(folder, link.address, clip, queue, spool=spool)
        stack.callback(agent.end)
        line = Line(cloud, link, agent)
        line.wait(lambda: line.answers() > 0, "the first answer")
        time.sleep(5.0)
        phases = list(faults(line))
        agent.end()
        return tell(queue, phases, agent)


def faults(line: "Line") -> Iterator[Phase]:
    """Each fault in turn; the line is good again after each."""
    link = line.link
    yield line.bear("a good line", 15.0)
    link.latency_s = 0.2
    yield line.bear("200 ms each way", 15.0)
    link.latency_s = 0.0
    line.pause()
    link.rate_bytes_s = RATE_BYTES_S
    phase = line.bear("64 kb/s", 45.0)
    link.rate_bytes_s = 0.0
    yield line.recovered(phase)
    line.pause()
    phase = line.begin("flap each 2 s")
    for _ in range(5):
        link.refuse()
        time.sleep(2.0)
        link.heal()
        time.sleep(2.0)
    yield line.recovered(line.over(phase))
    for name, cut in (
        ("reset", link.reset),
        ("dead upwards", lambda: link.lose("up")),
        ("dead downwards", lambda: link.lose("down")),
        ("dead", link.lose),
    ):
        line.pause()
        phase = line.begin(name)
        cut()
        phase.noticed_s = line.noticed()
        if name == "dead":
            time.sleep(15.0)
        link.heal()
        yield line.recovered(line.over(phase))
    line.pause()
    phase = line.begin("held back for 30 s")
    link.hold()
    phase.noticed_s = line.noticed()
    time.sleep(max(0.0, 30.0 - phase.noticed_s))
    link.heal()
    yield line.recovered(line.over(phase))
    line.pause()


class Agent:
    """An agent as a user starts it."""

    def __init__(self, folder: Path, address: str, clip: Path, queue: str, *, spool: bool) -> None:
        self.results, self.log = folder / "results.sqlite", folder / "agent.log"
        settings = {
            "name": "yard", "source": str(clip), "coordinator": address, "queue": queue, "results": str(self.results),
        }  # fmt: skip
        text = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        text += "[governor]\non = false\n"
        if spool:
            text += f'[spool]\nfolder = "{folder / "spool"}"\n'
        (folder / "device.toml").write_text(text)
        command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(folder / "device.toml")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "COLUMNS": "1000"}, start_new_session=True
            )

    def breaks(self) -> int:
        """How often it has said that its connection broke."""
        return self.log.read_text().count("trying again")

    def sequence(self) -> int:
        """The newest input in its results."""
        with sqlite3.connect(f"file:{self.results}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT MAX(sequence) FROM inputs").fetchone()[0] or 0)

    def rows(self) -> list[tuple[int, float, float]]:
        """Of each input its number, when it was captured, and when it was decided on."""
        with sqlite3.connect(f"file:{self.results}?mode=ro", uri=True) as database:
            return database.execute("SELECT sequence, captured_s, decided_s FROM inputs ORDER BY sequence").fetchall()

    def end(self) -> None:
        """Ends it in order."""
        self.process.terminate()
        self.process.wait(HUNG_S)


class Line:
    """The line between an agent and its coordinator, and what each of them says of it."""

    def __init__(self, cloud: Running, link: Link, agent: Agent) -> None:
        self.link = link
        self.agent = agent
        self._status = edge_pb2_grpc.EdgeStub(grpc.insecure_channel(cloud.address)).GetStatus
        self._breaks = 0

    def answers(self) -> int:
        """How many inputs the coordinator has answered."""
        return int(self._status(edge_pb2.StatusRequest(), timeout=HUNG_S).inputs)

    def begin(self, name: str) -> Phase:
        """A fault begins."""
        self._breaks = self.agent.breaks()
        return Phase(name, self.agent.sequence() + 1, answered=-self.answers())

    def over(self, phase: Phase) -> Phase:
        """It has ended."""
        phase.answered += self.answers()
        return phase

    def bear(self, name: str, seconds: float) -> Phase:
        """What there is now lasts for a while."""
        phase = self.begin(name)
        time.sleep(seconds)
        return self.over(phase)

    def noticed(self) -> float:
        """How long it takes until the agent gives its connection up."""
        return self.wait(lambda: self.agent.breaks() > self._breaks, "a break that is noticed")

    def recovered(self, phase: Phase) -> Phase:
        """Measures how long it takes until something is answered again."""
        before = self.answers()
        phase.recovered_s = self.wait(lambda: self.answers() > before, "an answer")
        return phase

    def pause(self) -> None:
        """Until what has gathered is gone."""
        time.sleep(5.0)

    def wait(self, is_so: Callable[[], bool], what: str) -> float:
        """Seconds until something is so."""
        began_s = time.monotonic()
        while not is_so():
            if time.monotonic() > began_s + HUNG_S:
                raise SystemExit(f"{what}: not in {HUNG_S:g} s\n{self.agent.log.read_text()}")
            time.sleep(0.02)
        return time.monotonic() - began_s


def tell(queue: str, phases: list[Phase], agent: Agent) -> bool:
    """Prints what was measured; returns whether it is what must be."""
    rows = np.array(agent.rows())
    behind_s = rows[:, 2] - rows[:, 1]
    table = Table(title=f'One agent, queue = "{queue}", 30 pictures a second')
    for column in ("line", "inputs", "late p50", "p99", "most", "noticed", "answers again", "answered"):
        table.add_column(column, justify="left" if column == "line" else "right")
    # By how much the source is ahead of the results' clock: what the smallest of them shows.
    behind_s -= np.quantile(behind_s, 0.01)
    held = True
    for phase, following in zip(phases, [*phases[1:], None], strict=True):
        last = following.first if following is not None else rows[-1, 0] + 1
        late_s = behind_s[(rows[:, 0] >= phase.first) & (rows[:, 0] < last)]
        held &= late_s.max() <= FRAME_S
        held &= (phase.noticed_s or 0.0) <= 10.0 and (phase.recovered_s or 0.0) <= 5.0
        times = (f"{1000 * value:.0f} ms" for value in (*np.quantile(late_s, (0.5, 0.99)), late_s.max()))
        seconds = ("" if each is None else f"{each:.1f} s" for each in (phase.noticed_s, phase.recovered_s))
        table.add_row(phase.name, str(len(late_s)), *times, *seconds, str(phase.answered))
    Console(width=120).print(table)
    return held


def many(folder: Path, models: Path, count: int) -> bool:
    """Devices whose coordinator is killed and started again: how many come in a second, and whether all are served."""
    folder.mkdir()
    table = Table(title=f"{count} devices, the coordinator killed and started again")
    for column in ("away", "attempts meanwhile", "most in a second", "back", "most in a second", "all within"):
        table.add_column(column, justify="right")
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings = {"listen": f"127.0.0.1:{free.getsockname()[1]}", "max_devices": 2 * count}
    held = True
    with ExitStack() as stack:
        link = stack.enter_context(Link(settings["listen"]))
        cloud = ExitStack()
        stack.callback(cloud.close)
        running = cloud.enter_context(edge(models, folder, **settings))
        uplinks = [stack.enter_context(uplink(link.address, number)) for number in range(count)]
        for away_s in (0.0, 5.0, 20.0):
            before, gone_s = sum(one.connections for one in uplinks), time.monotonic()
            running.process.kill()
            cloud.close()
            time.sleep(away_s)
            running = cloud.enter_context(edge(models, folder, **settings))
            back_s, welcomed_s = time.monotonic(), list[float]()
            while len(welcomed_s) < count and time.monotonic() < back_s + HUNG_S:
                more = sum(one.connections for one in uplinks) - before - len(welcomed_s)
                welcomed_s += [time.monotonic()] * more
                time.sleep(0.01)
            tried_s = [each for each in link.accepted_s if gone_s < each < back_s]
            held &= len(welcomed_s) == count and welcomed_s[-1] - back_s <= 5.0
            table.add_row(
                f"{back_s - gone_s:.1f} s",
                str(len(tried_s)),
                str(busiest(tried_s)),
                str(len(welcomed_s)),
                str(busiest(welcomed_s)),
                f"{welcomed_s[-1] - back_s:.1f} s",
            )
            time.sleep(3.0)
        served = threading.Semaphore(0)
        for one in uplinks:
            one._answers.on_answer = lambda answer: served.release()
            one.offer(picture(), threading.Event())
        held &= all(served.acquire(timeout=HUNG_S) for _ in uplinks)
    Console(width=120).print(table)
    return held


def busiest(times_s: list[float]) -> int:
    """The most of these times within one second."""
    return max(sum(begin <= each < begin + 1.0 for each in times_s) for begin in times_s)


@contextmanager
def uplink(address: str, number: int) -> Iterator[Uplink]:
    """A device's end of the line; nothing else of it is there."""
    config = DeviceConfig(name=f"camera-{number}", source="0", coordinator=address, connect_timeout_s=HUNG_S)
    one = Uplink(config, session="1", on_answer=lambda answer: None, report=edge_pb2.Report)
    one.start()
    try:
        yield one
    finally:
        one.close()


def picture() -> edge_pb2.Input:
    """An input."""
    payload = cv2.imencode(".jpg", np.full((32, 32, 3), 100, np.uint8))[1].tobytes()
    return edge_pb2.Input(sequence=0, captured_ns=time.time_ns(), payload=payload, encoding=edge_pb2.ENCODING_JPEG)


if __name__ == "__main__":
    main()
