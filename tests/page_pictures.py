"""Pictures of the web pages for the documents: `infilink demo`, then `python tests/page_pictures.py out/demo docs`.

A coordinator with the demo's models and links, an agent for each of its rendered cameras with the demo's filter, five
minutes of one more rendered camera for the tuner, and Chromium, whose own camera on the phone page is one of them.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
from infilink.examples.street.video import write_video
from infilink.examples.street.views import VIEWS
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

STREET = Path(__file__).absolute().parent.parent / "examples" / "street" / "models"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1280, 1000
WATCHED_S = 35
"""So long the cameras run before the site is looked at: they last a minute."""
CHOSEN, LONG = "west", "entrance"
"""The stream that is looked at, and the camera that the tuner's recording is of."""
STYLES = STREET.parents[2] / "cloud" / "dashboard" / "static" / "dashboard.css"
MIXED = 130
"""So many colours stand for all that are not the pages' own."""


async def main(demo: Path, out: Path) -> None:
    """Makes all pictures."""
    cameras = sorted((demo / "cameras").glob("*.mp4"))
    out = out.absolute()
    with TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        recordings = folder / "recordings"
        recordings.mkdir()
        for name in ("filter.onnx", "stem.onnx"):
            shutil.copy(demo / name, recordings)
        record(folder, recordings)
        film = write_film(cameras[0], folder / "camera.mjpeg")
        grpc, pages = stack.enter_context(coordinator(demo, folder, recordings))
        for camera in cameras:
            stack.enter_context(agent(demo, folder, camera, grpc))
        async with async_playwright() as playwright:
            path = next(filter(None, map(shutil.which, BROWSERS)))
            flags = [
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ]
            browser = await playwright.chromium.launch(executable_path=path, args=flags)
            await asyncio.sleep(WATCHED_S)
            await take(browser, f"http://{pages}", out)
            await browser.close()


async def take(browser: Browser, address: str, out: Path) -> None:
    """Looks at each page."""
    page = await opened(browser, address)
    for name in ("site", "fleet"):
        await page.goto(f"/{name}")
        await page.wait_for_timeout(3000)
        save(await page.screenshot(), out / f"dashboard-{name}.png")
    await stream(page, CHOSEN, out / "dashboard-stream.png")
    await page.goto("/plan")
    await page.wait_for_timeout(2500)
    save(await page.screenshot(), out / "dashboard-plan.png")
    dark = await opened(browser, address, dark=True)
    await tuner(dark, f"{LONG}.trace", out / "dashboard-tuner.png")
    phone = await opened(browser, address, width=400, height=800)
    await phone.goto("/phone")
    await phone.fill("#name", "phone-1")
    await phone.click("#go:enabled")
    await phone.wait_for_timeout(8000)
    save(await phone.screenshot(), out / "dashboard-phone.png")


async def stream(page: Page, name: str, path: Path) -> None:
    """The page of one stream, an event chosen."""
    await page.goto(f"/stream/{name}")
    await page.click("#spans >> text=10 minutes")
    for _ in range(3):
        await page.click("#closer")
    await page.locator("#events li[id]").nth(4).click()
    await page.locator("#detail .picture rect").first.wait_for()
    await page.wait_for_timeout(3000)
    await page.evaluate("scrollTo(0, 0)")
    save(await page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": 1200}, full_page=True), path)


async def tuner(page: Page, recording: str, path: Path) -> None:
    """The tuner, once it has learnt."""
    await page.goto(f"/tuner/recording/{recording}")
    await page.select_option("#model", "activity")
    await page.fill("#rule", "unchanged >= 1")
    await page.click("#aim-accuracy")
    await page.click("#go")
    await page.locator("#result").wait_for(timeout=600_000)
    await page.locator("#slider").fill("28")
    await page.wait_for_timeout(2000)
    await page.locator("#question").evaluate("(node) => { node.hidden = true; }")
    await page.evaluate("scrollTo(0, 0)")
    save(await page.screenshot(), path)


async def opened(
    browser: Browser, address: str, *, dark: bool = False, width: int = WIDTH, height: int = HEIGHT
) -> Page:
    """A window."""
    context = await browser.new_context(
        base_url=address,
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="UTC",
    )
    return await context.new_page()


def save(png: bytes, path: Path) -> None:
    """Writes a picture with few colours, which takes a third."""
    with Image.open(BytesIO(png)) as taken:
        picture = taken.convert("RGB")
    own = sorted(set(re.findall("#([0-9a-f]{6})", STYLES.read_text())))
    palette = Image.new("P", (1, 1))
    palette.putpalette([*bytes.fromhex("".join(own)), *picture.quantize(MIXED).getpalette()])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} KB")


