"""The fleet page as people see it: in a browser, with a device that is connected."""

from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.cloud.security.caller import ANYONE
from infilink.cloud.security.tokens import add_token

from ...messages import an_input
from ..test_fleet import SAID, report
from .conftest import View


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 1600])
def test_the_fleet_opens_without_errors_and_nobody_scrolls_sideways(look: Callable, width: int, dark: bool) -> None:
    async def story(view: View) -> None:
        await view.site.send(report(**SAID), an_input(0), device="gate", stream="north")
        async with view.device():
            await view.page.goto("/fleet")
            await view.says(".device .troubles", "its spool is full")
            await view.says(".device .sheet", "7 inputs, 6.8 KiB")
            await view.says(".device h2", "yard")
            assert await view.is_as_wide_as_its_window()
            cut = "(all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent)"
            assert await view.page.locator(".scroll, .scroll td, .scroll th").evaluate_all(cut) == []

    look(story, width=width, dark=dark)


def test_a_device_is_paused_after_a_question_and_is_resumed(look: Callable) -> None:
    async def story(view: View) -> None:
        async with view.device():
            await view.page.goto("/fleet")
            await view.page.get_by_role("link", name="Pause yard").click()
            await view.says("h1", "Pause yard?")
            await view.page.get_by_role("button", name="Pause").click()
            await view.says(".device .state", "paused")
            await view.says(".device .said", "paused by whoever asks")
            await view.page.get_by_role("link", name="Resume yard").click()
            await view.page.get_by_role("button", name="Resume").click()
            await view.page.get_by_role("link", name="Pause yard").wait_for()

    look(story)


def test_a_code_is_shown_once_with_the_command_for_the_device(look: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "ann", scopes=("operator",), devices=(), days=None)

    async def story(view: View) -> None:
        await view.page.goto("/fleet")
        await view.page.get_by_label("Token").fill(token)
        await view.page.get_by_role("button", name="Look").click()
        await view.says("#empty", "infilink device --coordinator")
        await view.page.get_by_role("link", name="Enroll a device").click()
        await view.page.get_by_label("What it is called").fill("door")
        await view.page.get_by_role("button", name="Make a code").click()
        command = await view.text("#command")
        assert command.startswith("infilink device enroll --coordinator 127.0.0.1:") and " --code " in command
        await view.says("#left", "within 15 minutes")
        await view.says(".fault", "There is no TLS here")
        assert await view.is_as_wide_as_its_window()
        await view.page.goto("/fleet/enroll")
        assert "--code" not in await view.page.content()

    look(story, tokens=tokens, width=360)


def test_a_device_that_is_lost_is_revoked_and_offered_a_way_back(look: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"

    async def story(view: View) -> None:
        await view.site.send(an_input(0), device="yard")
        await view.page.goto("/fleet")
        await view.page.get_by_role("link", name="Revoke yard").click()
        await view.says("form", "Only a new enrollment brings it back")
        await view.page.get_by_role("button", name="Revoke").click()
        await view.says(".device .state", "revoked")
        await view.page.get_by_role("link", name="Resume yard").wait_for()  # Nobody can enroll here.
        tokens.write_text("")
        tokens.chmod(0o600)

    async def with_tokens(view: View) -> None:
        await view.site.coordinator.fleet.change("yard", "revoke", ANYONE)
        await view.page.goto("/fleet")
        await view.page.get_by_label("Token").fill("open sesame")
        await view.page.get_by_role("button", name="Look").click()
        await view.page.get_by_role("link", name="Enroll anew yard").click()
        assert await view.page.get_by_label("What it is called").input_value() == "yard"

    look(story)
    look(with_tokens, tokens=tokens, token="open sesame")


def test_where_there_is_nothing_to_give_the_form_says_so(look: Callable) -> None:
    view_says = "there is nothing to give a new device"

    async def story(view: View) -> None:
        view.allow("400")
        await view.page.goto("/fleet/enroll")
        await view.page.get_by_label("What it is called").fill("door")
        await view.page.get_by_role("button", name="Make a code").click()
        await view.says(".fault", view_says)

    look(story)
