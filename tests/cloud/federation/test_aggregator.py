"""The aggregator over real gRPC in one process: who is refused and why, who drops out, what every message takes."""

import asyncio
from contextlib import asynccontextmanager, suppress

import grpc
import numpy as np
import pytest
from infilink import __version__
from infilink.cloud.federation.aggregator import Aggregator, FederationConfig
from infilink.cloud.federation.service import FederationService, make_server
from infilink.cloud.federation.wire import central_bytes, pack_change, pack_moments, unpack_moments, unpack_weights
from infilink.errors import InvalidInput, Unavailable
from infilink.links.domains.link import DomainLink, moments_of
from infilink.links.domains.rounds import Site, SiteChange
from infilink.links.domains.task import LinkTask, Pairs
from infilink.outputs import OutputSpec
from infilink.protos import federation_pb2, federation_pb2_grpc
from infilink.settings import checked

from ...bench.links.reference_rounds import RoundSettings, run_rounds

COUNT = OutputSpec(kind="count")
TASK = LinkTask({"vehicles": COUNT}, "people", COUNT, {"vehicles": "v", "people": "p"})
LIMIT_S = 300.0


def site(name: str, seed: int, task: LinkTask = TASK) -> Site:
    rng = np.random.default_rng(seed)
    vehicles = rng.integers(0, 10, (60, 1)).astype(float)
    return Site(name, task, Pairs(vehicles, vehicles + 1.0))


def join_of(one: Site, **changes) -> federation_pb2.SiteMessage:
    fields = {
        "site": one.name,
        "version": __version__,
        "task": one.task.dump(),
        "task_hash": one.task.hash,
        "moments": pack_moments(one.moments),
        "central_bytes": central_bytes(one.pairs),
    }
    return federation_pb2.SiteMessage(join=federation_pb2.Join(**{**fields, **changes}))


class Client:
    """One site's stream, message by message; keeps everything that went over it."""

    def __init__(self, address: str, one: Site, metadata=()) -> None:
        self.site = one
        self.sent, self.received = [], []
        self.channel = grpc.aio.insecure_channel(address)
        self.call = federation_pb2_grpc.FederationStub(self.channel).Learn(metadata=metadata)
        self.link = None

    async def send(self, message) -> None:
        self.sent.append(message)
        # Who is refused at once hears it when it reads.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self.call.write(message)

    async def read(self):
        message = await asyncio.wait_for(self.call.read(), LIMIT_S)
        if message is not grpc.aio.EOF:
            self.received.append(message)
        return message

    async def join(self, **changes) -> "Client":
        await self.send(join_of(self.site, **changes))
        return self

    async def begun(self) -> None:
        """Reads Begin."""
        begin = (await self.read()).begin
        self.link = DomainLink.start(TASK, unpack_moments(begin.moments, 2), seed=0)

    async def answer(self, spoil=lambda change: change) -> int:
        """Reads a round, learns, answers; the round's index."""
        message = (await self.read()).round
        weights = unpack_weights(message.weights, TASK.shape.size, field="weights")
        change = self.site.change(self.link, weights, message.index)
        await self.send(pack_change(message.index, SiteChange(spoil(change.change), change.samples)))
        return message.index

    async def refusal(self) -> grpc.aio.AioRpcError:
        try:
            while await self.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("it was not refused")

    async def close(self) -> None:
        self.call.cancel()
        await self.channel.close()


@asynccontextmanager
async def federation(**settings):
    """An aggregator that listens, and what opens clients; all closed at the end."""
    config = FederationConfig(listen="127.0.0.1:0", **settings)
    aggregator = Aggregator(config)
    server = make_server(config, FederationService(aggregator))
    port = server.add_insecure_port(config.listen)
    await server.start()
    running = asyncio.ensure_future(aggregator.run())
    clients: list[Client] = []

    def client(one: Site, metadata=()) -> Client:
        clients.append(Client(f"127.0.0.1:{port}", one, metadata))
        return clients[-1]

    try:
        yield aggregator, running, client
    finally:
        for each in clients:
            await each.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop(None)


