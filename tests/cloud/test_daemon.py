"""The door of the daemon: how many calls are open at once, whoever makes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
from infilink.cloud.config import CloudConfig
from infilink.cloud.daemon import _make_server
from infilink.cloud.security.guard import Guard

OWN = [("grpc.use_local_subchannel_pool", 1)]


class Waits(grpc.GenericRpcHandler):
    """A stream that counts who is there, and waits for a message."""

    def __init__(self) -> None:
        self.there = 0

    def service(self, _: Any) -> Any:
        async def wait(messages: AsyncIterator[bytes], context: Any) -> None:
            self.there += 1
            try:
                async for _ in messages:
                    await context.write(b"heard")
            finally:
                self.there -= 1

        return grpc.stream_stream_rpc_method_handler(wait)


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def test_strangers_have_so_many_calls_open_and_no_more_and_whoever_is_connected_goes_on() -> None:
    async def story() -> None:
        config, waits = CloudConfig(models="models", max_devices=1), Waits()
        server = _make_server(config, Guard.of(config))
        server.add_generic_rpc_handlers((waits,))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        async with AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(grpc.aio.insecure_channel(address, options=OWN)) for _ in range(7)
            ]
            device = channels[0].stream_stream("/a/b")()
            await device.write(b"1")
            assert await device.read() == b"heard"
            calls = []
            for channel in channels[1:5]:
                calls += [channel.stream_stream("/a/b")() for _ in range(129)]
            # One connection has no more: the others wait on its side.
            await until(lambda: waits.there == 514)
            refused = channels[5].stream_stream("/a/b")()
            assert await refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            await device.write(b"2")
            assert await device.read() == b"heard"
            for call in calls:
                call.cancel()
            await until(lambda: waits.there == 1)
            again = channels[6].stream_stream("/a/b")()
            await again.write(b"3")
            assert await again.read() == b"heard"
            more = [channels[6].stream_stream("/a/b")() for _ in range(200)]
            await until(lambda: waits.there == 1 + 129)
            await device.write(b"4")
            assert await device.read() == b"heard" and waits.there == 1 + 129, "the others wait on their side"
            for call in (device, again, *more):
                call.cancel()
        await server.stop(None)

    asyncio.run(story())
