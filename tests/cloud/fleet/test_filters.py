"""Filters are rolled out: to one stream, to the others, back; a device fetches what is wanted on its streams alone."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.fleet.filters import StreamFilter
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.tables import JOURNAL
from infilink.cloud.security.caller import ANYONE
from infilink.cloud.security.tokens import add_token
from infilink.models.spec import digest
from infilink.protos import edge_pb2, fleet_pb2
from infilink.protos.filter_file import PIECE_BYTES
from sqlalchemy import select

from ...filters.made import FRAMES as SPEC
from ...filters.made import brightest, write_filter
from .conftest import Line, Site, bearer, each

OWN = {"gate_name": "door.onnx", "gate_digest": "0123456789abcdef", "frames": 90, "audited": 7}


def a_filter(folder: Path, name: str = "new.onnx", **changes: object) -> bytes:
    path = folder / name
    models = {"bright": digest(folder / "models" / "bright.onnx")}
    write_filter(path, brightest(), SPEC, **{"models": models, "rule": "unchanged", **changes})
    return path.read_bytes()


def said(number: int = 0, found: str = "", **fields: object) -> edge_pb2.DeviceMessage:
    """A report of a device that takes filters."""
    state = edge_pb2.FilterState(
        allowed="proven", number=number, digest=found, refused=str(fields.pop("refused", "")), frames=40, kept=4
    )
    gate = {"gate_name": "new.onnx", "gate_digest": found[:16]} if found else {}
    return edge_pb2.DeviceMessage(report=edge_pb2.Report(filter=state, **{**OWN, **gate, **fields}))


async def at(site: Site, stream: str) -> StreamFilter:
    return next(each for each in site.coordinator.filters.all() if each.stream == stream)


async def heard(line: Line) -> edge_pb2.WantedFilter:
    message = await line.hear()
    assert message.HasField("filter"), message
    return message.filter


async def fetch(site: Site, token: str = "", **fields: object) -> bytes:
    call = site.edge.GetFilter(edge_pb2.FilterRequest(**fields), metadata=bearer(token))
    content = b""
    async for piece in call:
        assert len(piece.content) <= PIECE_BYTES
        content += piece.content
    return content


def test_one_stream_then_the_others_and_back(run: Callable, tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        filters = site.coordinator.filters
        content = a_filter(tmp_path)
        file = await filters.put("new.onnx", content)
        assert file.digest == hashlib.sha256(content).hexdigest() and file.size_bytes == len(content)
        lines = {name: await site.connect(name) for name in ("door", "yard", "hall")}
        for line in lines.values():
            await line.say(said())
        await lines["hall"].say(said(gate_digest="f" * 16))
        lines["old"] = await site.connect("old")
        await lines["old"].say(edge_pb2.DeviceMessage(report=edge_pb2.Report(**OWN)))
        for name in lines:
            await until(site, name, lambda found: found.gate_digest != "")
        await until(site, "hall", lambda found: found.gate_digest == "f" * 16)

        await refuses_several(site, file.digest)
        await filters.want(["door"], file.digest, ANYONE)
        await lines["door"].say(said())
        wanted = await heard(lines["door"])
        assert (wanted.digest, wanted.name, wanted.size_bytes) == (file.digest, "new.onnx", len(content))
        assert (await at(site, "door")).state == "on its way"
        assert await fetch(site, device="door", digest=file.digest) == content
        assert await fetch(site, device="door", digest=file.digest, offset_bytes=100) == content[100:]
        with pytest.raises(grpc.aio.AioRpcError, match="not wanted on this stream"):
            await fetch(site, device="yard", digest=file.digest)

        await lines["door"].say(said(wanted.number, file.digest))
        door = await until(site, "door", lambda found: found.state == "at work")
        assert door.before["audited"] == 7 and door.before["gate"] == "door.onnx" and door.figures["kept"] == 4
        # The others where the same was at work.
        assert filters.others(file.digest) == ["yard"]
        await filters.want(["yard", "old"], file.digest, ANYONE)
        await lines["yard"].say(said())
        assert (await heard(lines["yard"])).digest == file.digest
        assert (await at(site, "old")).state == "too old"
        assert "update it by hand" in (await at(site, "old")).told

        (back,) = await filters.back(["door"], ANYONE)
        assert back.wish is not None and back.wish.digest == "" and back.wish.before == file.digest
        await lines["door"].say(said(wanted.number, file.digest))
        assert (await heard(lines["door"])).digest == ""
        (again,) = await filters.back(["door"], ANYONE)
        assert again.wish is not None and again.wish.digest == file.digest
        with pytest.raises(ValueError, match="there is nothing to go back to"):
            await filters.back(["hall"], ANYONE)

    run(story)
    database = Database(tmp_path / "ledger.sqlite", create=False)
    with database.read() as connection:
        told = connection.execute(select(JOURNAL.c.text).where(JOURNAL.c.kind == "fleet")).scalars().all()
    database.close()
    assert len(told) == 5 and all("(by whoever asks)" in text for text in told)
    assert told[0].startswith("the filter new.onnx (") and "device.toml is to decide" in told[3]


async def refuses_several(site: Site, found: str) -> None:
    """Until one runs it, it goes to one alone."""
    filters = site.coordinator.filters
    with pytest.raises(ValueError, match="one stream first"):
        await filters.want(["door", "yard"], found, ANYONE)
    with pytest.raises(ValueError, match="one stream first"):
        filters.others(found)
    with pytest.raises(ValueError, match="there is no stream 'gate'; there are: door, hall, old, yard"):
        await filters.want(["gate"], found, ANYONE)


async def until(site: Site, stream: str, holds: Callable[[StreamFilter], bool]) -> StreamFilter:
    """Waits until a report was taken that makes it so."""
    async with asyncio.timeout(300):
        while not holds(found := await at(site, stream)):
            await asyncio.sleep(0.01)
    return found


def test_what_is_wanted_outlives_the_coordinator(run: Callable, tmp_path: Path) -> None:
    content = a_filter(tmp_path)
    found = hashlib.sha256(content).hexdigest()

    async def before(site: Site) -> None:
        await site.coordinator.filters.put("new.onnx", content)
        line = await site.connect("door")
        await line.say(said())
        await until(site, "door", lambda found: found.gate_digest != "")
        await site.coordinator.filters.want(["door"], found, ANYONE)

    async def after(site: Site) -> None:
        door = await at(site, "door")
        assert door.state == "not connected" and door.file is not None and door.file.name == "new.onnx"
        line = await site.connect("door")
        await line.say(said())
        wanted = await heard(line)
        await line.say(said(wanted.number, refused="no room\non the disk"))
        refused = await until(site, "door", lambda found: found.state == "refused")
        assert refused.told == "no room\non the disk"
        # Wanted again, it is told again.
        await site.coordinator.filters.want(["door"], found, ANYONE)
        await line.say(said(wanted.number))
        assert (await heard(line)).number > wanted.number

    run(before)
    run(after)


def test_what_is_no_filter_for_these_models_is_refused(run: Callable, tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        filters = site.coordinator.filters
        for name, content, why in (
            ("new.onnx", b"no filter", "new.onnx: not an ONNX model"),
            ("new.onnx", b"", "1 to 33554432 are taken"),
            ("../new.onnx", b"x", "`name`: 1 to 120 letters"),
            ("new.onnx", a_filter(tmp_path, models={"other": "d0"}), "learnt from other, which is not served here"),
            ("new.onnx", a_filter(tmp_path, models={"bright": "d0"}), "another version of bright"),
        ):
            with pytest.raises(ValueError, match=why):
                await filters.put(name, content)
        assert not filters.store.files

    run(story)


def test_an_operator_alone_rolls_out_and_a_device_fetches_its_own(run: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    ann = add_token(tokens, "ann", scopes=("operator",), devices=(), days=None)
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)
    content = a_filter(tmp_path)

    async def story(site: Site) -> None:
        def upload(token: str):
            pieces = [fleet_pb2.FilterUpload(name="new.onnx", content=content[:50])]
            pieces += [fleet_pb2.FilterUpload(content=content[50:])]
            return site.fleet.PutFilter(each(*pieces), metadata=bearer(token))

        with pytest.raises(grpc.aio.AioRpcError, match="operator"):
            await upload(door)
        file = await upload(ann)
        line = await site.connect("door", token=door)
        await line.say(said())
        await until(site, "door", lambda found: found.gate_digest != "")
        request = fleet_pb2.SetFilterRequest(streams=["door"], digest=file.digest)
        with pytest.raises(grpc.aio.AioRpcError, match="operator"):
            await site.fleet.SetFilter(request, metadata=bearer(door))
        (changed,) = (await site.fleet.SetFilter(request, metadata=bearer(ann))).filters
        assert (changed.by, changed.wanted_digest, changed.wanted_name) == ("ann", file.digest, "new.onnx")
        assert await fetch(site, door, device="door", digest=file.digest) == content
        with pytest.raises(grpc.aio.AioRpcError, match="yard"):
            await fetch(site, door, device="yard", digest=file.digest)
        with pytest.raises(grpc.aio.AioRpcError, match="either `digest` or `back`"):
            await site.fleet.SetFilter(fleet_pb2.SetFilterRequest(streams=["door"]), metadata=bearer(ann))
        (listed,) = (await site.fleet.List(fleet_pb2.ListFleet(), metadata=bearer(ann))).devices
        assert listed.filters[0].stream == "door" and listed.filters[0].state == "on its way"
        await site.fleet.SetFilter(fleet_pb2.SetFilterRequest(streams=["door"], back=True), metadata=bearer(ann))

    run(story, tokens=tokens)
