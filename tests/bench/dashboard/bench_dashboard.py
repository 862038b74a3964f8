"""What the web pages cost a coordinator with 50 streams, and what they send to those who look.

`python tests/bench/dashboard/bench_dashboard.py [cost|browser ...]`: a real coordinator, real gRPC streams.

- cost: 50 streams that ask without a pause: without the pages, with them (pictures are kept), and with five viewers
  beside that, in turns. On a model that does next to nothing, so that all else weighs most, and (`--model yolox_nano`)
  on a real one. What counts is the processors' time of an input, which other work on the machine changes least; the
  viewers are one process, which takes as little as it can: it runs on the same processors.
- browser: in Chromium, what the first page takes and when its first picture is there, what comes a second while 50
  streams have an input a second each, and how soon an answer is seen.
"""

import argparse
import asyncio
import json
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "cloud"))

from bench_serving import connected, light_edge
from clients import ask_at_rate, keep_asking
from pictures import MODELS, made, real_model
from rich.console import Console
from rich.table import Table
from servers import Running, edge

STREAMS, VIEWERS = 50, 5
PICTURE_EVERY_S = 0.9


def main() -> None:
    """Runs what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to run (everything)")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each is measured")
    parser.add_argument("--rounds", type=int, default=3, help="how often, in turns")
    parser.add_argument("--model", choices=MODELS, help="cost: on this real model beside the light one")
    parser.add_argument("--view", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--viewers", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.view:
        asyncio.run(view_all(given.view, given.viewers))
        return
    for name in given.parts or PARTS:
        asyncio.run(PARTS[name](given.seconds, given.rounds))
        if name == "cost" and given.model:
            asyncio.run(cost(given.seconds, given.rounds, given.model))


async def cost(seconds: float, rounds: int, model: str | None = None) -> None:
    """Side by side."""
    found: dict[str, list[tuple[float, float]]] = {"no pages": [], "nobody looks": [], f"{VIEWERS} viewers": []}
    pictures = made(320, 240)
    with serving(model, max_devices=64) as plain, paged(model) as (pages, address):
        for _ in range(rounds):
            for name, running in zip(found, (plain, pages, pages), strict=True):
                viewers = VIEWERS if name.endswith("viewers") else 0
                async with connected(running.address, STREAMS, channels=4) as devices, viewing(address, viewers):
                    asks = [device.ask for device in devices]
                    await keep_asking(asks, pictures, seconds=0.0, warm_s=2.0)
                    cpu_s = running.cpu_s()
                    measured = await keep_asking(asks, pictures, seconds=seconds, warm_s=0.0)
                    cpu_us = 1e6 * (running.cpu_s() - cpu_s) / max(1, len(measured.latencies_s))
                found[name].append((cpu_us, measured.per_s))
    what = model or "a model that does next to nothing"
    table = Table(title=f"{STREAMS} streams without a pause, {what}, {rounds} rounds of {seconds:g} s")
    for column in ("", "CPU us an input", "of the row before", "inputs a second"):
        table.add_column(column)
    before = 0.0
    for name, rows in found.items():
        cpu_us, per_s = (median(row[at] for row in rows) for at in range(2))
        table.add_row(name, f"{cpu_us:.0f}", f"{100 * (cpu_us / before - 1):+.1f} %" if before else "", f"{per_s:.0f}")
        before = cpu_us
    Console(width=120).print(table)


async def browser(seconds: float, rounds: int) -> None:
    """The first page in a browser, what comes while it is looked at, and how soon an answer is seen."""
    from playwright.async_api import async_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        print("no browser is installed: apt-get install chromium")
        return
    with paged() as (running, address):
        async with connected(running.address, STREAMS, channels=4) as devices, async_playwright() as playwright:
            await ask_at_rate(devices, made(640, 480), per_s=STREAMS, seconds=3.0)
            chromium = await playwright.chromium.launch(executable_path=path)
            firsts = [await _first(chromium, address) for _ in range(max(3, rounds))]
            seen_s = await _seen(chromium, address, devices[0])
            looking = asyncio.create_task(_live(chromium, address, 3 * seconds))
            await ask_at_rate(devices, made(640, 480), per_s=STREAMS, seconds=3 * seconds + 6)
            events, pictures = await looking
            await chromium.close()
    table = Table(
        title=f"the site page in Chromium, 1600 x 1000, loopback; {STREAMS} streams, then with an input a second each"
    )
    columns = (
        "first page KB",
        "first picture s",
        "events KB/s",
        "pictures KB/s",
        "an answer is seen after s: median",
        "most",
    )
    for column in columns:
        table.add_column(column)
    cells = f"{max(each[0] for each in firsts) / 1000:.0f}", f"{median(each[1] for each in firsts):.2f}"
    cells = *cells, f"{events / seconds / 3000:.1f}", f"{pictures / seconds / 3000:.1f}"
    table.add_row(*cells, f"{median(seen_s):.2f}", f"{max(seen_s):.2f}")
    Console(width=130).print(table)


class Received:
    """Counts the bytes that a page gets, by what they are of."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}

    async def listen(self, page: Any) -> None:
        session = await page.context.new_cdp_session(page)
        session.on(
            "Network.requestWillBeSent", lambda each: self.urls.update({each["requestId"]: each["request"]["url"]})
        )
        session.on("Network.dataReceived", self._data)
        await session.send("Network.enable")

    def _data(self, each: Any) -> None:
        kind = urlsplit(self.urls.get(each["requestId"], "")).path.strip("/").split("/")[0]
        self.bytes[kind] = self.bytes.get(kind, 0) + each["dataLength"]


