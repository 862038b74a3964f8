"""What the phone page's decisions cost in Chromium on one core, how many frames a second it looks at, and its parity.

`python tests/bench/dashboard/bench_phone.py [--clip FILE]`: a real coordinator, a browser held to one core whose camera
is a film of 640x360. A core of this machine is no phone's: figures tell what is spent on what, not what a phone does.
Where the real models are (INFILINK_DATA), filters on stems of one of them are measured at each size that is tried, too.
Must be true: a decision takes at most 15 ms (median), 10 frames a second are looked at, scores are Python's to .001; of
stems the first two of the smallest alone, as how large one may be is for who makes it to say (`--latency`).
"""

import argparse
import asyncio
import base64
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.gates.stem_feed import SCORE
from infilink.filters.spec import FilterStem, load_filter
from infilink.filters.training.graphs import save_filter
from infilink.models.spec import read_spec
from infilink.models.stem.choose import SIZES
from infilink.models.stem.cut import cut_stem, save_stem
from infilink.models.stem.extend import extend_stem
from infilink.models.stem.layers import Layers
from infilink.models.stem.spec import StemSpec
from infilink.models.stem.stem import FEATURES, Stem
from infilink.outputs import Array
from onnx import helper
from playwright.async_api import async_playwright
from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).parents[1]
sys.path[:0] = [str(BENCH / "cloud"), str(BENCH / "filters"), str(BENCH.parent)]
from bench_decide import make_filters  # noqa: E402
from cloud.made import write_number  # noqa: E402
from real.data import find_data, link_models  # noqa: E402
from servers import edge  # noqa: E402

WIDTH, HEIGHT, FRAMES, FPS = 640, 360, 150, 30
KINDS = ("network", "image", "blend", "difference")
ROUNDS = 200
MODEL, STRIDES = "yolox_nano_416x416", (8, 16)
MOST_MS, LEAST_PER_S, MOST_OFF = 15.0, 10.0, 1e-3
TIMES = """
async ({name, rounds}) => {
  const { Camera } = await import("/static/phone/camera.js");
  const { Filter } = await import("/static/phone/filter.js");
  const { openGraph } = await import("/static/phone/graph.js");
  const { filters } = await (await fetch("/phone/filters")).json();
  const file = new Uint8Array(await (await fetch(`/phone/filter/${name}`)).arrayBuffer());
  const filter = new Filter(filters[name], await openGraph(file));
  const camera = new Camera(document.getElementById("video"));
  await camera.open("environment", () => {});
  const found = [];
  let last = null;
  for (let round = 0; round < rounds + 20; round += 1) {
    await new Promise((done) => { setTimeout(done, 5); });
    const began = performance.now();
    const frame = camera.frame();
    if (!frame) { round -= 1; continue; }
    const read = performance.now();
    last = [frame.pixels, 4, frame.width, frame.height];
    await filter.decide(...last, began / 1000);
    if (round >= 20) found.push([read - began, performance.now() - read]);
  }
  window.again = async () => { for (let round = 0; round < rounds; round += 1) await filter.decide(...last, round); };
  camera.close();
  if (filter.error) throw filter.error;
  return found;
}
"""
SCORES = """
async ({name, frames, width, height}) => {
  const { Filter } = await import("/static/phone/filter.js");
  const { openGraph } = await import("/static/phone/graph.js");
  const { filters } = await (await fetch("/phone/filters")).json();
  const file = new Uint8Array(await (await fetch(`/phone/filter/${name}`)).arrayBuffer());
  const filter = new Filter(filters[name], await openGraph(file));
  const found = [];
  for (const [at, text] of frames.entries()) {
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    found.push((await filter.decide(bytes, 3, width, height, at / 10)).score);
  }
  return found;
}
"""
SEEN = r"""() => Number(document.getElementById("figures").textContent.match(/kept\d+ of (\d+)/)?.[1] ?? 0)"""


