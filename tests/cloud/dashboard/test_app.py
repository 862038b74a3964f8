"""The pages over a real server: what they show, who may see them, and what they say of what is wrong."""

import html
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from infilink.cloud.dashboard import board
from infilink.cloud.security.tokens import add_token, remove_token
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.protos import edge_pb2

from ..messages import an_input
from .conftest import Site

WIDE = encode_jpeg(np.full((360, 640, 3), 90, np.uint8), 90)


def start_of(page: httpx.Response) -> dict:
    """What a page begins with."""
    return json.loads(html.unescape(re.search(r'data-start="([^"]*)"', page.text)[1]))


async def told(site: Site, **query: str) -> list[tuple[str, dict]]:
    """The first events that a page is told, up to its tiles."""
    found = []
    async with site.client.stream("GET", "/updates", params=query) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        kind = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((kind, json.loads(line.removeprefix("data: "))))
                if kind == "site":
                    return found
    return found


def test_a_site_without_streams_has_a_page(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/", follow_redirects=True)
        assert page.status_code == 200
        start = start_of(page)
        assert start["streams"] == {"names": [], "found": 0, "all": 0}
        assert start["site"]["connected"] == 0 and start["site"]["models"] == 2

    visit(story)


def test_an_address_that_leads_nowhere_is_told_on_a_page_whoever_asks(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    add_token(tokens, "viewer", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        page = await site.client.get("/%3Cscript%3E")
        assert page.status_code == 404 and "There is no such page" in page.text and "<script>" not in page.text
        assert "default-src" in page.headers["content-security-policy"]

    visit(story)
    visit(story, tokens=tokens)


def test_a_tile_has_what_was_said_how_it_came_to_be_and_the_boxes(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0, 60), device="yard")
        tile = start_of(await site.client.get("/site"))["tiles"]["yard"]
        said = {each["model"]: (each["text"], each["origin"], each["trust"]) for each in tile["said"]}
        assert said["bright"] == ("60", "executed", "exact")
        assert said["corner"][1:] == ("executed", "exact")
        assert tile["picture"] == tile["answered_us"] > 0
        assert all(len(box) == 6 and box[5] == "corner" for box in tile["boxes"])
        assert tile["troubles"] == ["not connected"]

    visit(story)


def test_no_more_is_sent_than_there_was_though_a_report_is_old(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(
            edge_pb2.DeviceMessage(report=edge_pb2.Report(frames=1)), an_input(0), an_input(1), device="yard"
        )
        tile = start_of(await site.client.get("/site"))["tiles"]["yard"]
        assert (tile["inputs"], tile["sent"]) == (2, 2)

    visit(story)


def test_a_name_is_text_whatever_it_is(visit: Callable) -> None:
    async def story(site: Site) -> None:
        # A device can't be called so; who asks for a page can ask for anything.
        for path in ("/stream/<script>alert(1)", "/site?find=<script>alert(1)", "/login?to=<script>alert(1)"):
            page = await site.client.get(path)
            assert "<script>alert" not in page.text and "&lt;script&gt;alert(1)" in page.text
        assert (await site.client.get("/stream/nobody")).status_code == 404

    visit(story)


def test_a_page_is_told_what_changed(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0), device="yard")
        events = await told(site)
        assert [kind for kind, _ in events] == ["streams", "tiles", "site"]
        assert events[0][1] == {"names": ["yard"], "found": 1, "all": 1} and set(events[1][1]) == {"yard"}

    visit(story)


def test_a_picture_is_as_small_as_it_is_shown(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0, payload=WIDE), device="yard", stream="door")
        small = await site.client.get("/picture/yard/door", params={"width": "320"})
        assert small.headers["content-type"] == "image/jpeg"
        assert decode_jpeg(small.content).shape == (180, 320, 3)
        assert (await site.client.get("/picture/yard/door", params={"width": "1280"})).content == WIDE
        assert (await site.client.get("/picture/nobody")).status_code == 404
        wrong = await site.client.get("/picture/yard/door", params={"width": "7"})
        assert wrong.status_code == 400 and "320, 640, 1280" in wrong.json()["error"]

    visit(story)


def test_what_is_no_picture_is_shown_without_one(visit: Callable) -> None:
    async def story(site: Site) -> None:
        (answer,) = await site.send(an_input(0, payload=b"none"), device="yard")
        assert answer.refused.code == edge_pb2.REFUSED_CODE_INVALID
        tile = start_of(await site.client.get("/site"))["tiles"]["yard"]
        assert tile["picture"] == 0 and tile["said"] == []

    visit(story)


@pytest.mark.parametrize("path", ["/site", "/stream/yard", "/updates", "/picture/yard"])
def test_who_has_no_token_sees_nothing(visit: Callable, path: str) -> None:
    async def story(site: Site) -> None:
        refused = await site.client.get(path)
        if path in ("/site", "/stream/yard"):
            assert refused.status_code == 303 and refused.headers["location"].startswith("/login?to=")
        else:
            assert refused.status_code == 401 and "token" in refused.json()["error"]
        allowed = await site.client.get("/site", headers={"authorization": "Bearer open sesame"})
        assert allowed.status_code == 200

    visit(story, token="open sesame")


def test_a_token_is_given_once_and_stays_in_a_cookie(visit: Callable) -> None:
    async def story(site: Site) -> None:
        wrong = await site.client.post("/login", data={"token": "guess", "to": "/site"})
        assert wrong.headers["location"].startswith("/login?wrong=token")
        assert "not known" in (await site.client.get(wrong.headers["location"])).text
        right = await site.client.post("/login", data={"token": "open sesame", "to": "/stream/yard"})
        assert right.headers["location"] == "/stream/yard"
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie
        assert (await site.client.get("/site")).status_code == 200
        await site.client.post("/logout")
        assert (await site.client.get("/site")).status_code == 303

    visit(story, token="open sesame")


def test_what_a_login_sends_is_bounded_also_without_a_length(visit: Callable) -> None:
    async def story(site: Site) -> None:
        async def more_than_a_token() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield bytes(4096)

        assert (await site.client.post("/login", content=more_than_a_token())).status_code == 413

    visit(story, token="open sesame")


@pytest.mark.parametrize(
    "to", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "javascript:x"]
)
def test_a_login_leads_nowhere_else(visit: Callable, to: str) -> None:
    async def story(site: Site) -> None:
        answer = await site.client.post("/login", data={"token": "open sesame", "to": to})
        assert answer.headers["location"] == "/"

    visit(story, token="open sesame")


