"""A site's end of the stream: joins, answers each round with a change, and gets the link that all learnt."""

import logging
import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ... import __version__
from ...errors import InvalidInput, Unavailable
from ...links.domains.link import DomainLink
from ...links.domains.rounds import Site
from ...protos import federation_pb2, federation_pb2_grpc
from ...protos.channel import open_channel
from .wire import central_bytes, pack_change, pack_moments, unpack_moments, unpack_weights

logger = logging.getLogger(__name__)

_REACH_S = 10.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass(frozen=True)
class Joined:
    """What a site got out of it.

    Attributes:
        link: what all sites learnt together.
        rounds: how many it took part in.
        sent_bytes: serialised length of all it sent.
        received_bytes: of all it was sent.
        central_bytes: what sending its outputs would have taken.
    """

    link: DomainLink
    rounds: int
    sent_bytes: int
    received_bytes: int
    central_bytes: int

    def figures(self) -> dict[str, int]:
        """Plain values for JSON, without the link."""
        return {name: getattr(self, name) for name in ("rounds", "sent_bytes", "received_bytes", "central_bytes")}


def join(
    address: str,
    site: Site,
    *,
    token: str = "",
    tls_ca: Path | None = None,
    reach_s: float = _REACH_S,
    on_round: Callable[[int], None] = lambda index: logger.info("round %d", index + 1),
) -> Joined:
    """Takes part in a federation until its last round.

    Args:
        address: HOST:PORT of the aggregator.
        site: what it learns from.
        token: if the aggregator asks for one.
        tls_ca: the certificate to trust; None: no TLS.
        reach_s: how long to try to reach it.
        on_round: called with each round's index, from 0, before it is learnt.

    Raises:
        InvalidInput: the aggregator refused the site; its text says why.
        Unavailable: it can't be reached, or ended before the last round.
    """
    with open_channel(address, tls_ca=tls_ca, options=_OPTIONS) as channel:
        _reach(channel, address, reach_s)
        return _Stream(channel, site, token).run(address, on_round)


class _Stream:
    """One stream; counts what goes over it."""

    def __init__(self, channel: Any, site: Site, token: str) -> None:
        self.site = site
        self.sent_bytes = self.received_bytes = self.rounds = 0
        self._outbox: queue.SimpleQueue[federation_pb2.SiteMessage | None] = queue.SimpleQueue()
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        stub = federation_pb2_grpc.FederationStub(channel)  # type: ignore[no-untyped-call]
        self._call = stub.Learn(self._messages(), metadata=metadata)

    def run(self, address: str, on_round: Callable[[int], None]) -> Joined:
        central = central_bytes(self.site.pairs)
        self._send(_join_message(self.site, central))
        link: DomainLink | None = None
        size = self.site.task.shape.size
        try:
            for message in self._call:
                self.received_bytes += message.ByteSize()
                kind = message.WhichOneof("kind")
                if kind == "begin":
                    numbers = self.site.task.inputs + self.site.task.form.length
                    # The seed is of no matter: the weights come with each round.
                    link = DomainLink.start(self.site.task, unpack_moments(message.begin.moments, numbers), seed=0)
                elif kind == "round" and link is not None:
                    weights = unpack_weights(message.round.weights, size, field="weights")
                    on_round(message.round.index)
                    self._send(pack_change(message.round.index, self.site.change(link, weights, message.round.index)))
                    self.rounds += 1
                elif kind == "done" and link is not None:
                    link = link.with_weights(unpack_weights(message.done.weights, size, field="weights"))
                    return Joined(link, self.rounds, self.sent_bytes, self.received_bytes, central)
        except grpc.RpcError as error:
            raise _ours(error, address) from error
        finally:
            self._outbox.put(None)
            self._call.cancel()
        raise Unavailable(f"{address}: the aggregator ended before the last round; its log says why")

    def _send(self, message: federation_pb2.SiteMessage) -> None:
        self.sent_bytes += message.ByteSize()
        self._outbox.put(message)

    def _messages(self) -> Iterator[federation_pb2.SiteMessage]:
        while (message := self._outbox.get()) is not None:
            yield message


def _join_message(site: Site, central: int) -> federation_pb2.SiteMessage:
    return federation_pb2.SiteMessage(
        join=federation_pb2.Join(
            site=site.name,
            version=__version__,
            task=site.task.dump(),
            task_hash=site.task.hash,
            moments=pack_moments(site.moments),
            central_bytes=central,
        )
    )


def _reach(channel: Any, address: str, reach_s: float) -> None:
    try:
        grpc.channel_ready_future(channel).result(timeout=reach_s)
    except grpc.FutureTimeoutError as error:
        raise Unavailable(
            f"{address}: no aggregator answered in {reach_s:g} s; start it (`infilink federate serve`), or look at the "
            "address and at --tls-ca"
        ) from error


def _ours(error: Any, address: str) -> InvalidInput | Unavailable:
    text = f"{address}: {error.details()}"
    return InvalidInput(text) if error.code() in _REFUSED else Unavailable(text)
