"""The plan page: who predicts whom, what is loaded and why, and what other budgets would change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ..messages import an_input
from .conftest import Site
from .test_app import start_of


def test_without_links_the_page_has_the_commands_that_learn_them(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/plan")
        assert page.status_code == 200
        assert "infilink record --models models --source SOURCE --out day.trace" in page.text
        assert "infilink train links day.trace --out links" in page.text
        assert "Every model runs on every input" in page.text and start_of(page)["sliders"] == {}
        assert (await site.client.get("/plan/what-if", params={"cores": "1"})).status_code == 404

    visit(story)


def test_what_is_loaded_has_its_reason(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0), device="yard")
        state = (await site.client.get("/plan/state")).json()
        models = {each["name"]: each for each in state["models"]}
        assert set(models) == {"bright", "corner"}
        assert models["bright"]["state"] == "loaded" and models["bright"]["why"] == "the plan begins with it"

    visit(story)


def test_links_are_a_table_with_headers_for_each_age(visit: Callable, links: Path, tiny_models: Path) -> None:
    async def story(site: Site) -> None:
        page = (await site.client.get("/plan")).text
        for name in ("bright", "corner", "light"):
            assert f'<th scope="row">{name}</th>' in page and f'<th scope="col">{name}</th>' in page
        assert page.count('scope="col">held</th>') == 1
        assert "bright, its last output held: agreement 0.900" in page
        never = (await site.client.get("/plan", params={"age": "8"})).text
        assert 'scope="col">held</th>' not in never and 'aria-current="page">never ran</a>' in never
        assert (await site.client.get("/plan", params={"age": "9"})).status_code == 400

    visit(story, models=tiny_models, links=links, answers="links")


def test_other_budgets_are_asked_and_nothing_is_changed(visit: Callable, links: Path, tiny_models: Path) -> None:
    async def story(site: Site) -> None:
        before = site.coordinator.initial.plan
        sliders = start_of(await site.client.get("/plan"))["sliders"]
        assert sliders["memory"]["now"] is None and sliders["memory"]["choices"][-1] is None
        asked = {"memory": str(31 * 2**20), "cores": "8", "streams": "2"}
        found = (await site.client.get("/plan/what-if", params=asked)).json()
        assert found["then"]["models"]["corner"]["kept"] == "not loaded"
        assert found["now"]["models"]["corner"]["kept"] == "loaded" and found["changes"]
        same = {"memory": "", "cores": str(sliders["cores"]["now"]), "streams": "1"}
        assert (await site.client.get("/plan/what-if", params=same)).json()["changes"] == []
        assert site.coordinator.initial.plan is before

    visit(story, models=tiny_models, links=links, answers="links")


@pytest.mark.parametrize(
    "asked", [{"cores": "x"}, {"cores": "1", "memory": "-1"}, {"cores": "1", "streams": "1e9"}, {"cores": "nan"}]
)
def test_what_makes_no_sense_is_said(visit: Callable, links: Path, tiny_models: Path, asked: dict[str, str]) -> None:
    async def story(site: Site) -> None:
        answer = await site.client.get("/plan/what-if", params=asked)
        assert answer.status_code == 400 and "`" in answer.json()["error"]

    visit(story, models=tiny_models, links=links, answers="links")


@pytest.mark.parametrize("path", ["/plan", "/plan/state", "/plan/what-if"])
def test_who_has_no_token_sees_no_plan(visit: Callable, path: str) -> None:
    async def story(site: Site) -> None:
        assert (await site.client.get(path)).status_code == (303 if path == "/plan" else 401)

    visit(story, token="open sesame")