def test_rounds_over_the_wire_are_those_in_one_process_and_bytes_are_what_was_serialised():
    async def story():
        async with federation(sites=2, rounds=3, seed=4) as (aggregator, running, client):
            clients = [await client(site(name, i)).join() for i, name in enumerate(("b", "a"))]
            for each in clients:
                await each.begun()
            for index in range(3):
                assert [await each.answer() for each in clients] == [index, index]
            link = await running
            for each in clients:
                done = (await each.read()).done
                np.testing.assert_array_equal(
                    np.frombuffer(done.weights, "<f4"), link.network.weights.astype(np.float32)
                )
                assert await each.read() is grpc.aio.EOF
            for each in clients:
                member = aggregator.known[each.site.name]
                assert member.received_bytes == sum(len(m.SerializeToString()) for m in each.sent)
                assert member.sent_bytes == sum(len(m.SerializeToString()) for m in each.received)
            rounds = [m for each in clients for m in each.received if m.HasField("round") and m.round.index == 1]
            assert aggregator.reports[1].down_bytes == sum(len(m.SerializeToString()) for m in rounds)
            assert aggregator.reports[1].down_bytes > 2 * 4 * TASK.shape.size
            assert aggregator.reports[1].up_bytes > 2 * 4 * TASK.shape.size
            return link

    link = asyncio.run(story())
    alone = run_rounds([site("b", 0), site("a", 1)], RoundSettings(rounds=3, seed=4))
    np.testing.assert_array_equal(link.network.weights, alone.network.weights)


def test_who_drops_out_in_a_round_does_not_stop_it_and_may_come_back():
    async def story():
        async with federation(sites=3, quorum=1, rounds=2) as (aggregator, running, client):
            first, second, third = [await client(site(name, i)).join() for i, name in enumerate("abc")]
            for each in (first, second, third):
                await each.begun()
            await third.read()
            await third.close()
            assert await first.answer() == 0
            await until(aggregator, lambda: "c" not in aggregator.members)
            again = await client(site("c", 2)).join()
            await again.begun()
            assert await again.answer() == 0
            assert await second.answer() == 0
            for each in (first, second, again):
                assert await each.answer() == 1
            await running
            assert [report.sites for report in aggregator.reports] == [("a", "b", "c")] * 2

    asyncio.run(story())