def film(clip: Path | None) -> list[Array]:
    """Frames of 640x360: of a clip, or drawn ones, of which some are all alike."""
    if clip is not None:
        with av.open(str(clip)) as container:
            frames = [each.to_ndarray(format="bgr24") for each in islice(container.decode(video=0), FRAMES)]
        return [cv2.resize(each, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for each in frames]
    random = np.random.default_rng(0)
    backdrop = cv2.GaussianBlur(random.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 6)
    found = []
    for i in range(FRAMES):
        image = (backdrop + random.normal(0, 3, backdrop.shape)).clip(0, 255).astype(np.uint8)
        left = min(4 * i, WIDTH // 2)
        image[120:200, left : left + 100] = 240
        found.append(image)
    return found


def write_film(path: Path, frames: Sequence[Array]) -> Path:
    """The film as Chromium takes it for a camera's."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes())
    return path


async def look(address: str, filters: Path, frames: list[Array], camera: Path, seconds: float) -> bool:
    """Measures, prints, and says whether what must be true is."""
    cores = os.sched_getaffinity(0)
    # The browser and all its processes inherit it.
    os.sched_setaffinity(0, {max(cores)})
    playwright = await async_playwright().start()
    flags = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    path = os.environ.get("INFILINK_BROWSER") or shutil.which("chromium")
    browser = await playwright.chromium.launch(executable_path=path, args=flags)
    os.sched_setaffinity(0, cores)
    held = True
    table = Table(
        "filter",
        "read the picture, ms",
        "decide, ms: its thread's own",
        "p10",
        "p50",
        "p99",
        "frames a second",
        "off by",
        "load",
    )
    smallest = stem_name(SIZES[0])
    try:
        page = await browser.new_page()
        for kind in listed(filters):
            await page.goto(f"http://{address}/phone")
            times = np.asarray(await page.evaluate(TIMES, {"name": kind, "rounds": ROUNDS}))
            own_ms = await own_time_ms(page) / ROUNDS
            read = np.percentile(times[:, 0], 10)
            # What other work on the machine has not disturbed, and what it has.
            p10, p50, p99 = np.percentile(times[:, 1], [10, 50, 99])
            per_s = await rate(page, kind, seconds)
            off = await parity(page, filters / f"{kind}.onnx", frames[::10])
            cells = [f"{read:.1f}", *(f"{each:.2f}" for each in (own_ms, p10, p50, p99)), f"{per_s:.1f}", f"{off:.1e}"]
            table.add_row(kind, *cells, f"{os.getloadavg()[0]:.1f}")
            is_quick = p50 <= MOST_MS and per_s >= LEAST_PER_S
            held &= off <= MOST_OFF and (is_quick or (kind.startswith("stem") and kind != smallest))
        print(f"{WIDTH}x{HEIGHT}, Chromium {browser.version} on one core")
    finally:
        await browser.close()
        await playwright.stop()
    Console(width=120).print(table)
    return bool(held)


def listed(filters: Path) -> list[str]:
    """The filters in the order of the table: without a stem, then with one by its size."""
    names = {path.stem for path in filters.glob("*.onnx")}
    return [each for each in (*KINDS, *map(stem_name, SIZES)) if each in names]


def stem_name(size: tuple[int, int]) -> str:
    """What a filter with a stem of this size is called."""
    return f"stem {size[0]}x{size[1]}"


def make_stem_filters(folder: Path, data: Path, place: Path, name: str) -> None:
    """Filters on the first layers of a real model, one for each size; what their heads say nobody taught them."""
    model = link_models(data, place / "real", [name]) / f"{name}.onnx"
    layers, whole = Layers(model, read_spec(model).picture), load_filter(folder / "image.onnx")[0]
    for size in SIZES:
        last = {each.stride: each for each in layers.maps(size) if each.ends}
        maps = [last[stride] for stride in STRIDES]
        told = StemSpec(
            model=name,
            digest="",
            licence="Apache-2.0",
            size=size,
            maps=tuple(each.name for each in maps),
            length=2 * sum(each.shape[0] for each in maps),
            places=maps[-1].shape,
        )
        path = place / "stem.onnx"
        save_stem(path, cut_stem(layers, maps, size), told)
        stem = Stem(path)
        head = np.random.default_rng(0).normal(0, 1 / np.sqrt(told.length), (told.length, 1)).astype(np.float32)
        graph = extend_stem(
            path,
            [helper.make_node("MatMul", [FEATURES, "head"], [SCORE])],
            {"head": head},
            inputs={},
            outputs={SCORE: ["n", 1]},
        )
        changes = {"kind": "stem", "modality": None, "stem": FilterStem(spec=told, digest=stem.digest)}
        save_filter(folder / f"{stem_name(size)}.onnx", graph, whole.model_copy(update=changes))


async def own_time_ms(page: Any) -> float:
    """What the page's thread itself takes for as many decisions again: other work on the machine is not in it."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    taken = []
    for script in ("() => {}", "() => again()"):
        await page.evaluate(script)
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        taken.append(next(each["value"] for each in metrics if each["name"] == "ThreadTime"))
    await session.detach()
    return float(1000 * (taken[1] - taken[0]))


async def rate(page: Any, kind: str, seconds: float) -> float:
    """How many frames a second the page looks at while it decides, sends what it keeps, and shows it."""
    await page.fill("#name", "phone")
    await page.select_option("#filter", kind)
    await page.click("#go:enabled")
    await page.wait_for_function(f"() => ({SEEN})() > 0")
    began = await page.evaluate(SEEN)
    await asyncio.sleep(seconds)
    return (await page.evaluate(SEEN) - began) / seconds


async def parity(page: Any, path: Path, frames: list[Array]) -> float:
    """The largest difference of a score to Python's, on the same bytes."""
    gate = FilterRuntime(path)
    expected = [gate.decide(frame, i / 10).score for i, frame in enumerate(frames)]
    texts = [base64.b64encode(np.ascontiguousarray(frame[..., ::-1])).decode() for frame in frames]
    given = {"name": path.stem, "frames": texts, "width": WIDTH, "height": HEIGHT}
    found = await page.evaluate(SCORES, given)
    return float(np.abs(np.subtract(found, expected)).max())


def main() -> None:
    """Runs it; exit code 1 if what must be true is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="what the camera sees; without it: drawn frames")
    parser.add_argument("--model", default=MODEL, help="whose first layers are stems; it must be free to hand on")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the page runs with each filter")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, models = Path(place) / "filters", Path(place) / "models"
        folder.mkdir()
        for kind, path in make_filters(folder).items():
            if kind not in KINDS:
                path.unlink()
        data = find_data()
        if data is None:
            print("no stems: the real models are not there (INFILINK_DATA)")
        else:
            make_stem_filters(folder, data, Path(place), given.model)
        write_number(models / "number.onnx", 1.0)
        frames = film(given.clip)
        camera = write_film(Path(place) / "film.y4m", frames)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "{}:{}".format(*free.getsockname())
        with edge(models, Path(place), dashboard_listen=address, phone_filters=str(folder)):
            held = asyncio.run(look(address, folder, frames, camera, given.seconds))
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
