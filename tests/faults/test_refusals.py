"""Fault kinds S and T: what a coordinator refuses is told with its reason, to the device and to who runs it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.security.guard import Guard
from infilink.cloud.security.tokens import add_token
from infilink.cloud.services.edge import EdgeService
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.errors import Unavailable
from infilink.protos import edge_pb2, edge_pb2_grpc

from ..cloud.conftest import run_async, serve  # noqa: F401

TIMEOUT_S = 300.0


WRONG = "the token is missing or wrong (`token`)"
# What is told of a token with such an entry in the coordinator's file.
TOLD = {
    "reads": ({"scopes": ("reader",), "devices": ()}, "reads has the scope 'reader', and this needs 'device'"),
    "other": (
        {"scopes": ("device",), "devices": ("door", "gate-*")},
        "other may send as door, gate-*, not as 'yard' (`name`)",
    ),
    "over": ({"scopes": ("device",), "devices": ("yard",), "days": -1.0}, "over: is over since 20"),
}


def refusal(address: str, token: str) -> str:
    """What an agent is told by a coordinator that refuses it."""
    config = DeviceConfig(name="yard", source="0", coordinator=address, token=token, connect_timeout_s=TIMEOUT_S)
    uplink = Uplink(config, session="s", on_answer=lambda answer: None, report=edge_pb2.Report)
    try:
        with pytest.raises(Unavailable) as raised:
            uplink.start()
    finally:
        uplink.close()
    return str(raised.value).removeprefix(f"{address}: ")


def test_what_is_wrong_with_a_token_is_told_on_both_sides(
    serve: Callable,  # noqa: F811
    make_model: Callable,
    tmp_path: Path,
    caplog,
    monkeypatch,
) -> None:
    # Each address is told of once in a while; here all come from one.
    monkeypatch.setattr("infilink.cloud.security.guard._TELLS_EVERY_S", 0.0)
    tokens = tmp_path / "tokens.toml"
    given = {name: add_token(tokens, name, **{"days": None, **entry}) for name, (entry, _) in TOLD.items()}

    async def story(running: Coordinator) -> None:
        server = grpc.aio.server(interceptors=[Guard.of(running.config)])
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(running), server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            assert await asyncio.to_thread(refusal, address, "") == WRONG
            assert await asyncio.to_thread(refusal, address, "wrong") == WRONG
            for name, (_, told) in TOLD.items():
                text = await asyncio.to_thread(refusal, address, given[name])
                assert text.startswith(told)
                assert any(text in line and "refused" in line for line in caplog.messages), caplog.messages
        finally:
            await server.stop(None)

    serve(story, models=make_model(tmp_path / "models", "bright").parent, tokens=tokens)
    assert not any(token in caplog.text for token in given.values())
