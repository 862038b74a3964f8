"""The phone page with a camera: what it decides, and what it says where it can't."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from infilink.filters.modalities.video import Video

from ....filters.made import write_mean, write_repeats, write_tasks
from .conftest import View

if TYPE_CHECKING:
    from playwright.async_api import Route

SOME_KEPT = """
() => {
  const found = document.getElementById("figures").textContent.match(/frames kept(\\d+) of (\\d+)/);
  return found && Number(found[1]) >= 3 && Number(found[1]) < Number(found[2]);
}
"""


@pytest.fixture
def filters(tmp_path: Path) -> Path:
    """A folder with filters that the page can run, and one that it can't."""
    folder = tmp_path / "filters"
    folder.mkdir()
    write_repeats(folder / "repeats.onnx", threshold=0.15)
    write_tasks(folder / "tasks.onnx")
    write_mean(folder / "clips.onnx", Video())
    return folder


async def start(view: View, name: str = "phone-1", *, at: str = "") -> None:
    """Starts the page's camera."""
    await view.page.goto(f"{at}/phone")
    await view.page.fill("#name", name)
    await view.page.click("#go:enabled")
    await view.says("#figures", "frames kept")


def test_it_looks_at_the_camera_and_says_what_it_decides(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        await start(view)
        # The film is a square that moves and rests: some of it is new, and some is not.
        await view.page.wait_for_function(SOME_KEPT)
        await view.says("#decision", "nothing is new")
        assert "picture\n320" in await view.text("#figures")
        assert "of the kind video" in await view.text("#kept-back")
        assert await view.is_as_wide_as_its_window()
        await view.page.click("#go")
        await view.says("#note", "The camera is off.")
        await view.page.reload()
        # A function: the pages' policy lets no text be evaluated again and again.
        await view.page.wait_for_function("() => document.getElementById('name').value === 'phone-1'")

    look(story, width=360, dark=True, phone_filters=filters)


PACED = """
async ({learntStepS, tookMs}) => {
  const { Pace } = await import("/static/phone/pace.js");
  const pace = new Pace();
  pace.begin(learntStepS);
  return tookMs.map((ms) => { pace.took(ms); return [pace.perS, pace.why]; });
}
"""


def test_it_looks_as_often_as_a_filter_was_learnt_at_and_says_where_it_can_not(look: Callable) -> None:
    async def paced(view: View, learnt_step_s: float, *took_ms: float) -> list[tuple[float, str]]:
        found = await view.page.evaluate(PACED, {"learntStepS": learnt_step_s, "tookMs": [*took_ms]})
        return [(rate, why) for rate, why in found]

    async def story(view: View) -> None:
        await view.page.goto("/login")
        # What the first decision takes says nothing: it compiles.
        quick = await paced(view, 0.0, 900.0, *[5.0] * 20)
        assert quick == [(15, "")] * 21
        slow = "this filter takes 100 ms for each on this phone, so that it is 6.0 a second"
        assert (await paced(view, 0.0, 900.0, *[100.0] * 20))[-1] == (pytest.approx(6.0), slow)
        assert (await paced(view, 0.125, *[100.0] * 20))[-1] == (pytest.approx(6.0), slow)
        rate, why = (await paced(view, 0.04, *[100.0] * 20))[-1]
        assert rate == pytest.approx(6.0) and why.startswith(slow)
        assert why.endswith("the filter was learnt at 25.0 a second, and what it promises is not proven at fewer")
        assert (await paced(view, 0.04, *[5.0] * 20))[-1] == (pytest.approx(25.0), "")

    look(story)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("Object.defineProperty(window, 'isSecureContext', {value: false})", "by TLS (https)"),
        ("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})", "can't use a camera"),
        ("delete window.WebAssembly", "no WebAssembly"),
    ],
)
def test_what_a_browser_lacks_is_said(look: Callable, filters: Path, missing: str, words: str) -> None:
    async def story(view: View) -> None:
        await view.page.add_init_script(missing)
        await view.page.goto("/phone")
        await view.says("#trouble", words)
        assert await view.page.is_disabled("#go")

    look(story, phone_filters=filters)


def test_a_camera_that_is_not_given_is_said(look: Callable, filters: Path) -> None:
    refuse = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"

    async def story(view: View) -> None:
        await view.page.add_init_script(refuse)
        await view.page.goto("/phone")
        await view.page.fill("#name", "phone")
        await view.page.click("#go:enabled")
        await view.says("#trouble", "allow it for this page")
        await view.says("#go", "Start")

    look(story, phone_filters=filters)


def test_on_a_low_battery_frames_are_looked_at_less_often(look: Callable, filters: Path) -> None:
    low = """
    const battery = Object.assign(new EventTarget(), { level: 0.11, charging: false });
    navigator.getBattery = async () => battery;
    window.plugIn = () => { battery.charging = true; battery.dispatchEvent(new Event("chargingchange")); };
    """

    async def story(view: View) -> None:
        await view.page.add_init_script(low)
        await start(view)
        await view.says("#slow", "the battery is at 11 %")
        await view.page.evaluate("window.plugIn()")
        await view.page.wait_for_function("() => !document.getElementById('slow').textContent.includes('battery')")

    look(story, phone_filters=filters)


def test_a_camera_without_pictures_is_said(look: Callable, filters: Path) -> None:
    black = "Object.defineProperty(HTMLVideoElement.prototype, 'videoWidth', {get: () => 0});"
    hasten = "const now = performance.now.bind(performance); performance.now = () => 100 * now();"

    async def story(view: View) -> None:
        await view.page.add_init_script(black + hasten)
        await view.page.goto("/phone")
        await view.page.fill("#name", "phone")
        await view.page.click("#go:enabled")
        await view.says("#note", "The camera gives no pictures")
        await view.page.click("#go")
        await view.says("#note", "The camera is off.")

    look(story, phone_filters=filters)


def test_a_name_that_is_typed_while_the_page_is_still_loaded_stays(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        typed = asyncio.Event()

        async def late(route: "Route") -> None:
            await typed.wait()
            await route.continue_()

        await view.page.route("**/phone/queue.js", late)
        await view.page.goto("/phone", wait_until="commit")
        await view.page.fill("#name", "phone-7")
        typed.set()
        await view.page.click("#go:enabled")
        await view.says("#figures", "frames kept")
        await view.says("#link", "phone-7")

    look(story, phone_filters=filters)


def test_where_there_is_no_filter_it_is_said_what_to_do(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/phone")
        await view.says("#trouble", "`phone_filters` in cloud.toml")
        assert await view.page.is_disabled("#go")

    look(story)
