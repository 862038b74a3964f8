"""A real browser that looks at the pages of a real coordinator."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from ....filters.conftest import train, write_trace
from ....filters.stems import write_stem
from ..conftest import Site
from ..devices import FakeDevice
from .phone_frames import write_camera

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

NAMED_BY = "INFILINK_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome")
_SKIP = f"no browser is installed: {', '.join(NAMES)} (apt-get install chromium), or what {NAMED_BY} names"
WAIT_MS = 300_000
"""What takes this long hangs: no outcome depends on how much sooner it happens."""


@dataclass
class View:
    """A page of a site, open in a browser.

    Attributes:
        site: whose pages.
        page: where they open; addresses are as on the site ("/site").
        faults: what went wrong on it: each fails the test.
    """

    site: Site
    page: "Page"
    faults: list[str] = field(default_factory=list)
    _allowed: list[str] = field(default_factory=list)

    def device(self, name: str = "yard", **fields: str) -> FakeDevice:
        """A device that streams to the site while it is entered."""
        return FakeDevice(self.site.stub, device=name, **fields)

    def allow(self, text: str) -> None:
        """Lets errors be that say this: the test is about them."""
        self._allowed.append(text)

    def fault(self, text: str) -> None:
        if not any(each in text for each in self._allowed):
            self.faults.append(text)

    async def text(self, selector: str) -> str:
        """What stands there, once it does."""
        return await self.page.locator(selector).first.inner_text()

    async def says(self, selector: str, text: str) -> None:
        """Waits until a text stands there."""
        await self.page.locator(selector).filter(has_text=text).first.wait_for()

    async def is_as_wide_as_its_window(self) -> bool:
        """Whether nobody has to scroll sideways."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


Look = Callable[[View], Awaitable[None]]


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of the browser, which outlives a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def run_async(runner: asyncio.Runner) -> Callable[..., Any]:
    """Runs a story where the browser lives."""
    return runner.run


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser that is installed here."""
    path = os.environ.get(NAMED_BY) or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(_SKIP)
    return path


@pytest.fixture(scope="session")
def browser(runner: asyncio.Runner, browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    """One browser for all tests of a process; its camera is a file: `write_camera`."""
    api = pytest.importorskip(
        "playwright.async_api", reason="pages are looked at by playwright: pip install playwright"
    )
    playwright = runner.run(api.async_playwright().start())
    film = write_camera(tmp_path_factory.mktemp("camera") / "camera.mjpeg")
    flags = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    browser = runner.run(playwright.chromium.launch(executable_path=browser_path, args=flags, timeout=WAIT_MS))
    yield browser
    runner.run(browser.close())
    runner.run(playwright.stop())


@pytest.fixture(scope="session")
def stem_filters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with filters of a stem: is something there, does an answer hold, events, several models."""
    from infilink.filters.rules.parser import parse_rule
    from infilink.filters.training.event_selection import EventTarget
    from infilink.filters.training.train_events import train_event_filter
    from infilink.filters.training.train_tasks import train_tasks
    from infilink.models.stem.stem import Stem
    from infilink.traces.trace import Trace

    place = tmp_path_factory.mktemp("stems")
    stem, path = Stem(write_stem(place / "stem.onnx", licence="MIT")), write_trace(place / "drawn.trace", inputs=100)
    filters = place / "filters"
    filters.mkdir()
    train(path, filters / "there.onnx", "value < 1", models=("squares",), candidates=("stem",), stem=stem)
    train(path, filters / "held.onnx", "unchanged >= 1", models=("scene",), candidates=("stem",), stem=stem)
    with Trace(path) as trace:
        rule, target = parse_rule("value < 1"), EventTarget(0.0, budget=0.2, window_s=4.0)
        out, names = filters / "events.onnx", ("stem-blend",)
        train_event_filter(trace, models=("squares",), rule=rule, target=target, out=out, candidates=names, stem=stem)
        rules = {"squares": rule, "scene": parse_rule("label in (nothing, left)")}
        train_tasks(trace, rules=rules, accuracy=0.8, out=filters / "tasks.onnx", stem=stem, uncertified=True)
    return filters


@pytest.fixture
def look(visit: Callable, browser: "Browser") -> Callable[..., None]:
    """Runs a story before a browser: `look(story, dark=True, width=360)`; any fault on a page fails the test."""

    def run(story: Look, *, dark: bool = False, width: int = 1280, height: int = 800, **settings: object) -> None:
        async def whole(site: Site) -> None:
            await look_at(site, browser, story, dark=dark, width=width, height=height)

        visit(whole, **settings)

    return run


async def look_at(
    site: Site, browser: "Browser", story: Look, *, dark: bool = False, width: int = 1280, height: int = 800
) -> None:
    """Runs a story before a browser that looks at a site; any fault on a page fails the test."""
    async with _opened(site, browser, dark=dark, width=width, height=height) as view:
        await story(view)
    assert view.faults == []


@asynccontextmanager
async def _opened(site: Site, browser: "Browser", *, dark: bool, width: int, height: int):
    context = await browser.new_context(
        base_url=str(site.client.base_url),
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="UTC",
        # Else what a test changes of an answer would not come through: test_phone_app.py is about them.
        service_workers="block",
    )
    context.set_default_timeout(WAIT_MS)
    view = View(site, await context.new_page())
    ours = urlsplit(str(site.client.base_url)).netloc
    view.page.on("console", lambda line: view.fault(f"console: {line.text}") if line.type == "error" else None)
    view.page.on("pageerror", lambda error: view.fault(f"page: {error}"))
    view.page.on("request", lambda asked: None if is_ours(asked.url, ours) else view.fault(f"asked for {asked.url}"))
    # Nothing of ours opens one: a script came in that is not ours.
    view.page.on("dialog", lambda dialog: view.fault(f"dialog: {dialog.message}"))
    try:
        yield view
    except Exception as error:
        error.add_note(await _shown(context))
        raise
    finally:
        await context.close()


async def _shown(context: "BrowserContext") -> str:
    """What the open pages say, for whoever reads that a test waited in vain."""
    pages = [f"{page.url}:\n{await page.evaluate('document.body.innerText')}" for page in context.pages]
    return "\n\n".join(pages)


def is_ours(url: str, ours: str) -> bool:
    """Whether an address is the coordinator's, or lies within the page itself."""
    parts = urlsplit(url)
    return parts.netloc == ours or parts.scheme in ("data", "blob")
