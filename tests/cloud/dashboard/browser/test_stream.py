"""The page of one stream, in a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ...messages import an_input
from .conftest import View


@pytest.fixture
def two_scenes(make_model: Callable, tmp_path: Path) -> None:
    """A model that says whether it is dark or bright."""
    make_model(tmp_path / "models", "light")


def test_a_stream_that_goes_while_it_is_looked_at_is_said(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.site.send(an_input(0), device="yard")
        await view.page.goto("/stream/yard")
        await view.says(".tile .said", "bright")
        # Of one place a coordinator remembers two: the third stream takes the first one's.
        for name in ("door", "gate"):
            await view.site.send(an_input(0), device=name)
        await view.says("#live", "This stream has gone.")
        await view.page.goto("/stream/door")
        await view.says("#live", "")

    look(story, max_devices=1)


def test_a_stream_that_nobody_knows_is_told_where_to_look_for_it(look: Callable) -> None:
    async def story(view: View) -> None:
        view.allow("404")
        await view.page.goto("/stream/nobody")
        await view.says("main", "infilink results query --device nobody")

    look(story)


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_is_said_becomes_an_event_with_its_picture(look: Callable, width: int, dark: bool) -> None:
    async def story(view: View) -> None:
        async with view.device() as device:
            await device.send(an_input(0, 200))
            await view.page.goto("/stream/yard")
            await view.says("#events", "spot")
            await view.says("#events", "still")
            await view.page.locator("#film img").wait_for()
            await view.page.focus("#events")
            await view.page.keyboard.press("ArrowDown")
            await view.says("#detail h2", "spot")
            await view.page.locator("#detail .picture rect").wait_for()
            await view.says("#detail", "its filter let it pass")
            assert await view.is_as_wide_as_its_window()

    look(story, width=width, dark=dark)


def test_what_comes_later_is_added_and_arrow_keys_step_through_it(look: Callable, two_scenes: None) -> None:
    async def story(view: View) -> None:
        async with view.device() as device:
            await device.send(an_input(0, 10))
            await view.page.goto("/stream/yard")
            await view.page.click("text=10 minutes")
            await view.says("#events", "dark")
            await device.send(an_input(5, 250, audit=True))
            await view.says("#events", "bright")
            await view.page.focus("#events")
            for key, what in (("ArrowDown", "bright"), ("ArrowRight", "spot"), ("End", "dark"), ("Home", "bright")):
                await view.page.keyboard.press(key)
                await view.says("#events [aria-selected=true]", what)
            await view.says("#detail", "drawn by the device's audit")
            assert "4 not sent, 1 audited" in await view.page.get_attribute("#chart", "aria-label")
            await view.page.click("text=Picture before")
            await view.says("#detail .said", "dark")

    look(story)


@pytest.mark.parametrize("width", [1000, 1600])
def test_the_pointer_reads_the_chart_and_draws_what_is_looked_at_closer(look: Callable, width: int) -> None:
    async def story(view: View) -> None:
        async with view.device() as device:
            await device.send(an_input(0, 200))
            await device.send(an_input(4, 200, audit=True))
        await view.page.goto("/stream/yard")
        await view.page.click("#spans >> text=Hour")
        await view.says("#events", "spot")
        await view.says("#read", "Drag over the chart")
        await view.page.locator("#chart").scroll_into_view_if_needed()
        # What it is drawn in comes and goes with what is known.
        left, top, wide = await view.page.evaluate(
            """() => {
                const { x, y, width } = document.querySelector("#chart .u-over").getBoundingClientRect();
                return [x, y, width];
            }"""
        )
        # All was sent lately: at the right end.
        read = []
        while not any(" 3 not sent" in each for each in read):
            assert len(read) < 30, read
            await view.page.mouse.move(left + wide * (1 - (len(read) + 1) / 240), top + 20)
            read.append(await view.text("#read"))
        before = await view.text("#range")
        for to, is_down in ((0.25, True), (0.5, False)):
            await view.page.mouse.move(left + to * wide, top + 20, steps=4)
            await (view.page.mouse.down if is_down else view.page.mouse.up)()
        await view.says("#told", "Nothing was sent in this time.")
        assert before != await view.text("#range")
        assert await view.page.locator("#spans [aria-pressed=true]").count() == 0
        await view.page.click("#now")
        await view.says("#events", "spot")
        await view.page.click("#spans >> text=Hour")
        for label, pressed in (("Half", 0), ("Twice", 1)):
            await view.page.get_by_label(f"{label} as much time").click()
            assert await view.page.locator("#spans [aria-pressed=true]", has_text="Hour").count() == pressed

    look(story, width=width)


def test_a_time_in_which_nothing_was_sent_is_said(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.site.send(an_input(0), device="yard")
        await view.page.goto("/stream/yard")
        for _ in range(4):
            await view.page.click("#earlier")
        await view.says("#told", "Nothing was sent in this time.")
        await view.says("#events", "No model said of anything that it is there.")
        await view.page.click("#now")
        await view.says("#events", "spot")

    look(story)


def test_a_stream_of_before_a_restart_shows_what_it_said(look: Callable) -> None:
    async def before(view: View) -> None:
        await view.site.send(an_input(0, 200), device="yard")

    async def after(view: View) -> None:
        await view.page.goto("/stream/yard")
        await view.says("#live", "has not connected since the coordinator started")
        await view.says("#events", "spot")
        await view.page.locator("#film img").wait_for()

    look(before)
    look(after)


def test_what_is_shown_can_be_had_as_a_file_and_what_can_not_is_said(look: Callable) -> None:
    async def story(view: View) -> None:
        view.allow("400")
        async with view.device() as device:
            await device.send(an_input(0, 200))
            await view.page.goto("/stream/yard")
            # It is written by then.
            await view.page.locator("#film img").wait_for()
            async with view.page.expect_download() as coming:
                await view.page.click("text=Clip")
            assert (await coming.value).suggested_filename.endswith(".mp4")
            await view.page.select_option("#export-model", "bright")
            await view.page.click("text=COCO")
            await view.says("#exports [role=status]", "there are no boxes")

    look(story)
