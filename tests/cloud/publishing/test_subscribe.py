"""Whoever wants to hear of answers gets each that is kept: chosen by name, bounded, and first what is in the ledger."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.query import Wanted
from infilink.cloud.publishing.hub import Hub, Selection, Subscription
from infilink.cloud.publishing.subscribe import kept, subscribe
from infilink.cloud.security.guard import Guard
from infilink.cloud.services.edge import EdgeService
from infilink.errors import InvalidInput, Overloaded
from infilink.protos import edge_pb2, edge_pb2_grpc

from ..ledger.conftest import ONE_PERSON, answered, output
from ..messages import an_input
from ..sessions.test_stream import talk

Published = edge_pb2.Published


def test_a_device_means_all_its_streams_and_a_stream_itself():
    names = ("arm", "arm/eye", "arm/mic", "army")
    for patterns, wanted in (
        (("arm",), names[:3]),
        (("arm/mic",), names[2:3]),
        (("*/eye", "army"), ("arm/eye", "army")),
        ((), names),
    ):
        assert tuple(name for name in names if Selection(patterns).has_device(name)) == wanted


def test_an_answer_is_offered_to_those_who_want_its_device_and_models():
    async def story():
        hub = Hub(clock_ns=lambda: 7_000)
        all_of, doors = hub.subscribe(Selection()), hub.subscribe(Selection(("door-*",), ("scene", "lev?l")))
        given = edge_pb2.Output(model="level", kind="scalar")
        hub.publish(answered(1, output("detector"), output("scene"), device="door-1", given=(given,)))
        hub.publish(answered(2, device="yard"))
        first, second = await all_of.next(), await all_of.next()
        assert [each.model for each in first.message.outputs] == ["detector", "scene", "level"]
        assert first.message.outputs[2].origin == edge_pb2.ORIGIN_LOCAL and first.message.answered_us == 7
        assert (second.message.device, second.message.width, second.message.captured_ns) == ("yard", 640, 400_000_000)
        only = await doors.next()
        assert [each.model for each in only.message.outputs] == ["scene", "level"] and set(only.specs) == {
            "scene",
            "level",
        }
        hub.leave(doors)
        hub.publish(answered(3, device="door-1"))
        hub.close()
        assert not doors._waiting
        assert (await all_of.next()).message.sequence == 3 and await all_of.next() is None

    asyncio.run(story())


def test_who_asks_for_changes_hears_of_each_model_when_it_says_something_else():
    async def story():
        subscription = Subscription(Selection(changes=True))
        moved, none = ONE_PERSON.copy(), ONE_PERSON[:0]
        moved[:, 0] = 0.3
        for sequence, boxes in enumerate((ONE_PERSON, moved, none, none, ONE_PERSON)):
            subscription.offer(answered(sequence, output("detector", boxes), output("scene")), 0)
        subscription.offer(answered(9, output("detector", none), device="yard"), 0)
        subscription.end()
        heard = []
        while (news := await subscription.next()) is not None:
            heard.append((news.message.sequence, [each.model for each in news.message.outputs]))
        assert heard == [(0, ["detector", "scene"]), (2, ["detector"]), (4, ["detector"]), (9, ["detector"])]

    asyncio.run(story())


def test_who_reads_too_slowly_misses_the_oldest_and_is_told_how_many():
    async def story():
        subscription = Subscription(Selection(), most_bytes=1000)
        for sequence in range(50):
            subscription.offer(answered(sequence), 0)
        first = await subscription.next()
        assert first.message.missed == first.message.sequence > 40
        assert (await subscription.next()).message.missed == 0
        assert subscription._waiting_bytes <= 1000

    asyncio.run(story())


def test_there_are_so_many_at_most():
    hub = Hub()
    for _ in range(64):
        hub.subscribe(Selection())
    with pytest.raises(Overloaded, match="64 want to hear"):
        hub.subscribe(Selection())


def test_what_is_in_the_ledger_comes_whole_and_in_order(ledger_place):
    async def story():
        ledger = Ledger.open(ledger_place)
        many = [output("level") for _ in range(300)]
        await ledger.record(answered(0, given=(output("scene", origin=0),)))
        await asyncio.gather(*(ledger.record(answered(number, *many)) for number in range(1, 5)))
        await ledger.record(answered(5, *many, *many))
        found = [message async for message in kept(ledger.database, Wanted())]
        assert [(each.sequence, len(each.outputs)) for each in found] == [
            (0, 4),
            *((number, 300) for number in range(1, 5)),
            (5, 600),
        ]
        assert found[0].outputs[3].origin == edge_pb2.ORIGIN_LOCAL
        only = [message async for message in kept(ledger.database, Wanted(models=("scene",)))]
        assert [(each.sequence, len(each.outputs)) for each in only] == [(0, 2)]
        await ledger.close()

    asyncio.run(story())


def test_first_come_the_specs_then_the_ledger_then_what_is_answered(serve: Callable, tiny_models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        before = await talk(coordinator, an_input(0, 200), an_input(1, 10))
        heard: list[Published] = []
        enough = asyncio.Event()

        async def write(message: Published) -> None:
            heard.append(message)
            if len(heard) == 5:
                enough.set()

        request = edge_pb2.SubscribeRequest(models=["bright"], since_us=1)
        listening = asyncio.create_task(subscribe(coordinator, request, write))
        while len(heard) < 3:
            await asyncio.sleep(0)
        (again,) = await talk(coordinator, an_input(0, 200))
        assert again == before[0], "a repeated input is no news"
        after = await talk(coordinator, an_input(2), an_input(3), device="other")
        await enough.wait()
        coordinator.stop()
        await listening
        assert json.loads(heard[0].specs["light"])["output"]["kind"] == "label" and not heard[0].outputs
        assert [(each.device, each.sequence) for each in heard[1:]] == [
            ("camera", 0),
            ("camera", 1),
            ("other", 2),
            ("other", 3),
        ]
        sent = {each.result.sequence: each.result.outputs[0] for each in (*before, *after)}
        assert [each.outputs[0] for each in heard[1:]] == [sent[number] for number in range(4)]
        assert len(coordinator.hub._subscriptions) == 0

    serve(story, models=tiny_models)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"devices": ["x" * 257]}, "`devices`"),
        ({"models": [""]}, "`models`"),
        ({"models": ["a"] * 65}, "at most 64"),
        ({"since_us": -1}, "`since_us`"),
    ],
)
def test_what_cannot_be_meant_is_refused(serve: Callable, tiny_models: Path, request_: dict, says: str) -> None:
    async def story(coordinator: Coordinator) -> None:
        with pytest.raises(InvalidInput, match=says):
            await subscribe(coordinator, edge_pb2.SubscribeRequest(**request_), None)

    serve(story, models=tiny_models)


def test_over_the_wire_it_ends_with_whoever_listens_and_needs_the_token(serve: Callable, tiny_models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        server = grpc.aio.server(interceptors=[Guard.of(coordinator.config)])
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = edge_pb2_grpc.EdgeStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.Subscribe(edge_pb2.SubscribeRequest()).read()
            assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
            metadata = (("authorization", "Bearer open sesame"),)
            call = stub.Subscribe(edge_pb2.SubscribeRequest(devices=["cam*"]), metadata=metadata)
            assert set((await call.read()).specs) == {"bright", "light", "corner"}
            await talk(coordinator, an_input(5))
            assert (await call.read()).sequence == 5
            call.cancel()
            while coordinator.hub._subscriptions:
                await asyncio.sleep(0)
        await server.stop(None)

    serve(story, models=tiny_models, token="open sesame")
