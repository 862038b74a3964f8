"""What an operator says becomes of a device, and what the device hears of it."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.tables import JOURNAL
from infilink.cloud.security.caller import ANYONE, Caller
from infilink.cloud.security.tokens import add_token
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2, fleet_pb2
from sqlalchemy import select

from ..messages import an_input
from .conftest import Site, bearer

ANN = Caller("ann", frozenset({"operator"}))
REPORT = edge_pb2.DeviceMessage(report=edge_pb2.Report(frames=1))


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()


def test_a_paused_device_is_told_to_hold_with_its_next_word_and_what_is_on_its_way_is_answered(run: Callable) -> None:
    async def story(site: Site) -> None:
        line = await site.connect()
        await site.coordinator.fleet.change("door", "pause", ANN)
        await line.say(REPORT)
        assert (await line.hear()).pause.retry_after_s > 2.0
        await line.say(an_input(0))
        assert (await line.hear()).result.sequence == 0
        await line.leave()
        again = await site.connect()
        assert (await again.hear()).HasField("pause"), "it is told at once when it comes again"
        await again.leave()
        await site.coordinator.fleet.change("door", "resume", ANN)
        resumed = await site.connect()
        await resumed.say(an_input(1))
        assert (await resumed.hear()).result.sequence == 1, "nothing is held any more"
        await resumed.leave()

    run(story)


def test_a_drained_device_gets_its_answers_and_stays_away_until_it_is_resumed(run: Callable) -> None:
    async def story(site: Site) -> None:
        line = await site.connect()
        await line.say(an_input(0))
        assert (await line.hear()).result.sequence == 0
        await site.coordinator.fleet.change("door", "drain", ANN)
        code, text = await line.ended()
        assert code == grpc.StatusCode.UNAVAILABLE and "drained by ann" in text
        assert dict(await line.call.trailing_metadata())["retry-after-ms"] == "60000"
        again = await site.connect()
        assert (await again.ended())[1] == text
        other = await site.connect("yard")
        assert other.welcome.HasField("welcome"), "others stay"
        await other.leave()
        await site.coordinator.fleet.change("door", "resume", ANN)
        back = await site.connect()
        assert back.welcome.HasField("welcome")
        await back.leave()

    run(story)


def test_a_revoked_device_is_ended_at_once_with_the_reason_and_only_enrollment_brings_it_back(
    run: Callable, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)

    async def story(site: Site) -> None:
        line = await site.connect(token=token)
        await site.coordinator.fleet.change("door", "revoke", ANN)
        code, text = await line.ended()
        assert code == grpc.StatusCode.PERMISSION_DENIED and "revoked by ann" in text
        assert (await (await site.connect(token=token)).ended())[0] == grpc.StatusCode.UNAUTHENTICATED
        for action in ("resume", "pause", "drain"):
            with pytest.raises(InvalidInput, match="infilink enroll door"):
                await site.coordinator.fleet.change("door", action, ANN)

    run(story, tokens=tokens)


def test_where_nobody_can_enroll_an_operator_brings_back_what_was_revoked(run: Callable) -> None:
    async def story(site: Site) -> None:
        await site.coordinator.fleet.change("door", "revoke", ANN)
        code, text = await (await site.connect()).ended()
        assert code == grpc.StatusCode.PERMISSION_DENIED and "an operator may resume it" in text
        await site.coordinator.fleet.change("door", "resume", ANN)
        back = await site.connect()
        assert back.welcome.HasField("welcome")
        await back.leave()

    run(story)


def test_a_stream_that_nobody_ended_is_looked_at_with_each_report(run: Callable) -> None:
    async def story(site: Site) -> None:
        line, fleet = await site.connect(), site.coordinator.fleet
        entry = await fleet.change("yard", "revoke", ANN)
        fleet.entries.save(type(entry)("door", "revoked", "ann"))
        await line.say(REPORT)
        assert (await line.ended())[0] == grpc.StatusCode.PERMISSION_DENIED

    run(story)


def test_what_was_said_outlives_the_coordinator_and_the_journal_says_by_whom(run: Callable, tmp_path: Path) -> None:
    async def say(site: Site) -> None:
        for device, action in (("door", "drain"), ("yard", "pause"), ("gate", "revoke")):
            await site.coordinator.fleet.change(device, action, ANN)

    async def look(site: Site) -> None:
        states = {name: entry.state for name, entry in site.coordinator.fleet.entries.all.items()}
        assert states == {"door": "drained", "yard": "paused", "gate": "revoked"}
        assert "drained by ann" in (await (await site.connect()).ended())[1]
        line = await site.connect("yard")
        assert (await line.hear()).HasField("pause")
        await line.leave()

    run(say)
    run(look)
    database = Database(tmp_path / "ledger.sqlite", create=False)
    with database.read() as connection:
        told = connection.execute(select(JOURNAL.c.text).where(JOURNAL.c.kind == "fleet")).scalars().all()
    database.close()
    assert len(told) == 3 and all("(by ann)" in text for text in told)


@pytest.mark.parametrize("name", ["", "<script>", "../door", "a" * 101])
def test_what_can_be_no_device_is_refused(run: Callable, name: str) -> None:
    async def story(site: Site) -> None:
        with pytest.raises(InvalidInput, match="`device`"):
            await site.coordinator.fleet.change(name, "pause", ANYONE)

    run(story)


def test_readers_see_devices_and_only_operators_change_them(run: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    of = {
        scope: add_token(tokens, scope, scopes=(scope,), devices=("door",) if scope == "device" else (), days=None)
        for scope in ("device", "reader", "operator")
    }
    drain = fleet_pb2.ChangeDevice(name="door", action=fleet_pb2.FLEET_ACTION_DRAIN)

    async def story(site: Site) -> None:
        line = await site.connect(token=of["device"])
        for scope in ("device", "reader"):
            code, _ = await refused(site.fleet.Change(drain, metadata=bearer(of[scope])))
            assert code == grpc.StatusCode.PERMISSION_DENIED
        (device,) = (await site.fleet.List(fleet_pb2.ListFleet(), metadata=bearer(of["reader"]))).devices
        assert device.connected and device.heard_us >= device.connected_us > 0 and list(device.streams) == ["door"]
        done = await site.fleet.Change(drain, metadata=bearer(of["operator"]))
        assert (done.state, done.by) == ("drained", "operator")
        assert "drained by operator" in (await line.ended())[1]
        nothing = fleet_pb2.ChangeDevice(name="door")
        assert (await refused(site.fleet.Change(nothing, metadata=bearer(of["operator"]))))[1].startswith("`action`")

    run(story, tokens=tokens)


def test_a_token_from_before_a_device_was_revoked_proves_nothing_any_more(run: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    old = add_token(tokens, "yards", scopes=("device",), devices=("*",), days=None)

    async def story(site: Site) -> None:
        fleet = site.coordinator.fleet
        revoked = await fleet.change("door", "revoke", ANN)
        # It enrolled again: what it got then is newer.
        fleet.entries.save(type(revoked)("door", revoked_s=revoked.revoked_s, enrolled="token"))
        code, text = await (await site.connect(token=old)).ended()
        assert code == grpc.StatusCode.PERMISSION_DENIED and "from before door was revoked" in text
        other = await site.connect("yard", token=old)
        assert other.welcome.HasField("welcome")
        await other.leave()

    run(story, tokens=tokens)
