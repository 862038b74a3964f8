"""The site page as people see it: in a browser, at work."""

from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.cloud.security.tokens import add_token
from infilink.models.spec import parse_spec, write_spec

from ....conftest import INPUT, light
from ...messages import an_input
from .conftest import View

SCRIPT = "<script>alert(1)</script>"
NAMES = "[...document.querySelectorAll('.tile h2 a')].map((each) => each.textContent).join(' ')"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_pages_open_without_errors_and_nobody_scrolls_sideways(look: Callable, width: int, dark: bool) -> None:
    async def story(view: View) -> None:
        async with view.device() as device:
            await device.send(an_input(0, 60))
            for path in ("/site", "/stream/yard"):
                await view.page.goto(path)
                await view.says(".tile .said", "bright")
                await view.page.locator(".tile img").wait_for()
                assert await view.is_as_wide_as_its_window()
                back = await view.page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (sum(map(int, back.removeprefix("rgb(").rstrip(")").split(","))) < 200) == dark

    look(story, width=width, dark=dark)


def test_a_site_without_streams_says_how_one_comes(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/")
        await view.says("#empty", "infilink device --coordinator")

    look(story)


def test_an_answer_is_seen_as_it_is_given(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/site")
        async with view.device() as device:
            for sequence, level in enumerate((60, 90)):
                await device.send(an_input(sequence, level))
                await view.says(".tile .said", str(level))
        await view.says(".tile .troubles", "not connected")

    look(story)


def test_a_tile_says_how_many_events_there_were_and_how_long_ago(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/site")
        async with view.device() as device:
            await device.send(an_input(0, 10))
            await view.says(".tile .seen", "No events in the last hour")
            await device.send(an_input(1, 200))
            await view.says(".tile .seen", "in the last hour, newest")

    look(story)


def test_streams_are_found_as_one_types_and_those_with_faults_alone(look: Callable) -> None:
    async def story(view: View) -> None:
        async with view.device("gate") as gate, view.device("yard") as yard:
            for device in (gate, yard):
                await device.send(an_input(0, 60))
            await view.page.goto("/site")
            await view.page.locator(".tile").nth(1).wait_for()
            await view.page.fill("input[name=find]", "YAR")
            await view.page.wait_for_function(f"() => {NAMES} === 'yard'")
            assert view.page.url.endswith("/site?find=YAR")
            await view.page.check("input[name=wrong]")
            await view.says("#empty", "Nothing is wrong with a stream that is called something like “YAR”.")
            await view.page.fill("input[name=find]", "")
            await view.says("#empty", "Nothing is wrong with any stream.")
        await view.page.wait_for_function(f"() => {NAMES} === 'gate yard'")
        await view.page.reload()
        await view.page.wait_for_function(f"() => {NAMES} === 'gate yard'")
        assert await view.page.is_checked("input[name=wrong]")

    look(story, width=360)


def test_a_button_makes_it_dark_and_it_stays_so(look: Callable) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/site")
        for _ in range(2):
            await view.page.click("[data-theme-button]")
        await view.page.reload()
        await view.page.locator('html[data-theme="dark"]').wait_for()

    look(story)


def test_what_devices_and_models_say_is_text(look: Callable, tmp_path: Path) -> None:
    spec = {"output": {"kind": "label", "classes": [SCRIPT, "bright"]}, "decoder": {"name": "softmax"}}
    path = light(tmp_path / "models" / "light.onnx")
    write_spec(path, parse_spec({"name": "light", "input": INPUT, **spec}, where="light"))

    async def story(view: View) -> None:
        async with view.device() as device:
            await device.send(an_input(0, 10))
            await view.page.goto("/site")
            await view.says(".tile .said", SCRIPT)
        # A coordinator takes no device that is called so; what draws a tile takes any name.
        await view.page.evaluate(
            """async (name) => {
                const { Tile } = await import("/static/tile.js");
                document.getElementById("tiles").append(new Tile(name).node);
            }""",
            SCRIPT,
        )
        await view.says(".tile h2", SCRIPT)
        view.allow("404")
        await view.page.goto(f"/stream/{SCRIPT}")
        await view.says("h1", SCRIPT)
        await view.page.goto(f"/site?find={SCRIPT}")
        await view.says("#empty", SCRIPT)

    look(story)


def test_who_has_a_token_sees_the_site_and_who_has_none_is_asked_for_one(look: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "viewer", scopes=("reader",), devices=(), days=None)
    other = add_token(tokens, "camera", scopes=("device",), devices=("*",), days=None)

    async def story(view: View) -> None:
        await view.page.goto("/site?find=door")
        for wrong, why in (("guess", "not known"), (other, "needs the scope reader")):
            await view.page.fill("input[name=token]", wrong)
            await view.page.press("input[name=token]", "Enter")
            await view.says(".fault", why)
        await view.page.fill("input[name=token]", token)
        await view.page.press("input[name=token]", "Enter")
        await view.says("#figures", "streams connected")
        assert view.page.url.endswith("/site?find=door")
        await view.page.click("text=Leave")
        await view.says("h1", "Your token")

    look(story, tokens=tokens)
