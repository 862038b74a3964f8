"""The filter tuner as people see it: in a browser, over a real recording and real training."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.coordinator import Coordinator
from infilink.filters.rules.zones import read_zones

from ....filters.conftest import write_trace
from ....filters.made import write_frames
from ..conftest import site_of
from .conftest import Look, View, look_at

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.fixture(scope="module")
def look_again(
    runner: asyncio.Runner,
    browser: "Browser",
    tiny_models: Path,
    recorded: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., None]]:
    """As `look`, before one site for all stories that write nothing: what is learnt for one is there for the next."""
    home = tmp_path_factory.mktemp("site")
    coordinator = Coordinator(
        CloudConfig(models=tiny_models, ledger=home / "ledger.sqlite", recordings=recorded.parent)
    )
    begun, over = asyncio.Queue(), asyncio.Event()

    async def stay() -> None:
        try:
            await coordinator.start()
            async with site_of(coordinator) as site:
                begun.put_nowait(site)
                await over.wait()
        finally:
            await coordinator.close()

    async def begin():
        staying = asyncio.create_task(stay())
        first = asyncio.create_task(begun.get())
        await asyncio.wait([staying, first], return_when=asyncio.FIRST_COMPLETED)
        return staying, first.result() if first.done() else staying.result()

    async def end() -> None:
        over.set()
        await staying

    staying, site = runner.run(begin())

    def run(story: Look, **settings: object) -> None:
        runner.run(look_at(site, browser, story, **settings))

    yield run
    runner.run(end())


async def learn(view: View) -> None:
    """Has a filter learnt on the recording, and waits for what comes of it."""
    await view.page.goto("/tuner/recording/door.trace")
    await view.page.click("#go")
    await view.page.locator("#result").wait_for()


async def move(view: View, level: int) -> None:
    """Moves the slider to a level: 0 is 50 %, 49 is 99 %."""
    await view.page.locator("#slider").fill(str(level))


def test_the_tuner_changes_what_it_shows(look: Callable, folder) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/tuner")
        await view.page.click("text=door.trace")
        await view.page.select_option("#model", "squares")
        await view.page.click("#go")
        await view.says("#doing", "%")
        await view.page.locator("#result").wait_for()
        shown = {}
        for level in (0, 49):
            await move(view, level)
            shown[level] = [await view.text(each) for each in ("#asked", "#verdict", "#figures", "#baselines")]
        assert shown[0][0] == "50 %" and shown[49][0] == "99 %"
        assert "not certified at this level: some" in shown[49][1] and "more events" in shown[49][1]
        assert all(before != after for before, after in zip(shown[0], shown[49], strict=True))
        assert "every K-th" in shown[0][3] and "events found" in shown[0][2]
        # A picture of each event, found or missed.
        events = await view.page.locator("#missed .shot, #found .shot").count()
        assert f"of {events}" in (await view.text("#figures"))
        await view.page.click("#found-title")
        # A function: the pages' policy lets no text be evaluated again and again.
        await view.page.wait_for_function(
            "() => [...document.querySelectorAll('#found img')].some((each) => each.naturalWidth > 0)"
        )

    look(story, recordings=folder)


def test_a_move_of_the_slider_asks_nobody(look_again: Callable) -> None:
    async def story(view: View) -> None:
        await learn(view)
        asked = []
        view.page.on("request", lambda request: asked.append(request.url))
        for level in range(50):
            await move(view, level)
        assert not [url for url in asked if "/tuner/picture/" not in url]

    look_again(story)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_curve_says_what_stands_where_and_leads_there(look_again: Callable, dark: bool) -> None:
    async def story(view: View) -> None:
        await learn(view)
        told = {}
        for level in (0, 49):
            await move(view, level)
            told[level] = await view.text("#curve-told")
            assert "every K-th" in told[level] and told[level] in await view.page.get_attribute("#curve", "aria-label")
        assert told[0] != told[49]
        rows = view.page.locator("#curve-rows tr")
        assert await rows.count() > 1
        # The pointer reads the point that it is at, and a click moves the dial there.
        curve = view.page.locator("#curve .u-over")
        await curve.scroll_into_view_if_needed()
        size = await curve.bounding_box()
        for x in (1, size["width"] - 1):
            await curve.hover(position={"x": x, "y": size["height"] / 2})
            await curve.click(position={"x": x, "y": size["height"] / 2})
            ends = await view.page.locator("#curve-rows tr").evaluate_all(
                "(rows) => rows.map((row) => row.cells[0].textContent)"
            )
            sent = (await view.text("#curve-told")).partition(" sent")[0]
            assert sent in ends
        assert sent == ends[-1]
        assert sent in await view.text("#figures")

    look_again(story, dark=dark)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_nobody_scrolls_sideways(look_again: Callable, dark: bool) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/tuner")
        assert await view.is_as_wide_as_its_window()
        await learn(view)
        assert await view.is_as_wide_as_its_window()

    look_again(story, width=360, dark=dark)


def test_what_is_wrong_is_said_and_the_page_goes_on(look_again: Callable) -> None:
    async def story(view: View) -> None:
        view.allow("400")
        await view.page.goto("/tuner/recording/door.trace")
        await view.page.fill("#rule", "value >> 1")
        await view.page.click("#go")
        await view.says("#wrong", "rule")
        await learn(view)

    look_again(story)


def test_a_filter_is_made_and_compared_and_its_lines_for_devices_are_shown(look: Callable, folder) -> None:
    write_frames(folder / "old.onnx")

    async def story(view: View) -> None:
        await view.page.goto("/tuner/recording/door.trace")
        await view.page.select_option("#model", "squares")
        await view.page.click("#aim-accuracy")
        await view.page.click("#go")
        await view.page.locator("#result").wait_for()
        await move(view, 30)
        await view.page.select_option("#beside", "old.onnx")
        if await view.page.locator("#uncertified").is_visible():
            await view.page.check("#uncertified")
        await view.page.click("#make-go")
        await view.page.locator("#sides-block").wait_for()
        assert "door-1.onnx is written" in await view.text("#made")
        sides = await view.text("#sides-block")
        assert "door-1.onnx" in sides and "old.onnx" in sides and "its promises here" in sides
        curve = await view.page.locator("#curve-legend").text_content()
        assert "door-1.onnx" in curve and "old.onnx" in curve
        assert await view.is_as_wide_as_its_window()
        await view.page.get_by_role("link", name="Roll out door-1.onnx").click()
        await view.says("h1", "Roll out door-1.onnx?")
        await view.page.get_by_text("By hand").click()
        line = await view.text("#line")
        assert "/tuner/filter/door-1.onnx -o GATE.new" in line and "sha256sum -c" in line
        assert await view.is_as_wide_as_its_window()

    look(story, recordings=folder, width=360)


def test_zones_are_drawn_by_mouse_and_moved_by_numbers(look: Callable, folder) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/tuner/recording/door.trace")
        await view.page.click("#zones-block > summary")
        await view.page.click("#add-zone")
        await view.page.fill("#shape-name", "door")
        board = view.page.locator("#board")
        size = await board.bounding_box()
        for x, y in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.8)):
            await board.click(position={"x": x * size["width"], "y": y * size["height"]})
        await view.page.click("#add-corner")
        left, top = (view.page.get_by_label(f"Corner 4, from the {side} in percent") for side in ("left", "top"))
        await left.fill("10")
        await left.press("Tab")
        await top.fill("80")
        await top.press("Tab")
        await view.page.click("#save-shapes")
        await view.says("#board-told", "Saved: 1 zones, 0 masks.")
        points = read_zones(folder / "door.zones.toml")["door"].points
        assert points[3] == (0.1, 0.8) and points[2] == pytest.approx((0.5, 0.8), abs=0.01)
        await view.page.reload()
        await view.page.click("#zones-block > summary")
        assert await view.page.locator("#corners li").count() == 4

    look(story, recordings=folder)


def test_an_answer_is_called_wrong_on_the_page(look: Callable, folder) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/tuner/recording/door.trace")
        await view.page.select_option("#model", "squares")
        await view.page.click("#go")
        await view.page.locator("#result").wait_for()
        await view.page.click("#found-title")
        await view.page.locator(".shot button").first.click()
        await view.says("#marks", "1 answer is corrected")
        assert (folder / "door.marks.json").is_file()
        await view.page.locator(".shot.wrong button").first.click()
        await view.page.locator(".shot.wrong").first.wait_for(state="detached")
        assert await view.page.locator("#marks").text_content() == ""

    look(story, recordings=folder)


def test_what_no_model_saw_is_marked_with_one_click_and_counts_when_it_is_learnt_again(look: Callable, blind) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/tuner/recording/blind.trace")
        await view.page.select_option("#model", "squares")
        await view.page.click("#go")
        await view.page.locator("#result").wait_for()
        events = await view.page.locator("#missed .shot, #found .shot").count()
        await view.page.click("#skipped-title")
        await view.page.click("#in-vain-title")
        quiet = view.page.locator("#skipped .shot, #in-vain .shot").filter(has_text=re.compile("input 37[0-9]"))
        await quiet.locator("button").first.click()
        await view.says("#marks", "1 answer is corrected")
        await view.says(".shot.unsaid button", "taken as missed: there was something")
        await view.page.click("#how-title")
        await view.page.click("#go")
        await view.says("#how", "1 time that somebody saw what no model did")
        assert await view.page.locator("#missed .shot, #found .shot").count() == events + 1
        # Its picture is among the events now, so it is taken back where all that was corrected stands.
        await view.page.click("#marks-block > summary")
        await view.says("#marked .shot", "was there, which squares did not say; 11 inputs")
        await view.page.locator("#marked .shot button").click()
        await view.page.locator("#marks-block").wait_for(state="hidden")
        assert not (blind / "blind.marks.json").exists()

    look(story, recordings=blind)


def test_who_comes_second_waits_for_its_turn_and_who_comes_back_goes_on(look: Callable, folder) -> None:
    (folder / "yard.trace").write_bytes((folder / "door.trace").read_bytes())

    async def story(view: View) -> None:
        view.allow("503")
        jobs = view.site.dashboard.tuner.jobs
        await view.page.goto("/tuner/recording/yard.trace")
        await view.page.select_option("#model", "squares")
        question = {"do": "tune", "recording": "door.trace", "model": "squares", "rule": "value < 1", "networks": True}
        first = (await view.site.client.post("/tuner/ask", json=question)).json()["job"]
        await view.page.click("#go")
        await view.says("#doing", "First tuning on door.trace")
        await view.page.click("text=Don't wait")
        await view.page.locator("#work").wait_for(state="hidden")
        assert jobs.current.number == first["number"] and jobs.current.state == "running"
        await view.page.click("#go")
        await view.says("#doing", "First tuning on door.trace")
        await view.site.client.post("/tuner/cancel", json={"number": first["number"]})
        await view.page.locator("#result").wait_for()
        await view.page.fill("#rule", "value <= 0")
        await view.page.click("#go")
        # Its tab is closed, and opened again.
        await view.page.wait_for_function("() => !document.getElementById('work').hidden")
        await view.page.goto("/tuner")
        await view.page.goto("/tuner/recording/yard.trace")
        await view.page.locator("#result").wait_for()
        assert await view.page.input_value("#rule") == "value <= 0"

    look(story, recordings=folder)


def test_a_recording_is_looked_through_and_marked_where_no_model_saw_anything(look: Callable, folder) -> None:
    write_trace(folder / "quiet.trace", inputs=400, said=[0] * 400)

    async def story(view: View) -> None:
        await view.page.goto("/tuner/recording/quiet.trace")
        await view.page.select_option("#model", "squares")
        await view.page.click("#look-block > summary")
        await view.says("#look-told", "input 0 of 400")
        await view.page.click("#look-later")
        await view.says("#look-told", "input 120 of 400")
        assert await view.page.locator("#looked .shot").count() == 12
        await view.page.locator("#looked .shot").filter(has_text="input 150").locator("button").click()
        await view.says("#marks", "1 answer is corrected")
        await view.says("#looked .shot.unsaid", "taken as missed: there was something")
        assert await view.is_as_wide_as_its_window()

    look(story, recordings=folder, width=360)


def test_a_coordinator_that_is_away_is_asked_again_and_one_that_began_anew_is_told(look: Callable, folder) -> None:
    async def story(view: View) -> None:
        view.allow("ERR_FAILED")
        await view.page.goto("/tuner/recording/door.trace")
        await view.page.select_option("#model", "squares")
        await view.page.route("**/tuner/job?**", lambda route: route.abort())
        await view.page.click("#go")
        await view.says("#doing", "The coordinator does not answer. It is asked again")
        await view.page.unroute("**/tuner/job?**")
        await view.page.locator("#result").wait_for()
        # It knows nothing of what it did before, nor is another's work taken for it.
        await view.page.route("**/tuner/job?**", lambda route: route.fulfill(json={"job": None}))
        await view.page.fill("#rule", "value <= 0")
        await view.page.click("#go")
        await view.says("#wrong", "The coordinator was started anew, and this work is gone: ask again.")

    look(story, recordings=folder)
