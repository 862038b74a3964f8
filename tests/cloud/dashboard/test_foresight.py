"""What is known of a filter before it is rolled out: tried on what a stream has sent, told wherever it is asked for."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from infilink.cloud.services.fleet import FleetService
from infilink.filters.modalities.image import Image
from infilink.models.spec import digest
from infilink.protos import edge_pb2, fleet_pb2, fleet_pb2_grpc

from ...certificates import certificate
from ...filters.made import write_mean
from ..fleet.test_filters import said
from ..messages import an_input
from .conftest import Site


def a_mean(home: Path, threshold: float, **changes: object) -> Path:
    """A filter that keeps what is brighter than that; needed is what is brighter than 120."""
    folder = home / "recordings"
    folder.mkdir(exist_ok=True)
    models = {"bright": digest(home / "models" / "bright.onnx")}
    given = {"rule": "value <= 120", "models": models, "threshold": threshold, "certificate": certificate()}
    return write_mean(folder / f"over-{threshold:.0f}.onnx", Image(), **(given | changes))


def came(inputs: int = 2400) -> list[edge_pb2.DeviceMessage]:
    """What a gate sends that keeps one input of ten, each bright; of the others the audit draws one of twenty.

    Of these every third is as bright as is needed: the gate at work loses them.
    """
    messages = []
    for i in range(inputs):
        if i % 10 == 0:
            messages.append(an_input(i, level=220))
        elif i % 20 == 5:
            messages.append(an_input(i, level=150 if i // 20 % 3 == 0 else 50, audit=True))
    return messages


@asynccontextmanager
async def fleet_of(site: Site) -> AsyncIterator[fleet_pb2_grpc.FleetStub]:
    """What an operator's terminal calls."""
    server = grpc.aio.server()
    fleet_pb2_grpc.add_FleetServicer_to_server(FleetService(site.coordinator), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield fleet_pb2_grpc.FleetStub(channel)
    finally:
        await server.stop(None)


async def foreseen(site: Site, stream: str = "door", **query: str) -> dict:
    return (await site.client.get("/fleet/foreseen", params={"stream": stream, **query})).json()


def test_a_filter_is_tried_on_what_came_through_and_asks_where_it_would_break_its_promise(
    visit: Callable, tmp_path: Path
) -> None:
    good, bad = (a_mean(tmp_path, each).name for each in (100.0, 180.0))

    async def story(site: Site) -> None:
        await site.send(said(), *came(), device="door")
        site.dashboard.sent.sent.flush()
        found = await foreseen(site, file=good)
        assert re.match(
            r"tried on 3\d\d inputs that came through, 1\d\d of them drawn by the audit, which stand for 2,",
            found["text"],
        )
        assert "agreed on 100.0 %" in found["text"] and not found["breaks"]
        assert "neither proves nor disproves" in found["text"]
        broken = await foreseen(site, file=bad)
        assert broken["breaks"] and "It promises 90.0 %: it would" in broken["text"]
        form = {"file": bad, "stream": "door"}
        asked = await site.client.post("/fleet/filter", data=form)
        assert (
            asked.status_code == 409 and "it would" in asked.text and 'name="anyway" value="yes" required' in asked.text
        )
        assert "door" not in site.coordinator.filters.store.wishes
        assert (await site.client.post("/fleet/filter", data={**form, "anyway": "yes"})).status_code == 303
        assert site.coordinator.filters.store.wishes["door"].digest
        assert (await site.client.post("/fleet/filter", data={"file": good, "stream": "door"})).status_code == 303

    visit(story, recordings=tmp_path / "recordings")


def test_few_blocks_show_nothing(visit: Callable, tmp_path: Path) -> None:
    name = a_mean(tmp_path, 180.0).name

    async def story(site: Site) -> None:
        await site.send(said(), *came(420), device="door")
        site.dashboard.sent.sent.flush()
        found = await foreseen(site, file=name)
        assert "by 2 blocks" in found["text"] and "neither proves nor disproves" in found["text"]
        assert not found["breaks"]

    visit(story, recordings=tmp_path / "recordings")


def test_a_terminal_is_told_and_says_anyway(visit: Callable, tmp_path: Path) -> None:
    contents = [a_mean(tmp_path, each).read_bytes() for each in (100.0, 180.0)]

    async def story(site: Site) -> None:
        await site.send(said(), *came(), device="door")
        site.dashboard.sent.sent.flush()
        good, bad = [(await site.coordinator.filters.put("new.onnx", content)).digest for content in contents]
        async with fleet_of(site) as fleet:
            wanted = fleet_pb2.SetFilterRequest(streams=["door"], digest=bad)
            with pytest.raises(grpc.aio.AioRpcError, match=r"would have broken that.*say --anyway"):
                await fleet.SetFilter(wanted)
            assert "door" not in site.coordinator.filters.store.wishes
            wanted.anyway = True
            for request in (wanted, fleet_pb2.SetFilterRequest(streams=["door"], digest=good)):
                (changed,) = (await fleet.SetFilter(request)).filters
                assert (changed.wanted_digest, "it would have agreed on" in changed.foreseen) == (request.digest, True)
            with pytest.raises(grpc.aio.AioRpcError, match="no stream 'yard'"):
                await fleet.SetFilter(fleet_pb2.SetFilterRequest(streams=["yard"], digest=good))

    visit(story)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rule": "call(mine.py:needed)", "rule_files": {"mine.py": "0" * 64}}, "its rule is Python code"),
        ({"longest_s": 5.0}, "only the live audit can tell"),
    ],
)
def test_what_can_not_be_foreseen_is_said(visit: Callable, tmp_path: Path, changes: dict, why: str) -> None:
    name = a_mean(tmp_path, 180.0, **changes).name

    async def story(site: Site) -> None:
        await site.send(said(), device="hall")
        nothing = await foreseen(site, "hall", file=name)
        assert not nothing["breaks"]
        await site.send(said(), *came(400), device="door")
        site.dashboard.sent.sent.flush()
        found = await foreseen(site, file=name)
        assert why in found["text"] and not found["breaks"]
        # It is rolled out all the same: nothing speaks against it.
        assert (await site.client.post("/fleet/filter", data={"file": name, "stream": "door"})).status_code == 303
        assert (await site.client.get("/fleet/foreseen", params={"stream": "nobody", "file": name})).status_code == 400

    visit(story, recordings=tmp_path / "recordings")


def test_nothing_is_kept_of_a_stream(visit: Callable, tmp_path: Path) -> None:
    name = a_mean(tmp_path, 100.0).name

    async def story(site: Site) -> None:
        await site.send(said(), an_input(0), device="door")
        assert "nothing of what was sent is kept here" in (await foreseen(site, file=name))["text"]

    visit(story, recordings=tmp_path / "recordings", pictures={"keep_bytes": 0})


def test_whatever_goes_wrong_keeps_nobody_from_a_filter(visit: Callable, tmp_path: Path) -> None:
    name = a_mean(tmp_path, 100.0).name

    async def story(site: Site) -> None:
        await site.send(said(), *came(300), device="door")
        site.dashboard.sent.sent.flush()
        site.coordinator.filters.foresight.pictures = object()
        assert "could not be tried on what is kept" in (await foreseen(site, file=name))["text"]
        assert (await site.client.post("/fleet/filter", data={"file": name, "stream": "door"})).status_code == 303

    visit(story, recordings=tmp_path / "recordings")