async def _first(chromium: Any, address: str) -> tuple[int, float]:
    """The bytes of the first page with its pictures, and when the first of these is there."""
    page, received = await chromium.new_page(viewport={"width": 1600, "height": 1000}), Received()
    await received.listen(page)
    began = time.perf_counter()
    await page.goto(f"http://{address}/site")
    await page.locator(".tile img").first.wait_for()
    took_s = time.perf_counter() - began
    await page.wait_for_timeout(3000)
    await page.close()
    return sum(received.bytes.values()) - received.bytes.get("updates", 0), took_s


async def _live(chromium: Any, address: str, seconds: float) -> tuple[int, int]:
    """The bytes of events and of pictures while somebody looks, after the first page."""
    page, received = await chromium.new_page(viewport={"width": 1600, "height": 1000}), Received()
    await received.listen(page)
    await page.goto(f"http://{address}/site")
    await page.wait_for_timeout(4000)
    received.bytes.clear()
    await page.wait_for_timeout(1000 * seconds)
    await page.close()
    return received.bytes.get("updates", 0), received.bytes.get("picture", 0)


async def _seen(chromium: Any, address: str, device: Any) -> list[float]:
    """How long after its answer was there each change of a tile was seen."""
    page, found = await chromium.new_page(), []
    await page.goto(f"http://{address}/site?find=bench-0")
    said = page.locator(".tile .said .text").first
    for each in made(64, 48, count=12):
        before = await said.inner_text()
        await device.ask(each)
        began = time.perf_counter()
        changed = "(before) => document.querySelector('.tile .said .text').textContent !== before"
        await page.wait_for_function(changed, arg=before, polling=20)
        found.append(time.perf_counter() - began)
    return found


@contextmanager
def serving(model: str | None, **settings: object) -> Iterator[Running]:
    """A coordinator with a real model, or with one that does next to nothing."""
    if model is None:
        with light_edge(**settings) as running:
            yield running
        return
    with (
        TemporaryDirectory() as place,
        edge(real_model(Path(place) / "models", model), Path(place), **settings) as running,
    ):
        yield running


@contextmanager
def paged(model: str | None = None) -> Iterator[tuple[Running, str]]:
    """A coordinator with web pages, and their address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with serving(model, max_devices=64, dashboard_listen=address) as running:
        yield running, address


@asynccontextmanager
async def viewing(address: str, count: int) -> AsyncIterator[None]:
    """So many viewers of the site page, in a process of their own."""
    command = (sys.executable, __file__, "--view", address, "--viewers", str(count))
    viewers = [await asyncio.create_subprocess_exec(*command)] if count else []
    try:
        yield
    finally:
        for viewer in viewers:
            viewer.kill()
            await viewer.wait()


async def view_all(address: str, count: int) -> None:
    """Looks at the site page as so many browsers do."""
    await asyncio.gather(*(view(address) for _ in range(count)))


async def view(address: str) -> None:
    """Looks at the site page as a browser does: what changes, and a picture of 10 KB about each second."""
    fetched: dict[str, float] = {}
    due_s = 0.0
    await _get(address, "/site")
    reader, writer = await _asked(address, "/updates?page=0&find=")
    async for line in reader:
        if time.monotonic() < due_s or not line.startswith(b"data: "):
            continue
        told = json.loads(line.removeprefix(b"data: "))
        there = [name for name, tile in told.items() if isinstance(tile, dict) and tile.get("picture")]
        if there:
            oldest = min(there, key=lambda name: fetched.get(name, 0.0))
            fetched[oldest], due_s = time.monotonic(), time.monotonic() + PICTURE_EVERY_S
            await _get(address, f"/picture/{oldest}?width=320&at={told[oldest]['picture']}")
    writer.close()


async def _get(address: str, path: str) -> None:
    reader, writer = await _asked(address, path, "connection: close\r\n")
    while await reader.read(2**16):
        pass
    writer.close()


async def _asked(address: str, path: str, more: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {address}\r\n{more}\r\n".encode())
    await writer.drain()
    return reader, writer


PARTS = {"cost": cost, "browser": browser}

if __name__ == "__main__":
    main()