def record(folder: Path, recordings: Path) -> None:
    """Five minutes of a rendered camera, and what three models say of it."""
    write_video(folder / f"{LONG}.mp4", 300.0, 0, 12.0, day_s=360.0, start=0.3, camera=VIEWS[LONG], every=3)
    models = [each for name in ("activity", "people", "vehicles") for each in ("--model", name)]
    command = [sys.executable, "-m", "infilink.cli", "record", "--models", str(STREET), "--source", f"{LONG}.mp4"]
    subprocess.run([*command, "--out", str(recordings / f"{LONG}.trace"), *models], cwd=folder, check=True)


def write_film(video: Path, path: Path) -> Path:
    """A video as Chromium's own camera plays it."""
    with av.open(str(video)) as source, av.open(str(path), "w", format="mjpeg") as film:
        made = film.add_stream("mjpeg", rate=12)
        for at, frame in enumerate(source.decode(video=0)):
            if at == 0:
                made.width, made.height, made.pix_fmt = frame.width, frame.height, "yuvj420p"
            film.mux(made.encode(frame.reformat(format="yuvj420p")))
        film.mux(made.encode(None))
    return path


@contextmanager
def coordinator(demo: Path, folder: Path, recordings: Path) -> Iterator[tuple[str, str]]:
    """A coordinator that is ready; its address, and that of its pages."""
    served = dict(line.split(" = ", 1) for line in (demo / "runs/infilink/cloud.toml").read_text().splitlines())
    with socket.create_server(("127.0.0.1", 0)) as free:
        pages = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "listen": "127.0.0.1:0",
        "dashboard_listen": pages,
        "models": str(STREET.absolute()),
        "budget": json.loads(served["budget"]),
        "compute": json.loads(served["compute"]),
        "links": str((demo / "links").absolute()),
        "answers": "links",
        "audit": 0.05,
        "ledger": str(folder / "ledger.sqlite"),
        "recordings": str(recordings),
        "phone_filters": str(recordings),
    }
    with running("cloud", settings, folder / "cloud.toml") as process:
        ready = next((line for line in process.stdout if line.startswith("ready on ")), None)
        if ready is None:
            raise SystemExit((folder / "cloud.log").read_text())
        yield ready.split()[2].rstrip(","), pages


@contextmanager
def agent(demo: Path, folder: Path, camera: Path, address: str) -> Iterator[None]:
    """An agent that plays a camera from its beginning."""
    told = (demo / "runs/infilink" / f"{camera.stem}.toml").read_text()
    every = next(line for line in told.splitlines() if line.startswith("every"))
    settings = {
        "name": camera.stem,
        "source": str(camera.absolute()),
        "every": int(every.split(" = ")[1]),
        "pace": "source",
        "coordinator": address,
        "gate": str((demo / "filter.onnx").absolute()),
        "audit": 0.1,
        "encoding": "jpeg",
        "queue": "all",
    }
    with running("device", settings, folder / f"{camera.stem}.toml"):
        yield


@contextmanager
def running(what: str, settings: Mapping[str, Any], config: Path) -> "Iterator[subprocess.Popen[str]]":
    """A daemon of infilink, until it is not needed any more."""
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    with config.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infilink.cli", what, "--config", str(config)],
            stdout=subprocess.PIPE if what == "cloud" else subprocess.DEVNULL,
            stderr=log,
            text=True,
            env=dict(os.environ),
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
