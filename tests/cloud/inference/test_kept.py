"""Answers to pictures of a stream are in the ledger before they are sent; those that stand for themselves are not."""

import resource
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.ledger.query import Found, Wanted, find_results
from infilink.cloud.publishing.hub import Selection

from ..asking import asking, fed, origin, outputs, picture, refusal


def kept(coordinator: Coordinator) -> list[Found]:
    with coordinator.ledger.database.read() as connection:
        return list(find_results(connection, Wanted()))


def test_what_a_stream_s_picture_is_answered_is_kept_with_where_it_came_from(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        heard = coordinator.hub.subscribe(Selection(devices=["door"]))
        told = {"stream": "door", "captured_ns": 5_000_000_000}
        for level in (100, 100, 50):
            await stub.ModelInfer(asking("bright", picture(level), parameters=told, id="the same"))
        await stub.ModelInfer(asking("light", picture(), parameters={"stream": "gate"}))
        found = kept(coordinator)
        assert [(each.device, each.model, each.sequence) for each in found] == [
            ("door", "bright", 0),
            ("door", "bright", 1),
            ("door", "bright", 2),
            ("gate", "light", 3),
        ], "each request is an input of its own"
        first = found[0]
        assert (first.origin, first.confidence, first.trusted, first.why) == ("executed", 1.0, True, "asked")
        assert first.value.tolist() == [100.0] and (first.width, first.height) == (16, 16)
        assert first.captured_ns == 5_000_000_000 and first.session.startswith("open-inference-")
        assert first.output.digest == coordinator.repository.digests["bright"]
        assert len(found[3].classes) == 1 and found[3].classes[0] in ("dark", "bright")
        assert heard.waiting == 3, "whoever hears of devices hears of such streams"

    call(story)


def test_what_stands_for_itself_and_tensors_are_not_kept(call: Callable) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        await stub.ModelInfer(asking("bright", picture()))
        await stub.ModelInfer(asking("bright", {"image": fed()}, parameters={"stream": "door"}))
        assert kept(coordinator) == []

    call(story)


def test_what_links_say_is_kept_as_theirs(call: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        asked = {"stream": "door", "captured_ns": 1_000_000_000}
        await coordinator.deployments.load("bright")
        await stub.ModelInfer(asking("bright", picture(50), parameters=asked))
        digest = coordinator.repository.digests["bright"]
        await coordinator.pool.unload("bright")
        await coordinator.deployments.pin("corner")
        asked["captured_ns"] = 3_000_000_000
        response = await stub.ModelInfer(asking("bright", picture(90), parameters=asked))
        assert origin(response) == "held" and outputs(response) == {"answer": [50.0]}
        last = kept(coordinator)[-1]
        assert (last.origin, last.why, last.output.digest) == ("held", "", digest)
        assert last.confidence == pytest.approx(response.parameters["confidence"].double_param, abs=1e-6)
        assert last.output.age_s == pytest.approx(2.0)

    call(story, links=links, answers="links", budget="65MiB")


@pytest.mark.parametrize("full_disk", ["refuse", "answer"])
def test_while_the_disk_is_full_they_are_refused_or_answered_and_others_are_answered(
    call: Callable, full_disk: str, tmp_path: Path
) -> None:
    async def story(coordinator: Coordinator, stub) -> None:
        async def ask(**parameters) -> object:
            return await stub.ModelInfer(asking("bright", picture(), parameters=parameters))

        async def until_it_fails() -> None:
            while True:
                await ask(stream="door")

        await ask(stream="door")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        grown = max(path.stat().st_size for path in tmp_path.glob("ledger.sqlite*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (grown, before[1]))
        try:
            if full_disk == "refuse":
                code, text = await refusal(until_it_fails())
                assert code == grpc.StatusCode.UNAVAILABLE and "the disk is full" in text
            else:
                while not coordinator.ledger.stats().unkept:
                    assert origin(await ask(stream="door")) == "executed"
            assert origin(await ask()) == "executed"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (coordinator.ledger.stats().unkept > 0) == (full_disk == "answer")

    call(story, full_disk=full_disk)
