"""The aggregator as a daemon, and `infilink.v1.Federation` over gRPC: who may join, and what goes over a stream."""

import asyncio
import json
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import grpc

from ...errors import InvalidInput, Unavailable
from ...links.domains.link import DomainLink
from ...protos import federation_pb2, federation_pb2_grpc
from ..endpoint import SERVER_OPTIONS, Entrance, abort_on_error, check_version
from ..security.caller import current_caller
from ..security.guard import Guard
from ..security.text import LONGEST
from .aggregator import Aggregator, FederationConfig, Member, RoundReport

logger = logging.getLogger(__name__)

_JOIN_TIMEOUT_S = 10.0
_STOP_S = 10.0


@dataclass(frozen=True)
class Federated:
    """What a federation came to.

    Attributes:
        link: what the sites learnt together.
        reports: each round.
        sites: each site's bytes by direction, and what sending its outputs would have taken.
        ended_early: why it ended before the last round; empty if it did not.
    """

    link: DomainLink
    reports: tuple[RoundReport, ...]
    sites: dict[str, dict[str, int]]
    ended_early: str = ""

    def as_json(self) -> str:
        """Without the weights."""
        return json.dumps(
            {
                "rounds": [asdict(report) for report in self.reports],
                "sites": self.sites,
                "ended_early": self.ended_early,
            }
        )


def serve(config: FederationConfig) -> Federated:
    """Leads one federation to its end; prints `ready on HOST:PORT` to stdout when sites may join.

    Raises:
        InvalidInput: the port is taken, or the certificate can't be read.
        Unavailable: too few sites joined, or it was told to stop (SIGTERM, SIGINT) before the end of the first round.
    """
    return asyncio.run(_serve(config))


async def _serve(config: FederationConfig) -> Federated:
    aggregator = Aggregator(config)
    service = FederationService(aggregator)
    server = make_server(config, service)
    entrance = Entrance(config)
    entrance.open(server)
    await server.start()
    print(f"ready on {entrance.address}", flush=True)
    rounds = asyncio.ensure_future(aggregator.run(_tell))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, rounds.cancel)
    ended_early = ""
    try:
        await rounds
    except (asyncio.CancelledError, Unavailable) as error:
        ended_early = str(error) or f"told to stop after {len(aggregator.reports)} of {config.rounds} rounds"
    finally:
        await service.drain(_STOP_S)
        await server.stop(_STOP_S)
    sites = {
        name: {"down": member.sent_bytes, "up": member.received_bytes, "central": member.central_bytes}
        for name, member in sorted(aggregator.known.items())
    }
    if aggregator.link is None or not aggregator.reports:
        raise Unavailable(ended_early)
    return Federated(aggregator.link, tuple(aggregator.reports), sites, ended_early)


def _tell(report: RoundReport) -> None:
    missing = f", without {', '.join(report.missing)}" if report.missing else ""
    logger.info("round %d: %d sites%s", report.index + 1, len(report.sites), missing)


def make_server(config: FederationConfig, service: "FederationService") -> Any:
    """A server with this service, not yet bound."""
    server = grpc.aio.server(
        interceptors=[Guard.of(config)],
        options=[
            # gRPC reads a message's length first: what is too large is refused before memory is taken for it.
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            *SERVER_OPTIONS,
        ],
    )
    federation_pb2_grpc.add_FederationServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    return server


class FederationService(federation_pb2_grpc.FederationServicer):
    """Serves sites from one aggregator.

    Args:
        aggregator: leads the rounds.
    """

    def __init__(self, aggregator: Aggregator) -> None:
        self.aggregator = aggregator
        self._open: set[asyncio.Event] = set()

    async def Learn(self, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any) -> None:  # noqa: N802
        """One site's stream, from Join to Done."""
        closed = asyncio.Event()
        self._open.add(closed)
        try:
            async with abort_on_error(context):
                first = await self._first(messages, context)
                await self._serve(self.aggregator.join(first.join, first.ByteSize()), messages, context)
        finally:
            self._open.discard(closed)
            closed.set()

    async def drain(self, timeout_s: float) -> None:
        """Waits until every site has been sent its last message."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for closed in list(self._open):
                    await closed.wait()

    async def _serve(self, member: Member, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any) -> None:
        reader = asyncio.create_task(self._read(member, messages))
        try:
            while True:
                getter = asyncio.ensure_future(member.outbox.get())
                await asyncio.wait({getter, reader}, return_when=asyncio.FIRST_COMPLETED)
                if reader.done():
                    getter.cancel()
                    reader.result()  # Raises what was wrong with a message; else the site has said goodbye.
                    return
                message = getter.result()
                if message is None:
                    return
                # Before it goes: whoever has heard the last one may be gone already when `write` returns.
                member.sent_bytes += message.ByteSize()
                await context.write(message)
        finally:
            reader.cancel()
            self.aggregator.leave(member)

    async def _read(self, member: Member, messages: AsyncIterator[federation_pb2.SiteMessage]) -> None:
        async for message in messages:
            self.aggregator.take(member, message)

    async def _first(
        self, messages: AsyncIterator[federation_pb2.SiteMessage], context: Any
    ) -> federation_pb2.SiteMessage:
        try:
            async with asyncio.timeout(_JOIN_TIMEOUT_S):
                first = await anext(aiter(messages))
        except (TimeoutError, StopAsyncIteration):
            raise InvalidInput("a stream begins with Join") from None
        site = first.join.site
        if not first.HasField("join") or not 0 < len(site) <= LONGEST or not site.isprintable():
            raise InvalidInput(f"a stream begins with Join, naming `site` in 1 to {LONGEST} printable characters")
        current_caller().check_device(first.join.site)
        await check_version(context, first.join.version, here="aggregator", there="site")
        return first
