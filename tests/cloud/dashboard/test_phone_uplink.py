"""A device over a WebSocket is served as one over gRPC is, and ends with words where that is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from infilink.cloud.dashboard.access import COOKIE
from infilink.cloud.security.tokens import add_token
from infilink.protos import edge_pb2

from ..messages import an_input, hello, values
from .conftest import Site
from .websocket import Socket, opened

PATH = "/phone/edge"


def address(site: Site) -> str:
    return site.client.base_url.netloc.decode()


def greeting(**fields: Any) -> edge_pb2.DeviceMessage:
    return edge_pb2.DeviceMessage(hello=hello(**fields))


def test_inputs_are_answered_in_order_and_a_repeat_from_the_ledger(visit: Callable) -> None:
    async def story(site: Site) -> None:
        async def answers() -> list[edge_pb2.CoordinatorMessage]:
            async with opened(address(site), PATH) as socket:
                await socket.send(greeting(device="phone"))
                assert (await socket.hear()).welcome.max_in_flight == 16
                for i in range(3):
                    await socket.send(an_input(i, 50 * (i + 1)))
                return [await socket.hear() for _ in range(3)]

        first = await answers()
        assert [round(values(each)["bright"]) for each in first] == [50, 100, 150]
        assert await answers() == first
        assert [*site.dashboard.board.sessions()] == ["phone"]

    visit(story)


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (an_input(0), 4400, "begins with Hello"),
        (greeting(device="<script>"), 4400, "`device`"),
        (greeting(device="phone", models=["?"]), 4404, "no model is called"),
        (b"\xff\xff", 4400, ""),
        ("hello", 4400, "binary"),
    ],
)
def test_what_is_wrong_ends_a_stream_with_a_code_and_words(
    visit: Callable, message: edge_pb2.DeviceMessage | bytes | str, code: int, words: str
) -> None:
    async def story(site: Site) -> None:
        async with opened(address(site), PATH) as socket:
            await socket.send(message)
            notice = await socket.hear()
            assert words in notice.notice.text
            found, reason = await socket.ended()
            assert found == code and notice.notice.text.startswith(reason) and reason

    visit(story)


def test_a_message_that_is_too_large_is_refused_before_it_is_whole(visit: Callable) -> None:
    async def story(site: Site) -> None:
        async with opened(address(site), PATH) as socket:
            await socket.send(greeting(device="phone"))
            assert (await socket.hear()).HasField("welcome")
            await socket.send(bytes(2 * 2**20))
            code, reason = await socket.ended()
            assert code == 1009 and "exceeds" in reason
        # The next is served as if nothing had been.
        async with opened(address(site), PATH) as socket:
            await socket.send(greeting(device="phone", session="2"))
            assert (await socket.hear()).HasField("welcome")

    visit(story, max_input_bytes=2**17)


def test_a_page_of_another_site_opens_none(visit: Callable) -> None:
    async def story(site: Site) -> None:
        async with opened(address(site), PATH, headers={"origin": "https://elsewhere.example"}) as status:
            assert status == 403
        async with opened(address(site), PATH, headers={"origin": f"http://{address(site)}"}) as socket:
            assert isinstance(socket, Socket)

    visit(story)


def test_a_token_is_asked_for_and_says_as_which_device(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    reader = add_token(tokens, "ann", scopes=("reader",), devices=(), days=None)
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)

    async def story(site: Site) -> None:
        async def end(token: str, device: str) -> tuple[int, str]:
            headers = {"cookie": f"{COOKIE}={token}"} if token else {}
            async with opened(address(site), PATH, headers=headers) as socket:
                await socket.send(greeting(device=device))
                heard = await socket.hear()
                return (0, "") if heard.HasField("welcome") else await socket.ended()

        assert (await end("", "door"))[0] == 4401
        assert (await end(reader, "door"))[0] == 4403
        code, reason = await end(door, "yard")
        assert code == 4403 and "door" in reason
        assert await end(door, "door") == (0, "")

    visit(story, tokens=tokens)
