"""What the page of a stream asks for, over a real server."""

from collections.abc import Callable

import pytest
from infilink.codec import decode_jpeg

from ..messages import an_input
from .conftest import Site
from .test_app import WIDE

EVER = {"since_us": "0", "until_us": str(7 * 86_400 * 10**6)}


async def stretch(site: Site, stream: str) -> dict:
    """The hour of a stream's last answer."""
    until_us = site.dashboard.board.shown.answer(stream).at_us + 10**6
    query = {"since_us": str(until_us - 3600 * 10**6), "until_us": str(until_us)}
    return (await site.client.get(f"/timeline/{stream}", params=query)).json()


def test_what_was_sent_is_told_with_its_picture(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0, payload=WIDE), an_input(3, payload=WIDE, audit=True), device="yard", stream="door")
        site.dashboard.sent.sent.flush()
        found = await stretch(site, "yard/door")
        assert [sum(column) for column in list(zip(*found["bins"], strict=True))[1:4]] == [2, 2, 1]
        (event,) = found["events"]
        assert (event["what"], event["end_us"], event["origin"]) == ("spot", None, "executed")
        told = {"session": "1", "sequence": "3"}
        look = (await site.client.get("/input/yard/door", params=told)).json()
        assert look["sent"]["audited"] and look["size"] == [640, 360] and look["before"]["sequence"] == 0
        picture = await site.client.get("/sent/yard/door", params={"number": look["picture"], "width": "320"})
        assert decode_jpeg(picture.content).shape == (180, 320, 3)

    visit(story)


def test_a_stream_that_is_known_from_the_ledger_alone_has_a_page(visit: Callable) -> None:
    async def before(site: Site) -> None:
        await site.send(an_input(0), device="yard")

    async def after(site: Site) -> None:
        assert (await site.client.get("/stream/yard")).status_code == 200
        assert (await site.client.get("/stream/door")).status_code == 404

    visit(before)
    visit(after)


def test_no_picture_is_kept_where_none_shall_be(visit: Callable, tmp_path) -> None:
    async def story(site: Site) -> None:
        await site.send(an_input(0), device="yard")
        assert site.dashboard.sent is None and not (tmp_path / "ledger.sqlite.pictures").exists()
        found = await stretch(site, "yard")
        assert found["pictures"] == [] and len(found["bins"]) == 1
        assert (await site.client.get("/sent/yard", params={"number": "1"})).status_code == 404

    visit(story, pictures={"keep_bytes": 0})


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/timeline/yard", {"since_us": "5", "until_us": "1"}, 400, "`since_us`, `until_us`"),
        ("/timeline/yard", {"since_us": "x", "until_us": "1"}, 400, "`since_us` is a whole number"),
        ("/timeline/yard", {"since_us": "0", "until_us": "1" * 30}, 400, "`until_us` is a whole number"),
        ("/input/yard", {"session": "1", "sequence": "9"}, 404, "not in the ledger"),
        ("/sent/yard", {"number": "9"}, 404, "not kept any more"),
        ("/sent/yard", {"number": "1", "width": "7"}, 400, "320, 640, 1280"),
    ],
)
def test_what_can_not_be_told_is_said(visit: Callable, path: str, query: dict, status: int, said: str) -> None:
    async def story(site: Site) -> None:
        answer = await site.client.get(path, params=query)
        assert answer.status_code == status and said in answer.json()["error"]

    visit(story)


@pytest.mark.parametrize("path", ["/timeline/yard", "/input/yard", "/sent/yard"])
def test_who_has_no_token_is_told_nothing(visit: Callable, path: str) -> None:
    async def story(site: Site) -> None:
        assert (await site.client.get(path, params=EVER)).status_code == 401

    visit(story, token="open sesame")
