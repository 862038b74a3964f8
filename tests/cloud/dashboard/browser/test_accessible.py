"""Every page can be used with a keyboard and a screen reader, and read by whoever sees little: what axe finds fails."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ...messages import an_input
from .conftest import View
from .test_phone_page import filters  # noqa: F401

PAGES = (
    "/site",
    "/stream/yard",
    "/stream/nobody",
    "/plan",
    "/tuner",
    "/tuner/recording/{recording}",
    "/fleet",
    "/fleet/filter",
    "/fleet/enroll",
    "/fleet/drain/yard",
    "/phone",
    "/phone/start",
    "/login",
)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_stands_in_anybodys_way(
    look: Callable,
    recorded: Path,
    filters: Path,  # noqa: F811
    width: int,
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.base", reason="pages are looked at by axe: pip install axe-playwright-python"
    )

    faults: list[str] = []

    async def story(view: View) -> None:
        view.allow("404")
        async with view.device() as device:
            await device.send(an_input(0, 60))
            for path in PAGES:
                await view.page.goto(path.format(recording=recorded.name))
                await view.page.wait_for_load_state("networkidle" if path == "/phone" else "load")
                if "/recording/" in path:
                    await view.page.click("#go")
                    await view.page.locator("#result").wait_for()
                await view.page.evaluate(axe.AXE_SCRIPT)
                for theme in ("light", "dark"):
                    await view.page.emulate_media(color_scheme=theme)
                    found = await view.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
                    for each in found["violations"]:
                        places = "\n".join(node["html"][:200] for node in each["nodes"])
                        faults.append(f"{path} ({theme}): {each['help']}:\n{places}")
        assert not faults, "\n\n".join(faults)

    look(story, width=width, phone_filters=filters, recordings=recorded.parent)
