"""What the phone page keeps is answered, each input once, also where the line breaks or the page is loaded anew."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from infilink.models.spec import digest
from infilink.protos import edge_pb2

from ....link import Link
from .conftest import View
from .test_phone_page import filters, start

ANSWERED = """
(least) => {
  const found = document.getElementById("waiting").textContent.match(/^(\\d+) answered/);
  return found && Number(found[1]) >= least;
}
"""
WAITING = """
(least) => Number(document.getElementById("waiting").textContent.match(/(\\d+) pictures? waits?/)?.[1] ?? 0) >= least
"""
DRAINED = """() => !/waits? \\(/.test(document.getElementById("waiting").textContent)"""
KEPT = """() => Number(document.getElementById("figures").textContent.match(/frames kept(\\d+) of/)[1])"""
NEXT = """
async () => {
  const { Queue } = await import("/static/phone/queue.js");
  return (await Queue.open()).about.next;
}
"""

CACHED = """
async () => {
  const { filters: { repeats } } = await (await fetch("/phone/filters")).json();
  const settings = { cache: "only-if-cached", mode: "same-origin" };
  return (await fetch(`/phone/filter/repeats?digest=${repeats.digest}`, settings)).ok;
}
"""
"""Whether the browser has a filter's file without asking for it."""

__all__ = ["filters"]


def answered(view: View) -> list[tuple[str, int]]:
    """The inputs that the ledger has answers of: session and sequence, in order."""
    with sqlite3.connect(view.site.coordinator.config.ledger) as ledger:
        return sorted(ledger.execute("SELECT session, sequence FROM answers"))


async def stop(view: View) -> int:
    """Stops the camera, and waits until all is answered; how many inputs were ever kept of the session."""
    await view.page.click("#go")
    await view.says("#note", "The camera is off.")
    await view.page.wait_for_function(DRAINED)
    return await view.page.evaluate(NEXT)


def test_what_is_kept_is_answered_and_shown(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        await start(view)
        await view.page.wait_for_function(ANSWERED, arg=3)
        await view.says("#link", "phone-1: connected")
        await view.says("#said", "bright")
        kept = await stop(view)
        assert [sequence for _, sequence in answered(view)] == list(range(kept))
        session = view.site.dashboard.board.sessions()["phone-1"]
        assert session.inputs == kept
        # As an agent has it of its gate.
        assert (session.report.gate_name, session.report.gate_digest) == (
            "repeats.onnx",
            digest(filters / "repeats.onnx"),
        )
        await view.page.goto("/stream/phone-1")
        await view.says(".tile .said", "bright")

    look(story, phone_filters=filters)


def test_what_is_kept_while_the_line_is_broken_is_answered_when_it_is_back(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        view.allow("asked for http")  # By way of the line.
        view.allow("net::ERR_")
        view.allow("WebSocket connection to")
        with closing(Link(view.site.client.base_url.netloc.decode(), buffer_bytes=2**20)) as link:
            await start(view, at=f"http://{link.address}")
            await view.page.wait_for_function(ANSWERED, arg=1)
            await asyncio.to_thread(link.refuse)
            await view.says("#link", "not connected")
            await view.page.wait_for_function(WAITING, arg=3)
            await asyncio.to_thread(link.heal)
            await view.says("#link", "phone-1: connected")
            kept = await stop(view)
        found = answered(view)
        assert [sequence for _, sequence in found] == list(range(kept)) and len({session for session, _ in found}) == 1

    look(story, phone_filters=filters)


def test_what_waits_goes_on_with_its_session_after_a_reload(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        # Nobody answers, as no connection can be made.
        await view.page.route_web_socket("**/phone/edge", lambda socket: socket.close())
        await start(view)
        await view.page.wait_for_function(WAITING, arg=3)
        await view.page.unroute_all()
        again = await view.page.context.new_page()
        await view.page.close()
        await again.goto("/phone")
        await again.wait_for_function(ANSWERED, arg=3)
        await again.wait_for_function(DRAINED)
        assert "of them late" in await again.inner_text("#waiting")
        assert "late: of" in await again.inner_text("#said")
        assert await again.input_value("#name") == "phone-1"
        kept = await again.evaluate(NEXT)
        found = answered(view)
        assert [sequence for _, sequence in found] == list(range(kept)) and len({session for session, _ in found}) == 1

    look(story, phone_filters=filters)


LEARNT = """
async () => {
  // The page's own: its files are named by their version.
  const { src } = document.querySelector("script[src$='/phone/page.js']");
  const { HeldFeed } = await import(new URL("held_feed.js", src));
  const learn = HeldFeed.prototype.learn;
  HeldFeed.prototype.learn = function noted(outputs) {
    learn.call(this, outputs);
    window.learnt = { outputs, answer: [...this.answer] };
  };
}
"""


def test_a_filter_that_holds_answers_is_told_what_the_models_said(look: Callable, stem_filters: Path) -> None:
    async def of_our_model(route: Any) -> None:
        found = await (await route.fetch()).json()
        held = {"bright": {"columns": [0, 0, 0], "kind": "scalar", "classes": 0}}
        filters = {"held": found["filters"]["held"] | {"compared": held, "longest_s": 1.0}}
        await route.fulfill(json=found | {"filters": filters})

    async def story(view: View) -> None:
        await view.page.route("**/phone/filters", of_our_model)
        await view.page.goto("/phone")
        await view.says("#filter", "layers of drawn, MIT")
        await view.page.evaluate(LEARNT)
        await view.page.fill("#name", "phone-1")
        await view.page.click("#go:enabled")
        await view.page.wait_for_function("() => window.learnt")
        learnt = await view.page.evaluate("window.learnt")
        assert set(learnt["outputs"]) == {"bright", "corner"}
        assert learnt["answer"] == 3 * learnt["outputs"]["bright"] != [0, 0, 0]
        await stop(view)

    look(story, phone_filters=stem_filters)


def test_models_that_need_not_see_a_picture_do_not(look: Callable, filters: Path) -> None:
    # No picture is without need of one, and none needs the other.
    tasks = [{"model": "bright", "threshold": -9.0}, {"model": "corner", "threshold": 9.0}]
    asked: list[list[str]] = []

    async def of_our_models(route: Any) -> None:
        found = await (await route.fetch()).json()
        await route.fulfill(json=found | {"filters": {"tasks": found["filters"]["tasks"] | {"tasks": tasks}}})

    def note(payload: str | bytes) -> None:
        message = edge_pb2.DeviceMessage.FromString(payload if isinstance(payload, bytes) else payload.encode())
        if message.HasField("input"):
            asked.append([*message.input.models])

    async def story(view: View) -> None:
        view.page.on("websocket", lambda socket: socket.on("framesent", note))
        await view.page.route("**/phone/filters", of_our_models)
        await start(view)
        await view.page.wait_for_function(ANSWERED, arg=2)
        await stop(view)
        assert asked and all(models == ["bright"] for models in asked)

    look(story, phone_filters=filters)


def test_a_second_start_is_a_session_of_its_own_and_shows_its_answers(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        await start(view)
        await view.page.wait_for_function(ANSWERED, arg=3)
        await stop(view)
        await view.page.evaluate("document.getElementById('said').replaceChildren()")
        await view.page.click("#go:enabled")
        await view.says("#said", "bright")
        await stop(view)
        assert len({session for session, _ in answered(view)}) == 2
        assert await view.page.evaluate(CACHED)

    look(story, phone_filters=filters)


def test_a_second_page_of_the_same_browser_is_told_that_there_is_one(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        await start(view)
        other = await view.page.context.new_page()
        await other.goto("/phone")
        await other.locator("#trouble").filter(has_text="another tab").wait_for()
        assert await other.is_disabled("#go")

    look(story, phone_filters=filters)


def test_a_refused_name_is_said_in_words(look: Callable, filters: Path) -> None:
    async def story(view: View) -> None:
        await view.page.goto("/phone")
        # The page asks for names that fit; this one is changed behind its back.
        await view.page.eval_on_selector("#name", "(node) => { node.removeAttribute('pattern'); }")
        await view.page.fill("#name", "<script>")
        await view.page.click("#go:enabled")
        await view.says("#link", "`device`: 1 to 100 letters")

    look(story, phone_filters=filters)


@pytest.mark.parametrize("theme", [True, False])
def test_it_fits_small_windows(look: Callable, filters: Path, theme: bool) -> None:
    async def story(view: View) -> None:
        await start(view)
        await view.page.wait_for_function(ANSWERED, arg=1)
        assert await view.is_as_wide_as_its_window()
        await stop(view)

    look(story, dark=theme, width=360, phone_filters=filters)
