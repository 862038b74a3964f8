"""A filter is rolled out as people do it: in a browser, with a device that says what became of it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from ...fleet.test_filters import a_filter, said
from ..test_foresight import a_mean, came
from .conftest import View


def test_a_filter_is_rolled_out_from_the_fleet_page_and_gone_back_from(look: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    content = a_filter(tmp_path, "made.onnx")
    (folder / "door-2.onnx").write_bytes(content)
    found = hashlib.sha256(content).hexdigest()

    async def story(view: View) -> None:
        await view.site.send(said(audited=90, audit_blocks=3, audit_error=0.01, promised=0.9), device="yard")
        await view.page.goto("/fleet")
        await view.page.get_by_role("link", name="Another filter: yard").click()
        await view.page.get_by_role("link", name="door-2.onnx").click()
        await view.says("h1", "Roll out door-2.onnx?")
        assert await view.is_as_wide_as_its_window()
        await view.page.get_by_role("button", name="Roll out").click()
        await view.says(".filter", "was wanted by whoever asks")
        wish = view.site.coordinator.filters.store.wishes["yard"]
        await view.site.send(said(wish.number, found), device="yard")
        await view.says(".filter", "at work")
        # How it does stands beside how the one before did.
        await view.says(".said", "Before, door.onnx: it keeps 10.0 % of 40 inputs, agrees on 99.0 %")
        assert await view.is_as_wide_as_its_window()
        await view.page.get_by_role("link", name="Back to the gate of its own device.toml: yard").click()
        await view.page.get_by_role("button", name="Go back").click()
        await view.says(".filter", "the gate of its own device.toml was wanted")

    look(story, width=360, recordings=folder)


def test_a_filter_that_would_break_its_promise_takes_a_second_yes(look: Callable, tmp_path: Path) -> None:
    name = a_mean(tmp_path, 180.0).name

    async def story(view: View) -> None:
        await view.site.send(said(), *came(), device="yard")
        view.site.dashboard.sent.sent.flush()
        await view.page.goto(f"/fleet/filter?file={name}")
        assert await view.page.locator("#anyway").is_hidden()
        await view.page.get_by_label("yard").check()
        await view.says("#foreseen dd.fault", "would have broken that")
        assert await view.is_as_wide_as_its_window()
        await view.page.get_by_role("button", name="Roll out").click()
        # The browser asks for the box, and sends nothing.
        assert view.page.url.endswith(name) and not view.site.coordinator.filters.store.wishes
        await view.page.get_by_label("Roll it out anyway").check()
        await view.page.get_by_role("button", name="Roll out").click()
        await view.says(".filter", "was wanted by whoever asks")

    look(story, width=360, recordings=tmp_path / "recordings")
