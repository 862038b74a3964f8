"""The fleet page: each device, how it is, and what an operator may say becomes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.cloud.security.tokens import add_token
from infilink.protos import edge_pb2

from ..messages import an_input
from .conftest import Site
from .test_app import start_of

SAID = {
    "frames": 90,
    "temperature_c": 91.0,
    "disk_free_bytes": 3 * 2**20,
    "memory_free_share": 0.02,
    "lost_share": 0.25,
    "round_trip_s": 0.125,
    "throttled": "voltage too low",
    "level": "slower",
    "level_reason": "91 °C",
    "spooled": 7,
    "spooled_bytes": 7000,
    "spool_oldest_s": 60.0,
    "spool_state": "full",
    "gate_name": "door.onnx",
    "gate_digest": "0123abcd",
}


def report(**fields: object) -> edge_pb2.DeviceMessage:
    return edge_pb2.DeviceMessage(report=edge_pb2.Report(**fields))


async def devices(site: Site) -> dict[str, dict]:
    found = (await site.client.get("/fleet/state")).json()["devices"]
    return {each["name"]: each for each in found}


def test_a_site_without_devices_says_how_one_connects(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/fleet")
        assert page.status_code == 200 and start_of(page)["devices"] == []
        assert "infilink device --coordinator HOST:PORT" in page.text

    visit(story)


def test_a_device_has_what_its_streams_say_of_it_and_its_faults_in_words(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(report(**SAID), an_input(0), device="gate", stream="north")
        await site.send(report(frames=5), device="gate", stream="south")
        gate = (await devices(site))["gate"]
        assert [each["stream"] for each in gate["streams"]] == ["north", "south"]
        assert gate["heard_us"] > 0 and gate["connected_us"] == 0 and gate["state"] == ""
        north = gate["streams"][0]
        assert north["spool"] == [7, 7000, 60.0, "full"] and north["level"] == "slower"
        assert (north["gate"], north["gate_digest"], north["round_trip_s"]) == ("door.onnx", "0123abcd", 0.125)
        assert gate["faults"][:2] == ["not connected", "north: its spool is full"]
        await site.send(report(**SAID), device="hot")
        told = "; ".join((await devices(site))["hot"]["faults"])
        for text in ("hot: 91 °C", "3 MiB of disk", "2% of its memory", "loses 25%", "voltage too low"):
            assert text in told

    visit(story)


def test_what_is_changed_is_asked_for_first_and_stands_there_with_who_did_it(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "ann", scopes=("operator",), devices=(), days=None)

    async def story(site: Site) -> None:
        site.client.headers["authorization"] = f"Bearer {token}"
        for action, state in (("pause", "paused"), ("resume", ""), ("drain", "drained"), ("revoke", "revoked")):
            asked = await site.client.get(f"/fleet/{action}/door")
            assert f'action="/fleet/{action}/door"' in asked.text and "door?" in asked.text
            before = (await devices(site)).get("door", {"state": ""})["state"]
            done = await site.client.post(f"/fleet/{action}/door")
            assert done.status_code == 303 and done.headers["location"] == "/fleet"
            door = (await devices(site))["door"]
            assert (door["state"], door["by"]) == (state, "ann") and before != state
        assert (await site.client.post("/fleet/resume/door")).status_code == 400
        assert (await site.client.post("/fleet/explode/door")).status_code == 404
        named = await site.client.get("/fleet/drain/%3Cscript%3Ealert(1)")
        assert "<script>alert" not in named.text

    visit(story, tokens=tokens)


def test_a_reader_sees_and_changes_nothing(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "bob", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        assert (await site.client.get("/fleet")).status_code == 303
        assert (await site.client.get("/fleet/state")).status_code == 401
        site.client.headers["authorization"] = f"Bearer {token}"
        assert start_of(await site.client.get("/fleet"))["operator"] is False
        refused = await site.client.post("/fleet/drain/door")
        assert refused.status_code == 303 and refused.headers["location"].startswith("/login")
        assert await devices(site) == {}

    visit(story, tokens=tokens)


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://elsewhere.example"}, {"host": "elsewhere.example", "origin": "http://elsewhere.example"}],
)
def test_another_sites_page_changes_nothing_also_under_a_name_that_leads_here(visit: Callable, headers: dict) -> None:
    async def story(site: Site) -> None:
        assert (await site.client.post("/fleet/drain/door", headers=headers)).headers["location"].startswith("/login")
        assert await devices(site) == {}

    visit(story)


def test_a_code_is_made_by_operators_alone_and_its_form_takes_no_more_than_a_name(
    visit: Callable, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    of = {scope: add_token(tokens, scope, scopes=(scope,), devices=(), days=None) for scope in ("reader", "operator")}

    async def story(site: Site) -> None:
        asked = {"data": {"name": "door"}, "headers": {"authorization": f"Bearer {of['reader']}"}}
        assert (await site.client.post("/fleet/enroll", **asked)).headers["location"].startswith("/login")
        asked["headers"] = {"authorization": f"Bearer {of['operator']}"}
        page = await site.client.post("/fleet/enroll", **asked)
        assert page.status_code == 200 and "--code " in page.text and page.headers["cache-control"] == "no-store"
        for name in ("<b>", "", "x" * 10_000):
            wrong = await site.client.post("/fleet/enroll", data={"name": name}, headers=asked["headers"])
            assert wrong.status_code == 400 and "<b>" not in wrong.text and "--code" not in wrong.text

    visit(story, tokens=tokens)
