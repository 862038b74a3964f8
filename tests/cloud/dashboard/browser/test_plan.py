"""The plan page as people see it: in a browser, with what its sliders say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import View


@pytest.fixture
def planned(links: Path, tiny_models: Path) -> dict[str, object]:
    return {"models": tiny_models, "links": links, "answers": "links"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_the_plan_opens_without_errors_and_nobody_scrolls_sideways(
    look: Callable, planned: dict, width: int, dark: bool
) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/plan")
        await view.says("#loaded tbody th", "corner")
        await view.says(".matrix thead th", "held")
        assert await view.is_as_wide_as_its_window()
        assert await view.page.locator(".nav a[aria-current=page]").inner_text() == "Plan"

    look(story, width=width, dark=dark, **planned)


def test_a_slider_says_what_would_change_and_what_would_not(look: Callable, planned: dict) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/plan")
        memory = view.page.get_by_label("Memory for models")
        assert await memory.get_attribute("aria-valuetext") == "no limit"
        await memory.focus()
        await memory.press("Home")
        await view.says("#then li", "corner would be never loaded (now kept loaded)")
        await view.says("#compared tbody tr", "not loaded")
        await view.page.get_by_role("button", name="As it is now").click()
        await view.says("#then", "Nothing else would be chosen")
        streams = view.page.get_by_label("Streams", exact=False)
        assert "inputs a second" in (await streams.get_attribute("aria-valuetext") or "")

    look(story, **planned)


def test_an_age_is_a_link_and_the_table_follows(look: Callable, planned: dict) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/plan")
        await view.page.get_by_role("link", name="never ran").click()
        await view.page.wait_for_url("**/plan?age=8*")
        assert await view.page.locator(".matrix thead th", has_text="held").count() == 0

    look(story, **planned)