async def until(aggregator, condition) -> None:
    """Waits for what only the server can make true."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            aggregator._news.clear()
            await aggregator._news.wait()


def test_who_is_slower_than_a_round_is_left_out_of_it():
    async def story():
        async with federation(sites=2, quorum=1, rounds=1, round_timeout_s=3.0) as (aggregator, running, client):
            quick, slow = [await client(site(name, i)).join() for i, name in enumerate(("quick", "slow"))]
            for each in (quick, slow):
                await each.begun()
            await quick.answer()
            await running
            assert aggregator.reports[0].sites == ("quick",)
            assert aggregator.reports[0].missing == ("slow",)

    asyncio.run(story())


def test_fewer_than_the_quorum_end_it_and_it_says_so():
    async def story():
        async with federation(sites=2, quorum=2, rounds=1, round_timeout_s=3.0) as (_, running, client):
            clients = [await client(site(name, i)).join() for i, name in enumerate("ab")]
            for each in clients:
                await each.begun()
            await clients[0].answer()
            with pytest.raises(Unavailable, match="round 1: 1 of 2 sites answered, 2 are needed"):
                await running

    asyncio.run(story())


def test_nobody_joining_ends_it_and_it_says_so():
    async def story():
        async with federation(sites=2, join_timeout_s=0.05) as (_, running, _client):
            with pytest.raises(Unavailable, match="0 of 2 sites joined"):
                await running

    asyncio.run(story())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda change: change * np.float32("nan"), "NaN or infinity"),
        (lambda change: change + 1e6, "its norm is"),
        (lambda change: change[:-1], f"{TASK.shape.size} weights take {4 * TASK.shape.size}"),
    ],
)
def test_a_change_that_would_spoil_the_mean_is_refused_and_the_others_go_on(spoil, says):
    async def story():
        async with federation(sites=2, quorum=1, rounds=1) as (aggregator, running, client):
            good, bad = [await client(site(name, i)).join() for i, name in enumerate(("good", "bad"))]
            for each in (good, bad):
                await each.begun()
            await bad.answer(spoil)
            error = await bad.refusal()
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and says in error.details()
            await good.answer()
            await running
            assert aggregator.reports[0].sites == ("good",)

    asyncio.run(story())


OTHER = LinkTask({"vehicles": COUNT}, "people", COUNT, {"vehicles": "another file", "people": "p"})
WIDE = LinkTask({"vehicles": COUNT}, "people", COUNT, TASK.digests, hidden=1024)


@pytest.mark.parametrize(
    ("one", "changes", "code", "says"),
    [
        (site("b", 1, OTHER), {}, "INVALID_ARGUMENT", "digest of vehicles: v here, another file there"),
        (site("a", 1), {}, "INVALID_ARGUMENT", "'a' is here already"),
        (site("b", 1, WIDE), {}, "INVALID_ARGUMENT", "3074 weights, more than messages of 8192 bytes hold"),
        (site("b", 1), {"task_hash": "0"}, "INVALID_ARGUMENT", "task_hash"),
        (site("b", 1), {"task": "{"}, "INVALID_ARGUMENT", "damaged"),
        (site("b", 1), {"moments": federation_pb2.Moments(count=1)}, "INVALID_ARGUMENT", "moments.mean: holds 0"),
        (site("b", 1), {"site": ""}, "INVALID_ARGUMENT", "begins with Join"),
        (site("b", 1), {"site": "b\nforged"}, "INVALID_ARGUMENT", "naming `site` in 1 to 100 printable"),
        (site("b", 1), {"version": "99.0"}, "FAILED_PRECONDITION", "the site '99.0'"),
        (site("b", 1), {"task": "x" * 10_000}, "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_who_can_t_join_is_told_why(one, changes, code, says):
    async def story():
        async with federation(sites=2, max_message_bytes=8192) as (aggregator, _, client):
            first = await client(site("a", 0)).join()
            await until(aggregator, lambda: "a" in aggregator.members)
            refused = await client(one).join(**changes)
            error = await refused.refusal()
            assert error.code() is grpc.StatusCode[code] and says in error.details()
            assert set(aggregator.members) == {"a"}
            assert first.received == []

    asyncio.run(story())


def test_who_leaves_before_the_first_round_decides_nothing():
    async def story():
        async with federation(sites=2, rounds=1) as (aggregator, running, client):
            early = await client(site("early", 0, OTHER)).join()
            await until(aggregator, lambda: "early" in aggregator.members)
            await early.close()
            await until(aggregator, lambda: not aggregator.members)
            pair = [await client(site(name, i)).join() for i, name in enumerate("ab")]
            for each in pair:
                await each.begun()
                await each.answer()
            await running
            assert aggregator.task == TASK and set(aggregator.known) == {"a", "b"}

    asyncio.run(story())


def test_without_the_token_nobody_joins():
    async def story():
        async with federation(sites=1, rounds=1, token="open sesame") as (_, running, client):
            # It need not even say who it is; what is sent on a call that has ended fails in another way.
            error = await client(site("a", 0)).refusal()
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            right = await client(site("a", 0), (("authorization", "Bearer open sesame"),)).join()
            await right.begun()
            await right.answer()
            await running

    asyncio.run(story())


def test_moments_and_weights_survive_the_wire_and_wrong_ones_do_not():
    moments = moments_of(site("a", 0).pairs)
    back = unpack_moments(pack_moments(moments), 2)
    assert back.count == moments.count
    np.testing.assert_array_equal(back.squares, moments.squares)
    spoilt = pack_moments(type(moments)(3, moments.mean * np.nan, moments.squares))
    with pytest.raises(InvalidInput, match="must be finite"):
        unpack_moments(spoilt, 2)
    with pytest.raises(InvalidInput, match="change: holds 3 bytes, 1 weights take 4"):
        unpack_weights(b"abc", 1, field="change")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"listen": "here"}, "HOST:PORT"),
        ({"sites": 2, "quorum": 3}, "quorum"),
        ({"tls_cert": "a.pem"}, "go together"),
        ({"rounds": 0}, "rounds"),
        ({"round": 1}, "did you mean 'rounds'"),
    ],
)
def test_a_wrong_setting_names_its_key(settings, says):
    with pytest.raises(InvalidInput, match=says):
        checked(FederationConfig, settings, where="the options")