def test_another_sites_page_can_change_nothing(visit: Callable) -> None:
    async def story(site: Site) -> None:
        elsewhere = {"origin": "https://elsewhere.example"}
        answer = await site.client.post("/login", data={"token": "open sesame"}, headers=elsewhere)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers

    visit(story, token="open sesame")


def test_pages_may_load_nothing_from_elsewhere(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/site")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "http" not in re.sub(r"http-equiv", "", page.text)

    visit(story)


def test_every_file_of_the_pages_is_there(visit: Callable) -> None:
    async def story(site: Site) -> None:
        for path in ("/site", "/login"):
            page = await site.client.get(path)
            for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
                assert (await site.client.get(link)).status_code == 200, link
        folder = Path(__file__).parents[3] / "cloud/dashboard/static"
        total = sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".js", ".css", ".svg"))
        assert total < 300_000

    visit(story)


def test_a_page_number_is_a_number(visit: Callable) -> None:
    async def story(site: Site) -> None:
        answer = await site.client.get("/site", params={"page": "x"})
        assert answer.status_code == 400 and "page" in answer.text

    visit(story)


def test_a_page_hears_no_more_once_its_token_is_gone(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "viewer", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        headers = {"authorization": f"Bearer {token}"}
        async with site.client.stream("GET", "/updates", headers=headers) as response:
            lines = response.aiter_lines()
            assert (await anext(lines)).startswith("event: ")
            remove_token(tokens, "viewer")
            async for _ in lines:  # Until it ends.
                pass
        assert (await site.client.get("/updates", headers=headers)).status_code == 401

    visit(story, tokens=tokens)


def test_the_page_that_is_too_many_is_told_so(visit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "MOST_VIEWERS", 0)

    async def story(site: Site) -> None:
        answer = await site.client.get("/updates")
        assert answer.status_code == 503 and "open already" in answer.json()["error"]

    visit(story)
